"""Tests of tools/mutations/plant.py: how mistakes are read, found and planted."""

import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools" / "mutations"))
import plant  # noqa: E402


def mistake(code, number=1, file="a.cpp"):
    return plant.Mistake(f"m{number}", file, "*", "why", code=code, where=f"list.txt:{number}",
                         number=number)


class Plant(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def planted(self, source, *codes):
        (self.root / "a.cpp").write_text(source)
        mistakes = [mistake(code, number) for number, code in enumerate(codes, 1)]
        head = f'#include "{plant.HEADER}"\n#line 1\n'
        text = plant.plant(mistakes, self.root)["a.cpp"]
        self.assertTrue(text.startswith(head))
        return text[len(head):].replace(plant.SWITCH, "on")

    def fails(self, source, code, words):
        with self.assertRaisesRegex(plant.ListError, words):
            self.planted(source, code)

    def test_expression(self):
        self.assertEqual(self.planted("x = a + b;", "x = @{a + b ==> a - b}@;"),
                         "x = (on(1) ? (a - b) : (a + b));")

    def test_statement(self):
        self.assertEqual(self.planted("f(); g();", "@{f(); ==> h();}@ g();"),
                         "if (on(1)) { h(); } else { f(); } g();")

    def test_deleted_statement(self):
        self.assertEqual(self.planted("f(); g();", "@{f(); ==> }@"),
                         "if (on(1)) {  } else { f(); } g();")

    def test_deleted_terms(self):
        planted = self.planted("if (a && b) c = d - e;", "a @{&& b ==> }@", "d @{- e ==> }@")
        self.assertEqual(planted, "if (a && (on(1) ? true : (b))) c = d - (on(2) ? 0 : (e));")

    def test_braces_are_no_statement(self):
        self.assertEqual(self.planted("f(int{0});", "f(@{int{0} ==> int{1}}@);"),
                         "f((on(1) ? (int{1}) : (int{0})));")

    def test_line_breaks_do_not_matter(self):
        self.assertEqual(self.planted("f(a,\n  b);", "f(a, @{b ==> c}@)"),
                         "f(a,\n  (on(1) ? (c) : (b)));")

    def test_several_places(self):
        self.assertEqual(self.planted("f(a, b);", "f(@{a ==> 0}@, @{b ==> 0}@)"),
                         "f((on(1) ? (0) : (a)), (on(1) ? (0) : (b)));")

    def test_one_within_another(self):
        self.assertEqual(self.planted("x = f(a);", "x = @{f(a) ==> 0}@", "f(@{a ==> b}@)"),
                         "x = (on(1) ? (0) : (f((on(2) ? (b) : (a)))));")

    def test_the_same_place_twice(self):
        self.assertEqual(self.planted("x = a;", "x = @{a ==> 1}@", "x = @{a ==> 2}@"),
                         "x = (on(1) ? (1) : ((on(2) ? (2) : (a))));")

    def test_overlaps_are_refused(self):
        (self.root / "a.cpp").write_text("x = a + b + c;")
        with self.assertRaisesRegex(plant.ListError, "overlaps"):
            plant.plant([mistake("@{a + b ==> 1}@", 1), mistake("@{b + c ==> 2}@", 2)], self.root)

    def test_found_once(self):
        self.fails("x = a; y = a;", "@{a ==> b}@", "list.txt:1.*found 2 times in a.cpp")
        self.fails("x = a;", "@{c ==> b}@", "found 0 times")
        self.fails("x = a;", "a", "marks no place")

    def test_half_expressions_are_refused(self):
        self.fails("x = a < b;", "a @{< b ==> <= b}@", "no whole expression")
        self.fails("x = a && b;", "x = @{a && ==> }@ b;", "ends with an operator")
        self.fails("x = a.b;", "x = a.@{b ==> c}@;", "marks a member")
        self.fails("x = {a, b};", "x = {@{a, b ==> b, a}@};", "is a list")
        self.fails("x = a + b;", "x = a @{+ b ==> + 1}@;", "no whole expression")
        self.fails("x = a - b - c;", "x = a - @{b - c ==> b}@;", "brackets would change")
        self.fails("x = a + b * c;", "x = @{a + b ==> a}@ * c;", "brackets would change")
        self.fails("x = (a + b) * c;", "x = (a @{+ b) ==> + 1)}@ * c;", "no whole expression")

    def test_text_within_a_namespace_has_its_switch_from_its_includers(self):
        (self.root / "loops.inc").write_text("x = a;")
        (self.root / "of_loops.cpp").write_text('namespace b {\n#include "loops.inc"\n}\n')
        (self.root / "other.cpp").write_text("y = a;")
        planted = plant.plant([mistake("x = @{a ==> b}@;", file="loops.inc")], self.root)
        self.assertEqual(set(planted), {"loops.inc", "of_loops.cpp"})
        self.assertTrue(planted["loops.inc"].startswith("x = ("))
        self.assertTrue(planted["of_loops.cpp"].startswith(f'#include "{plant.HEADER}"\n'))

    def test_lists(self):
        path = self.root / "list.txt"
        path.write_text("# A comment.\n\n[a.b]\nfile: a.cpp\ntests: A.* B.*\nwhy: because\n"
                        "code: f(a,\n  @{b ==> c}@)\n")
        [read] = plant.read_list(path)
        self.assertEqual((read.id, read.tests, read.code), ("a.b", "A.*:B.*", "f(a,\n@{b ==> c}@)"))
        path.write_text("[a]\nfile: a.cpp\nwhy: because\ncode: @{a ==> b}@\n")
        with self.assertRaisesRegex(plant.ListError, "has no tests"):
            plant.read_list(path)
        path.write_text("[a]\nfiles: a.cpp\n")
        with self.assertRaisesRegex(plant.ListError, "list.txt:2"):
            plant.read_list(path)


if __name__ == "__main__":
    unittest.main()
