#!/usr/bin/env python3
"""Runs `warptape study weight-norm` at small size, and looks at the page and the table that it writes.

    study_page_test.py WARPTAPE

The page is well-formed, holds its plots itself and takes nothing from outside. Where Chromium is there (Debian's
package `chromium`), it is shown headless: what the browser makes of it has the same plots, and a picture is not empty.
"""
import csv
import itertools
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import shown_page
from shown_page import SVG, XHTML

METHODS = ("plain", "weight_norm", "unit_rows")
SMALL = ["--seeds", "2", "--epochs", "2", "--optimizers", "sgd", "--learning-rates", "0.05",
         "--methods", "weight_norm,unit_rows", "--quiet", "--device", "cpu"]


class StudyPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.out = pathlib.Path(cls.folder.name) / "out"
        command = [PROGRAM, "study", "weight-norm", str(cls.out), *SMALL]
        cls.said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        cls.page = (cls.out / "index.html").read_text(encoding="utf-8")
        cls.tree = ElementTree.fromstring(cls.page)
        with open(cls.out / "results.csv", newline="") as table:
            cls.rows = list(csv.DictReader(table))

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def test_table_has_every_run(self) -> None:
        runs = {(row["model"], row["method"], row["seed"]) for row in self.rows}
        self.assertEqual(len(runs), 2 * len(METHODS) * 2)
        self.assertEqual(len(self.rows), len(runs) * 3, "before training, and two epochs")

    def test_curves_are_the_means_of_the_table(self) -> None:
        figures = {figure.get("id"): figure for figure in self.tree.iter(f"{XHTML}figure")}
        self.assertEqual(len(figures), 7 + 6, "the adding problem has no accuracy")
        lines = {line.get("class"): line.get("points").split()
                 for line in figures["0-sgd-accuracy"].iter(f"{SVG}polyline")}
        self.assertEqual(set(lines), set(METHODS))
        for method, points in lines.items():
            self.assertEqual(len(points), 3, method)
            for point in points:
                x, y = map(float, point.split(","))
                self.assertTrue(0 <= x <= 430 and 0 <= y <= 260, point)
        # A method that is better at the end is drawn above.
        end = {method: float(points[-1].split(",")[1]) for method, points in lines.items()}
        error = {method: sum(float(row["error"]) for row in self.rows if row["model"] == "simple_cnn-images" and
                             row["method"] == method and row["epoch"] == "2") for method in METHODS}
        for one, other in itertools.permutations(METHODS, 2):
            if error[one] < error[other] - 0.02:
                self.assertLess(end[one], end[other], f"{one}, {other}")

    def test_claims_stand_in_the_page_and_on_the_terminal(self) -> None:
        rows = self.tree.findall(f".//{XHTML}table[@id='claims']/{XHTML}tr")[1:]
        self.assertEqual(len(rows), 2 * 4 * 2, "models, measures, methods")
        self.assertEqual([row[-1].text for row in rows],
                         [line.split()[-1] for line in self.said.splitlines()[:-1]])
        error = next(row for row in rows if row[4].text == "final error" and row[3].text == "weight_norm")
        means = [sum(float(row["error"]) for row in self.rows if row["model"] == "simple_cnn-images" and
                     row["method"] == method and row["epoch"] == "2") / 2 for method in METHODS[:2]]
        self.assertAlmostEqual(float(error[5].text), means[0], 3)
        self.assertAlmostEqual(float(error[6].text), means[1], 3)

    def test_takes_nothing_from_outside(self) -> None:
        shown_page.check_takes_nothing_from_outside(self, self.page)

    def test_is_shown(self) -> None:
        document = shown_page.show(self, self.out / "index.html", self.folder.name)
        self.assertEqual(document.count("<svg"), 13)
        self.assertEqual(document.count("<polyline"), self.page.count("<polyline"))


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
