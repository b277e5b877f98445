#!/usr/bin/env python3
"""tools/bench_weight_norm_vs_pytorch.py without PyTorch: what is timed in turn, and the medians."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import bench_weight_norm_vs_pytorch as bench  # noqa: E402


def row(direction, ms, pytorch_ms):
    return {"name": "64x27", "direction": direction, "bytes": 8, "median_ms": ms, "gb_per_s": 1 / ms,
            "copy_gb_per_s": 2 / ms, "share_of_copy": 0.5, "pytorch_ms": pytorch_ms}


class BenchWeightNormVsPytorch(unittest.TestCase):
    def test_works_take_turns_and_are_prepared_each_time(self):
        events = []
        works = [(lambda: events.append("forget"), lambda: events.append("forward")),
                 (lambda: events.append("empty"), lambda: events.append("backward"))]
        times = bench.time_in_turn(works, 0)
        self.assertEqual(events, ["forget", "forward", "empty", "backward"] * 4)  # one warms up
        self.assertEqual(len(times), 2)
        self.assertGreaterEqual(min(times), 0)

    def test_ratios_are_medians_of_rounds_not_ratios_of_medians(self):
        rounds = [[row("forward", 1, 2)], [row("forward", 2, 10)], [row("forward", 4, 4)]]
        result, = bench.summarize(rounds)
        self.assertEqual(result["median_ms"], 2)
        self.assertEqual(result["pytorch_ms"], 4)
        self.assertEqual(result["ratio"], 2)  # of 2, 5 and 1

    def test_the_table_is_in_microseconds(self):
        rounds = [[row("forward", 0.5, 1), row("backward", 1, 3)]]
        lines = bench.format_table(bench.summarize(rounds), 1).splitlines()
        self.assertEqual(lines[2],
                         "| 64x27 | forward | 1 | 500.0 | 2.0 | 50 % | 1000.0 | 2.00 |")
        self.assertEqual(lines[3],
                         "| 64x27 | backward | 1 | 1000.0 | 1.0 | 50 % | 3000.0 | 3.00 |")

    def test_the_program_must_be_there(self):
        with self.assertRaises(SystemExit):
            bench.parse_arguments(["--warptape", "/nowhere/warptape"])


if __name__ == "__main__":
    unittest.main()
