#!/usr/bin/env python3
"""Runs README's `warptape forecast` at small size, and looks at the page that it writes.

    forecast_page_test.py WARPTAPE

The page is well-formed, holds its plots itself and takes nothing from outside. Where Chromium is there (Debian's
package `chromium`), it is shown headless: what the browser makes of it has the same plots, and a picture is not empty.
"""
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import shown_page
from shown_page import SVG, XHTML

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = ["--seeds", "2", "--epochs", "2", "--residual", "seasonal", "--device", "cpu"]


def readme_command() -> list[str]:
    """The words of README's command behind the program's name."""
    found = re.search(r"^build/cpu/warptape (forecast (?:.*\\\n)*.*)$", (ROOT / "README.md").read_text(), re.M)
    if found is None:
        sys.exit("README.md: no command `build/cpu/warptape forecast`")
    return shlex.split(found.group(1).replace("\\\n", " "))


class ForecastPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        words = readme_command()
        cls.out = pathlib.Path(cls.folder.name) / "out"
        words[words.index("--out") + 1] = str(cls.out)
        subprocess.run([PROGRAM, *words, *SMALL], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        cls.page = (cls.out / "forecast.html").read_text(encoding="utf-8")
        cls.tree = ElementTree.fromstring(cls.page)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def test_holds_its_plots(self) -> None:
        plots = self.tree.findall(f".//{SVG}svg")
        self.assertEqual(len(plots), 2, "the bars, and the one series")
        lines = {line.get("class"): line.get("points").split() for line in plots[1].iter(f"{SVG}polyline")}
        self.assertEqual(set(lines), {"actual", "baseline", "tcn"})
        report = json.loads((self.out / "report.json").read_text())
        self.assertEqual(len(lines["tcn"]), report["options"]["horizon"])
        for points in lines.values():
            for point in points:
                x, y = map(float, point.split(","))
                self.assertTrue(0 <= x <= 860 and 0 <= y <= 300, point)
        self.assertEqual(len(plots[0].findall(f"{SVG}circle")), 2, "a dot for each seed")

    def test_table_says_what_the_report_says(self) -> None:
        rows = self.tree.findall(f".//{XHTML}table[@id='errors']/{XHTML}tr")
        cells = {row[0].text: row[1].text for row in rows}
        mape = json.loads((self.out / "report.json").read_text())["mape"]
        self.assertEqual(float(cells["drift_seasonal"]), float(f"{mape['drift_seasonal']:.4g}"))
        self.assertTrue(cells["TCN, 2 seeds"].startswith(f"{mape['tcn']['median']:.4g} "), cells)

    def test_takes_nothing_from_outside(self) -> None:
        shown_page.check_takes_nothing_from_outside(self, self.page)

    def test_is_shown(self) -> None:
        document = shown_page.show(self, self.out / "forecast.html", self.folder.name)
        self.assertEqual(document.count("<svg"), 2)
        self.assertEqual(document.count("<polyline"), self.page.count("<polyline"))


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
