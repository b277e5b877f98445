#!/usr/bin/env python3
"""tools/library_table.py: what it reads of a report, and that the committed table is what the committed
reports give."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tools/library_table.py"
sys.path.insert(0, str(SCRIPT.parent))
import library_table  # noqa: E402


def row(name, shape, precision, by, milliseconds):
    return {"name": name, "shape": shape, "precision": precision, "by": by, "flops": 1.0,
            "cold": {"median_ms": milliseconds}}


def report(date, results, not_run=(), architecture=90, emulated=False):
    return {"dry_run": False, "gpu": "GPU", "architecture": architecture, "commit": "c", "date": date,
            "kernels": {"emulated": emulated, "compute_capability": architecture,
                        "results": [{"name": "exp", "shape": "(2)", "precision": "float32",
                                     "by": "ours", "bytes": 1.0, "cold": {"median_ms": 1.0}},
                                    *results],
                        "not_run": [{"name": name, "reason": "r"} for name in not_run]}}


class LibraryTable(unittest.TestCase):
    def rows(self, *reports):
        """The lines of the table, and what was warned of."""
        warnings = []
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, content in enumerate(reports):
                paths.append(pathlib.Path(folder) / f"{number}.json")
                paths[-1].write_text(json.dumps(content))
            text = library_table.table_of(paths, warnings.append)
        return [line.strip() for line in text.splitlines() if line.startswith("      {")], warnings

    def test_reads_products(self):
        matrices = "(512 x 10) (10 x 256)"
        conv = "512x64x16x16, 3x3 to 128"
        cases = [
            ("gemm 1024", "(4 x 5) (5 x 6)", "float32", "cuBLASLt",
             "{Gemm, Float32, 4, 6, 5, 1, 1, 0, 0, 0, 0}"),
            ("fc2 y", matrices, "float32", "cuBLASLt",
             "{Gemm, Float32, 512, 256, 10, 1, 1, 0, 1, 0, 0}"),
            ("fc2 dx", matrices, "float32", "cuBLASLt",
             "{Gemm, Float32, 512, 256, 10, 1, 1, 0, 0, 0, 0}"),
            ("fc2 dw", matrices, "float64", "cuBLASLt",
             "{Gemm, Float64, 512, 256, 10, 1, 1, 1, 0, 0, 0}"),
            ("fc2 dh", matrices, "float32", "cuBLASLt",
             "{Gemm, Float32, 512, 256, 10, 1, 1, 0, 0, 1, 0}"),
            ("gemm 8 tt", "(4 x 5) (5 x 6), 7 batches", "float32", "cuBLASLt",
             "{Gemm, Float32, 4, 6, 5, 1, 7, 1, 1, 0, 0}"),
            ("conv2 y", conv, "float32", "cuDNN",
             "{Conv2d, Float32, 131072, 128, 576, 9, 1, 0, 0, 0, 0}"),
            ("conv2 dx", conv, "float32", "cuDNN",
             "{Conv2dDataGrad, Float32, 131072, 128, 576, 9, 1, 0, 0, 0, 0}"),
            ("conv2 dw", conv, "float32", "cuDNN",
             "{Conv2dWeightGrad, Float32, 131072, 128, 576, 9, 1, 0, 0, 0, 0}"),
            ("conv y", "2x8x9x9, 3x5 to 4, stride 2, groups 2", "float32", "cuDNN",
             "{Conv2d, Float32, 50, 2, 60, 15, 2, 0, 0, 0, 0}"),
            ("depthwise y", "2x8x9x9, 3x3 to 16, groups 8", "float32", "cuDNN",
             "{Conv2d, Float32, 162, 2, 9, 9, 8, 0, 0, 0, 1}"),
            ("gemm 4096 y", "64x32x1x1, 1x1 to 16", "bfloat16", "cuBLASLt",
             "{Gemm, Bfloat16, 64, 16, 32, 1, 1, 0, 1, 0, 0}"),
            ("gemm 4096 dw", "64x32x1x1, 1x1 to 16", "bfloat16", "cuBLASLt",
             "{Gemm, Bfloat16, 16, 32, 64, 1, 1, 1, 0, 0, 0}"),
        ]
        for name, shape, precision, library, wanted in cases:
            got, warnings = self.rows(report("d", [
                row(name, shape, precision, "ours", 0.0124),
                row(name, shape, precision, library, 0.5)]))
            self.assertEqual(got, [f"{{90, {wanted}, 12.4, 500.0}},"], name)
            self.assertEqual(warnings, [])

    def test_tf32_is_compared_with_our_tf32(self):
        shape = "(4 x 5) (5 x 6)"
        got, _ = self.rows(report("d", [row("g", shape, "float32", "ours", 0.003),
                                        row("g", shape, "tf32", "ours", 0.002),
                                        row("g", shape, "tf32", "cuBLASLt", 0.001)]))
        self.assertEqual(got, ["{90, {Gemm, Tf32, 4, 6, 5, 1, 1, 0, 0, 0, 0}, 2.0, 1.0},"])

    def test_tf32_is_compared_with_our_float32_where_we_had_none(self):
        shape = "(4 x 5) (5 x 6)"
        got, _ = self.rows(report("d", [row("g", shape, "float32", "ours", 0.003),
                                        row("g", shape, "float32", "cuBLASLt", 0.002),
                                        row("g", shape, "tf32", "cuBLASLt", 0.001)]))
        self.assertEqual(got, ["{90, {Gemm, Float32, 4, 6, 5, 1, 1, 0, 0, 0, 0}, 3.0, 2.0},",
                               "{90, {Gemm, Tf32, 4, 6, 5, 1, 1, 0, 0, 0, 0}, 3.0, 1.0},"])

    def test_what_a_library_lacks_is_ours_and_what_was_not_compared_is_left_out(self):
        shape = "8x4x4x4, 3x3 to 2"
        got, _ = self.rows(report("d", [row("c dx", shape, "float32", "ours", 0.003),
                                        row("c dx", shape, "tf32", "cuDNN", 0.001),
                                        row("c dw", shape, "bfloat16", "ours", 0.003)],
                                  ["c dx by cuDNN in float32", "cuBLASLt"]))
        self.assertEqual(got, [
            "{90, {Conv2dDataGrad, Float32, 128, 2, 36, 9, 1, 0, 0, 0, 0}, 3.0, 0.0},",
            "{90, {Conv2dDataGrad, Tf32, 128, 2, 36, 9, 1, 0, 0, 0, 0}, 3.0, 1.0},"])

    def test_the_newest_report_counts(self):
        def of(date, time, architecture=90):
            shape = "(4 x 5) (5 x 6)"
            return report(date, [row("g", shape, "float32", "ours", 0.003),
                                 row("g", shape, "float32", "cuBLASLt", time)],
                          architecture=architecture)
        got, _ = self.rows(of("2026-12-02", 0.001), of("2026-12-01", 0.002),
                           of("2026-11-01", 0.007, architecture=80))
        self.assertEqual([line.split("}")[1] for line in got], [", 3.0, 7.0", ", 3.0, 1.0"])

    def test_what_it_cannot_read_is_said(self):
        got, warnings = self.rows(report("d", [
            row("c y", "8x4, 3x3 to 2", "float32", "ours", 1),
            row("c y", "8x4, 3x3 to 2", "float32", "cuDNN", 1),
            row("g", "(4 x 5) (6 x 6)", "float32", "ours", 1),
            row("g", "(4 x 5) (6 x 6)", "float32", "cuBLASLt", 1),
            row("h", "(4 x 5) (5 x 6)", "float32", "cuBLASLt", 1)]))
        self.assertEqual(got, [])
        self.assertEqual(len(warnings), 3, warnings)

    def test_emulated_figures_are_refused(self):
        with self.assertRaises(SystemExit):
            self.rows(report("d", [], emulated=True))

    def test_the_committed_table_is_that_of_the_committed_reports(self):
        result = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "", "rows of the reports that were not read")


if __name__ == "__main__":
    unittest.main()
