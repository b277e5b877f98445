#!/usr/bin/env python3
"""tools/bench_vs_pytorch.py without PyTorch and without a GPU: which processes run what, what becomes
of those that fail, and the capture of a step, by a torch that writes down what it is asked."""

import contextlib
import io
import pathlib
import sys
import types
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import bench_vs_pytorch as bench  # noqa: E402

EVERYTHING = ["--device", "cuda", "--model", "simple_cnn,tcn_c64", "--precision",
              "fp32,tf32,bf16", "--rounds", "1"]


def parsed(*words):
    return bench.parse_arguments([*words, "--dry-run"])


class FakeTorch:
    """Writes down, in order, what happens."""

    def __init__(self):
        self.events = []
        log = self.events.append

        class Scope:
            def __init__(self, name):
                self.name = name

            def __enter__(self):
                log("begin " + self.name)

            def __exit__(self, *_):
                log("end " + self.name)

        class Stream:
            def __init__(self, name="side"):
                self.name = name

            def wait_stream(self, other):
                log(f"{self.name} waits for {other.name}")

        class Event:
            def record(self):
                log("record")

            def synchronize(self):
                log("wait")

        graph = types.SimpleNamespace(replay=lambda: log("replay"))
        self.cuda = types.SimpleNamespace(
            Stream=Stream, current_stream=lambda: Stream("main"), stream=lambda _: Scope("stream"),
            CUDAGraph=lambda: graph, graph=lambda _: Scope("capture"), Event=Event)
        self.losses = mock.MagicMock()

    def empty(self, count, pin_memory):
        return self.losses


class Plan(unittest.TestCase):
    def test_everything_takes_less_than_four_minutes(self):
        arguments = parsed(*EVERYTHING)
        processes = bench.processes_of(arguments)
        self.assertLess(sum(bench.predicted_seconds(cases, arguments) for cases in processes), 240)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            bench.print_plan(arguments)
        self.assertIn("tcn_c64 bf16, 1 threads, PyTorch compiled, captured", out.getvalue())

    def test_pytorch_shares_two_processes_on_cuda(self):
        processes = bench.processes_of(parsed(*EVERYTHING))
        self.assertTrue(all(cases[0].is_warptape() and len(cases) == 1 for cases in processes[:-2]))
        self.assertEqual(len(processes), 12 + 2)  # two models, three precisions, two libraries
        compiles = [{bench.MODES[case.implementation].compile is not None for case in cases}
                    for cases in processes[-2:]]
        self.assertEqual(compiles, [{False}, {True}])

    def test_cases_alternate_on_the_cpu(self):
        arguments = parsed("--threads", "1", "--only", "eager,warptape,compiled")
        self.assertEqual([[case.implementation for case in cases]
                          for cases in bench.processes_of(arguments)],
                         [["warptape"], ["eager"], ["compiled"]])
        sequences = parsed("--model", "tcn_adding", "--threads", "1")
        self.assertNotIn("channels_last",
                         [cases[0].implementation for cases in bench.processes_of(sequences)])

    def test_commands_say_the_precision(self):
        arguments = parsed(*EVERYTHING)
        arguments.warptape = "warptape"
        words = {(cases[0].precision, cases[0].implementation): bench.command_of(cases, arguments)
                 for cases in bench.processes_of(arguments)
                 if cases[0].is_warptape() and cases[0].model == "simple_cnn"}
        self.assertIn("--tf32", words["tf32", "warptape"])
        self.assertNotIn("--tf32", words["fp32", "warptape"])
        self.assertIn("bf16", words["bf16", "warptape_own"])
        self.assertIn("off", words["bf16", "warptape_own"])
        self.assertIn("512", words["fp32", "warptape"])

    def test_refuses_what_it_does_not_know(self):
        for words, part in [(["--precision", "tf32"], "got tf32, wanted some of fp32, bf16 on cpu"),
                            (["--precision", "fp8"], "got fp8"),
                            (["--model", "simple_cnn,x"], "got x"),
                            (["--only", "eager_graph"], "got eager_graph"),
                            (["--tf32", "--precision", "fp32"], "--tf32")]:
            with contextlib.redirect_stderr(io.StringIO()) as err, self.assertRaises(SystemExit):
                parsed(*words)
            self.assertIn(part, err.getvalue())
        self.assertEqual(parsed("--device", "cuda", "--tf32").precision, ["tf32"])


