"""Reads lists of mistakes and plants them, each behind its own switch, in a copy of the sources.

docs/testing.md describes the format of the lists.
"""

import dataclasses
import pathlib
import re

MARK = re.compile(r"@\{(.*?)==>(.*?)\}@", re.DOTALL)
FIELDS = ("file", "tests", "why", "equivalent", "preset", "code")
PRESETS = ("simt", "simt-profile")
SWITCH = "::warptape_mutation::on"
HEADER = "warptape_mutation.h"


class ListError(Exception):
    """A list, or a snippet in it, is not what it should be."""


@dataclasses.dataclass
class Mistake:
    id: str
    file: str = ""
    tests: str = ""  # a GoogleTest filter
    why: str = ""
    equivalent: str = ""  # why no test can notice it
    preset: str = "simt"  # the build whose tests can
    code: str = ""
    where: str = ""  # list and line, for messages
    number: int = 0  # of the switch


@dataclasses.dataclass
class Place:
    begin: int
    end: int
    mistake: Mistake
    mutated: str


def read_list(path):
    """The mistakes of one list."""
    mistakes = []
    field = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.name}:{number}"
        if not line.strip():
            field = None
        elif line.startswith("#"):
            continue
        elif line[0].isspace():
            if field is None:
                raise ListError(f"{where}: a line that continues nothing")
            setattr(mistakes[-1], field, getattr(mistakes[-1], field) + "\n" + line.strip())
        elif re.fullmatch(r"\[[a-z0-9_.]+\]", line):
            mistakes.append(Mistake(line[1:-1], where=where))
        else:
            name, colon, value = line.partition(":")
            if not colon or not mistakes or name not in FIELDS:
                raise ListError(f"{where}: wanted [id] or one of {', '.join(FIELDS)}")
            field = name
            setattr(mistakes[-1], field, value.strip())
    for mistake in mistakes:
        for name in ("file", "tests", "why", "code"):
            if not getattr(mistake, name):
                raise ListError(f"{mistake.where}: [{mistake.id}] has no {name}")
        if mistake.preset not in PRESETS:
            raise ListError(f"{mistake.where}: preset: got {mistake.preset}, wanted "
                            + " or ".join(PRESETS))
        mistake.tests = ":".join(mistake.tests.split())
    return mistakes


def read_lists(folder):
    """All mistakes, numbered from 1."""
    mistakes = []
    for path in sorted(folder.glob("*.txt")):
        mistakes.extend(read_list(path))
    seen = {}
    for number, mistake in enumerate(mistakes, 1):
        mistake.number = number
        if mistake.id in seen:
            raise ListError(f"{mistake.where}: [{mistake.id}] is in {seen[mistake.id]} too")
        seen[mistake.id] = mistake.where
    return mistakes


def _pattern(text):
    # Line breaks and indentation are the formatter's.
    return r"\s+".join(re.escape(word) for word in text.split())


