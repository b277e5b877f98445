#!/usr/bin/env python3
"""Tests of tools/ptxas_report.py: what it reads out of ptxas's lines and PTX, and its occupancy."""
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
PTX = """\
.visible .entry _Z5plainPf(
 .param .u64 .ptr .align 1 _Z5plainPf_param_0
)
{
 ret;
}
.visible .entry _Z7callingPf(
 .param .u64 _Z7callingPf_param_0
)
.maxntid 256, 1, 1
.minnctapersm 2
{
 ret;
}
"""


class PtxasReport(unittest.TestCase):
    def test_reads_figures(self):
        kernels = ptxas_report.parse_ptxas(PTXAS)
        self.assertEqual(kernels, {
            "_Z5plainPf": {"registers": 10, "stack": 0, "spill_stores": 0, "spill_loads": 0,
                           "static_shared": 0},
            "_Z7callingPf": {"registers": 128, "stack": 40, "spill_stores": 8, "spill_loads": 12,
                             "static_shared": 4096}})

    def test_reads_launch_bounds(self):
        self.assertEqual(ptxas_report.parse_bounds(PTX), {"_Z7callingPf": 256})

    def test_no_occupancy_without_threads(self):
        plain, calling = ptxas_report.report(PTXAS, PTX, None, 0)[::-1]
        if "calling" in plain["kernel"]:
            plain, calling = calling, plain
        self.assertNotIn("occupancy", plain)
        self.assertEqual(calling["threads"], 256)
        self.assertEqual(calling["warps_per_multiprocessor"], 16)

    def test_occupancy(self):
        # (registers, threads, shared bytes) -> blocks: what cuda_occupancy.h of CUDA 13.0 computes.
        for arguments, blocks in {
                (10, 32, 0): 32, (128, 256, 0): 2, (128, 256, 40000): 2, (64, 1024, 0): 1,
                (65, 1024, 0): 0, (100, 192, 10000): 2, (32, 256, 33000): 6, (32, 1024, 100000): 2,
                (32, 512, 232448): 1}.items():
            self.assertEqual(ptxas_report.occupancy(*arguments)["blocks_per_multiprocessor"], blocks,
                             arguments)
        self.assertEqual(ptxas_report.occupancy(128, 256, 0)["limited_by"], ["registers"])


if __name__ == "__main__":
    unittest.main()
