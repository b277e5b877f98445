#!/usr/bin/env python3
"""Tests of tools/ptxas_report.py: what it reads out of ptxas's lines."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import ptxas_report  # noqa: E402

PTXAS = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z5plainPf' for 'sm_90'
ptxas info    : Function properties for _Z5plainPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 0 barriers
ptxas info    : Compiling entry function '_Z7callingPf' for 'sm_90'
ptxas info    : Function properties for _Z7callingPf
    32 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 40 bytes cumulative stack size, 4096 bytes smem
ptxas info    : Function properties for _Z6calledPf
    64 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
"""


class PtxasReport(unittest.TestCase):
    def test_reads_figures(self):
        kernels = ptxas_report.parse_ptxas(PTXAS)
        self.assertEqual(kernels, {
            "_Z5plainPf": {"registers": 10, "stack": 0, "spill_stores": 0, "spill_loads": 0,
                           "static_shared": 0},
            "_Z7callingPf": {"registers": 128, "stack": 40, "spill_stores": 8, "spill_loads": 12,
                             "static_shared": 4096}})

    def test_rows_name_the_kernels(self):
        rows = ptxas_report.report(PTXAS)
        self.assertEqual([row["registers"] for row in rows], [128, 10])
        for row, name in zip(rows, ["calling", "plain"]):
            self.assertIn(name, row["kernel"])
            self.assertEqual(row["architecture"], "sm_90")


if __name__ == "__main__":
    unittest.main()