class Measuring(unittest.TestCase):
    """Children are scripts that print lines."""

    def run_child(self, script, cases, seconds=20):
        arguments = parsed("--device", "cuda")
        with mock.patch.object(bench, "command_of", lambda *_: [sys.executable, "-c", script]), \
                contextlib.redirect_stderr(io.StringIO()):
            return bench.run_process(cases, arguments, seconds)

    def cases(self, *implementations):
        return [bench.Case("simple_cnn", "fp32", 1, name) for name in implementations]

    def test_keeps_what_a_child_printed_before_it_failed(self):
        script = ("import sys; print('{\"median_ms\": 1}'); print('{\"error\": \"no such mode\"}');"
                  "print('words'); sys.exit('out of memory')")
        results = self.run_child(script, self.cases("eager", "eager_graph", "channels_last_graph"))
        self.assertEqual(results[:2], [{"median_ms": 1}, {"error": "no such mode"}])
        self.assertIn("exit status 1: out of memory", results[2]["error"])

    def test_stops_a_child_that_takes_too_long(self):
        script = "import time; print('{\"median_ms\": 1}', flush=True); print('{\"med', end='', " \
                 "flush=True); time.sleep(60)"
        results = self.run_child(script, self.cases("eager", "eager_graph"), 2)
        self.assertEqual(results, [{"median_ms": 1}, {"error": "stopped after 2 s"}])

    def test_reads_what_warptape_prints(self):
        result = self.run_child("print('{\"median_ms\": 2, \"peak_tensors_mb\": 7}')",
                                self.cases("warptape"))
        self.assertEqual(result[0]["peak_memory_mb"], 7)
        self.assertIn("error", self.run_child("raise SystemExit(3)", self.cases("warptape"))[0])

    def test_ends_with_its_budget(self):
        arguments = parsed("--device", "cuda", "--budget", "100", "--rounds", "2", "--only",
                           "warptape,eager,compiled")
        now = iter([0, 10, 20, 101, 102, 103, 104])
        asked = []

        def run_process(cases, _, seconds):
            asked.append((cases[0].implementation, seconds))
            return [{"median_ms": 2.0 * len(asked), "cpu_ms": None, "peak_memory_mb": 1}] * len(cases)

        with mock.patch.object(bench, "run_process", run_process), \
                contextlib.redirect_stderr(io.StringIO()):
            results, not_run = bench.measure(arguments, lambda *_: None, lambda: next(now))
        self.assertEqual(asked, [("warptape", 90), ("eager", 80)])
        self.assertEqual([case.implementation for case in not_run], ["compiled"])
        self.assertEqual([r["ratio_to_warptape"] for r in results], [1, 2])
        table = bench.format_table(results, True)
        self.assertIn("| PyTorch eager  |", table)
        self.assertNotIn("fp32", table)  # one precision stands above

    def test_ratios_are_within_a_model_and_a_precision(self):
        arguments = parsed(*EVERYTHING)
        outputs = {}
        for number, (precision, name) in enumerate([("fp32", "warptape"), ("fp32", "eager"),
                                                    ("bf16", "warptape"), ("bf16", "eager")]):
            outputs[bench.Case("simple_cnn", precision, 1, name)] = [
                {"median_ms": 1.0 + number, "cpu_ms": 10.0 + number, "peak_memory_mb": 1}]
        results = bench.summarize(outputs, arguments)
        self.assertEqual([r["ratio_to_warptape"] for r in results], [1, 2, 1, 4 / 3])
        self.assertEqual([r["cpu_ratio_to_warptape"] for r in results], [1, 1.1, 1, 13 / 12])
        self.assertIn("bf16", bench.format_table(results, False))


class Capture(unittest.TestCase):
    def test_captures_a_step_that_has_run(self):
        torch = FakeTorch()
        replay = bench.captured(torch, lambda: torch.events.append("step") or "loss", 2)
        self.assertEqual(torch.events, [
            "side waits for main", "begin stream", "step", "step", "end stream",
            "main waits for side", "begin capture", "step", "end capture"])
        torch.events.clear()
        self.assertEqual([replay(), replay()], ["loss", "loss"])
        self.assertEqual(torch.events, ["replay", "replay"])

    def test_the_host_is_one_step_ahead(self):
        torch = FakeTorch()
        times = bench.time_on_cuda(torch, lambda: torch.events.append("step") or mock.MagicMock(), 3)
        self.assertEqual(torch.events, ["step", "record", "step", "record", "wait", "step", "record",
                                        "wait", "wait"])
        self.assertEqual(len(times), 3)


if __name__ == "__main__":
    unittest.main()
