#!/usr/bin/env python3
"""tools/ncu_report.py on a sample of ncu's output."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = HERE.parent.parent / "tools/ncu_report.py"
SAMPLE = HERE / "ncu_sample.csv"


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)


class NcuReport(unittest.TestCase):
    def test_the_last_whole_step_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "ncu.json"
            result = run(SAMPLE, "--json", path)
            self.assertEqual(result.returncode, 0, result.stderr)
            launches = json.loads(path.read_text())
        self.assertEqual(result.stdout.splitlines(), [
            "| us | MB | dram % | sm % | occupancy % | registers | blocks | threads | kernel |",
            "|---:|---:|---:|---:|---:|---:|---:|---:|---|",
            "| 4.8 | 0.3 | 2 | 2 | 12 | 64 | 33 | 256 | "
            "`weight_norm_detail::weight_norm_forward<float>` |",
            "| 527.2 | 74.6 | 3 | 75 | 25 | 128 | 1024 | 256 | "
            "`matrix::fma_kernel<matrix::Forward<float, float>, "
            "matrix::FmaVariant<float, 2, 2, 4>>` |",
            "| 14.4 | 26.5 | 40 | ? | 46 | 40 | 538 | 256 | "
            "`optimizer_detail::optimizer_step<float, SgdRule>` |",
            "",
            "3 launches, 0.55 ms of kernels, 101 MB of device memory"])
        self.assertEqual(len(launches), 3)
        self.assertEqual(launches[1]["blocks"], 1024)
        self.assertAlmostEqual(launches[1]["us"], 527.2)
        self.assertAlmostEqual(launches[1]["mb"], 74.600448)
        self.assertIsNone(launches[2]["sm_percent"])

    def test_other_units(self):
        lines = SAMPLE.read_text().replace('"ns"', '"us"').replace('"byte"', '"Kbyte"')
        self.assertIn("| 4800.0 | 301.6 |", self.of(lines).stdout)

    def of(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write(text)
            file.flush()
            return run(file.name)

    def test_what_is_no_table_is_said(self):
        refused = "==ERROR== ERR_NVGPUCTRPERM - no permission\n"
        for text, wanted in (("", "it is empty"), (refused, "ERR_NVGPUCTRPERM"),
                             (SAMPLE.read_text().replace("launch__grid_size", "x"),
                              "launch__grid_size"),
                             (SAMPLE.read_text().replace("optimizer_step", "o"), "wanted 2")):
            result = self.of(text)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(wanted, result.stderr)

    def test_metrics_are_ncus(self):
        sample = SAMPLE.read_text()
        for metric in run("--metrics").stdout.strip().split(","):
            self.assertIn(f'"{metric}"', sample)


if __name__ == "__main__":
    unittest.main()
