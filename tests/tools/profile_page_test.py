#!/usr/bin/env python3
"""Runs `warptape profile` at small size, and looks at the page and the trace that it writes.

    profile_page_test.py WARPTAPE

The page is well-formed and takes nothing from outside; where Chromium is there, it is shown headless. Page, trace and
JSON tell of the same ops.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import shown_page
from shown_page import SVG, XHTML


class ProfilePage(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.out = pathlib.Path(cls.folder.name)
        small = ["--batch-size", "2", "--steps", "2", "--warmup", "1", "--device", "cpu", "--threads", "1"]
        subprocess.run([PROGRAM, "profile", "simple_cnn", *small, "--html", cls.out / "profile.html", "--trace",
                        cls.out / "trace.json", "--json", cls.out / "report.json"], check=True,
                       stdout=subprocess.DEVNULL)
        cls.page = (cls.out / "profile.html").read_text(encoding="utf-8")
        cls.tree = ElementTree.fromstring(cls.page)
        cls.report = json.loads((cls.out / "report.json").read_text())
        cls.trace = json.loads((cls.out / "trace.json").read_text())["traceEvents"]

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def test_table_has_a_row_for_each_op_of_the_report(self) -> None:
        rows = self.tree.findall(f".//{XHTML}table[@id='ops']/{XHTML}tr")[1:]
        self.assertEqual(len(rows), len(self.report["ops"]))
        for row, op in zip(rows, self.report["ops"]):
            name = op["op"] + (" backward" if op["phase"] == "backward" else "")
            self.assertEqual(row[0].text, f"{op['layer']}: {name}" if op["layer"] else name)
            self.assertEqual(row[2].text, f"{op['ms']:.4f}")

    def test_roofline_has_a_dot_for_each_product(self) -> None:
        products = [op for op in self.report["ops"] if op.get("flops", 0) > 0]
        self.assertGreaterEqual(len(products), 8, "two convolutions and two linear layers, both ways")
        roofline = self.tree.findall(f".//{SVG}svg")[0]
        self.assertEqual(len(roofline.findall(f"{SVG}circle")), len(products))
        for dot in roofline.iter(f"{SVG}circle"):
            self.assertTrue(0 <= float(dot.get("cx")) <= 860 and 0 <= float(dot.get("cy")) <= 380)

    def test_trace_joins_ops_and_layers(self) -> None:
        ops = [event for event in self.trace if event.get("cat") == "op"]
        steps = [event for event in ops if event["name"] == "step"]
        self.assertEqual(len(steps), 2)
        conv = [event for event in ops if event["name"] == "conv2d backward" and event["args"]["layer"] == "conv2"]
        self.assertEqual(len(conv), 2)
        for event in conv:
            self.assertGreater(event["args"]["FLOPs"], 0)
            self.assertTrue(any(step["ts"] <= event["ts"] and
                                event["ts"] + event["dur"] <= step["ts"] + step["dur"] + 0.01 for step in steps))
        layers = {event["name"] for event in self.trace if event.get("cat") == "layer"}
        self.assertLessEqual({"conv1", "conv2", "fc1", "fc2"}, layers)

    def test_takes_nothing_from_outside(self) -> None:
        shown_page.check_takes_nothing_from_outside(self, self.page)

    def test_is_shown(self) -> None:
        document = shown_page.show(self, self.out / "profile.html", self.folder.name)
        self.assertEqual(document.count("<svg"), 3, "roofline, step, memory")
        for element in ("<rect", "<circle", "<polyline"):
            self.assertEqual(document.count(element), self.page.count(element))


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