def find(mistake, source):
    """The marked places of a mistake in the text of its file."""
    pieces = MARK.split(mistake.code)
    if len(pieces) == 1:
        raise ListError(f"{mistake.where}: [{mistake.id}] marks no place with @{{ ==> }}@")
    pattern = ""
    for i, piece in enumerate(pieces):
        if i % 3 == 0:
            pattern += ("" if i == 0 else r"\s*") + _pattern(piece)
            if i + 1 < len(pieces) and piece.strip():
                pattern += r"\s*"
        elif i % 3 == 1:
            pattern += "(" + _pattern(piece) + ")"
    matches = list(re.finditer(pattern, source))
    if len(matches) != 1:
        raise ListError(f"{mistake.where}: [{mistake.id}] is found {len(matches)} times in "
                        f"{mistake.file}, wanted once")
    for i in range(1, len(pieces) // 3 + 1):
        before = source[:matches[0].start(i)].rstrip()
        behind = source[matches[0].end(i):].lstrip()
        if (re.search(r"\s[-*/%]$", before) or re.match(r"[*/%]\s", behind)) and _is_sum(
                matches[0].group(i)):
            raise ListError(f"{mistake.where}: [{mistake.id}] marks a sum within a difference or a "
                            "product, which brackets would change: mark all of it")
        if before.endswith((".", "->", "::")):
            raise ListError(f"{mistake.where}: [{mistake.id}] marks a member: mark its object, too")
    mutated = [piece.strip() for piece in pieces[2::3]]
    return [Place(*matches[0].span(i), mistake, text) for i, text in enumerate(mutated, 1)]


def _is_list(text):
    """Whether a comma stands outside of all brackets; those of templates count where they begin."""
    depth = 0
    for at, letter in enumerate(text):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0 and not re.search(r"\w<", text[:at]):
            return True
    return False


def _is_balanced(text):
    """Whether its brackets close each other; those in literals do not count."""
    opened = []
    for letter in re.sub(r"\"(\\.|[^\"])*\"|'(\\.|[^'])*'", "", text):
        if letter in "([{":
            opened.append(letter)
        elif letter in ")]}" and (not opened or opened.pop() + letter not in ("()", "[]", "{}")):
            return False
    return not opened


def _is_sum(text):
    """Whether a plus or minus stands between its operands, outside of all brackets."""
    depth = 0
    for at, letter in enumerate(text):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(letter, 0)
        if depth == 0 and at > 0 and re.match(r" [+-] ", text[at:]):
            return True
    return False


def _splice(place, original):
    """The code that chooses between the two texts: a statement, a term of an expression, or one."""
    switch = f"{SWITCH}({place.mistake.number})"
    mutated = place.mutated
    original = original.strip()
    term = re.fullmatch(r"(&&|\|\||\+|-|\*|/)(?=[^=&|+-])(.+[^;}])", original, re.DOTALL)
    if term and not mutated:
        operator, operand = term.groups()
        neutral = {"&&": "true", "||": "false", "+": "0", "-": "0"}.get(operator, "1")
        return f"{operator} ({switch} ? {neutral} : ({operand.strip()}))"
    for text in (original, mutated):
        if re.search(r"(&&|\|\|)$", text):
            raise ListError(f"{place.mistake.where}: [{place.mistake.id}]: \"{text}\" ends with an "
                            "operator: let that stand outside")
    if any(not text or text[-1] == ";" or (text[-1] == "}" and ";" in text)
           for text in (original, mutated)):
        return f"if ({switch}) {{ {mutated} }} else {{ {original} }}"
    for text in (original, mutated):
        if _is_list(text):
            raise ListError(f"{place.mistake.where}: [{place.mistake.id}]: \"{text}\" is a list, of "
                            "which C++ would take the last: mark its parts")
        if re.match(r"&&|\|\||[<>=./%]|[+*-]=|[+*-] ", text) or not _is_balanced(text):
            raise ListError(f"{place.mistake.where}: [{place.mistake.id}]: \"{text}\" is no whole "
                            "expression")
    return f"({switch} ? ({mutated}) : ({original}))"


def _render(source, begin, end, places):
    """source[begin:end] with the places in it, of which some may lie within others."""
    text = ""
    at = begin
    while places:
        outer = places[0]
        if outer.begin < at:
            raise ListError(f"{outer.mistake.where}: [{outer.mistake.id}] overlaps another mistake")
        inner = [p for p in places[1:] if p.begin < outer.end]
        for p in inner:
            if p.end > outer.end:
                raise ListError(f"{p.mistake.where}: [{p.mistake.id}] overlaps "
                                f"[{outer.mistake.id}] in part")
        text += source[at:outer.begin]
        text += _splice(outer, _render(source, outer.begin, outer.end, inner))
        at = outer.end
        places = places[1 + len(inner):]
    return text + source[at:end]


def plant(mistakes, root):
    """{file: text with all its mistakes} for the files of root that have any."""
    problems = []
    by_file = {}
    for mistake in mistakes:
        try:
            path = root / mistake.file
            if not path.is_file():
                raise ListError(f"{mistake.where}: [{mistake.id}]: no file {mistake.file}")
            by_file.setdefault(mistake.file, []).extend(find(mistake, path.read_text()))
        except ListError as error:
            problems.append(str(error))
    if problems:
        raise ListError("\n".join(problems))
    planted = {}
    for file, places in by_file.items():
        source = (root / file).read_text()
        places.sort(key=lambda p: (p.begin, -p.end, p.mistake.number))
        planted[file] = _render(source, 0, len(source), places)
    # Text that is included within a namespace has the switches of the files that include it.
    includers = []
    for file in by_file:
        if file.endswith(".inc"):
            includers += [str(path.relative_to(root)) for path in (root / file).parent.glob("*.cpp")
                          if f'#include "{file}"' in path.read_text()]
    for file in {*by_file, *includers}:
        if not file.endswith(".inc"):
            text = planted.get(file) or (root / file).read_text()
            planted[file] = f'#include "{HEADER}"\n#line 1\n{text}'
    return planted


def switch_sources(mistakes):
    """{file: text} of what the switches need: one variable that says which mistake is made."""
    header = """#pragma once
namespace warptape_mutation {
#ifdef __CUDACC__  // reports on registers, of kernels as they are
__host__ __device__ inline bool on(int) {
  return false;
}
#else
extern int chosen;
// Not constexpr: a mistake that could never be made shall not compile.
inline bool on(int number) {
  return chosen == number;
}
#endif
}  // namespace warptape_mutation
"""
    names = "".join(f'    "{m.id}",\n' for m in sorted(mistakes, key=lambda m: m.number))
    source = f"""#include "{HEADER}"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace warptape_mutation {{

int chosen = 0;

const char* const names[] = {{
{names}}};

// Before all constructors of static objects.
__attribute__((constructor(101))) void choose() {{
  const char* name = std::getenv("WARPTAPE_MUTATION");
  if (name == nullptr) {{
    return;
  }}
  for (const char* known : names) {{
    ++chosen;
    if (std::strcmp(known, name) == 0) {{
      return;
    }}
  }}
  std::fprintf(stderr, "WARPTAPE_MUTATION=%s: no such mistake\\n", name);
  std::abort();
}}

}}  // namespace warptape_mutation
"""
    return {HEADER: header, "core/warptape_mutation.cpp": source}


def write_tree(mistakes, root, tree, files):
    """Makes tree a copy of root's files with all mistakes planted; keeps what has not changed."""
    contents = {file: (root / file).read_bytes() for file in files if (root / file).is_file()}
    modes = {file: (root / file).stat().st_mode for file in contents}
    for texts in (plant(mistakes, root), switch_sources(mistakes)):
        contents.update((file, text.encode()) for file, text in texts.items())
    for file, content in contents.items():
        path = tree / file
        if path.is_file() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(modes.get(file, 0o644))
    for path in list(tree.rglob("*")):
        relative = path.relative_to(tree)
        if relative.parts[0] in ("build", ".deps") or not path.is_file():
            continue
        if relative.as_posix() not in contents:
            path.unlink()
