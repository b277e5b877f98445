#!/usr/bin/env python3
"""Times weight normalization in Warptape and in PyTorch, side by side, on the CPU.

Warptape's times are those of `warptape bench weight_norm`, PyTorch's those of torch._weight_norm
and of its backward by autograd, of the same shapes, for several weights one after the other. Both
run in fresh processes in turn, several rounds over. The table shows medians over the rounds of
each process's median; "of copy" is Warptape's share of the bandwidth of a copy that moves as many
bytes, in the same process.

Needs PyTorch. Example:

  python3 tools/bench_weight_norm_vs_pytorch.py --warptape build/cpu/warptape --threads 1,2
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench_vs_pytorch import positive, processor_name, thread_list, warptape_version


def time_in_turn(works, seconds):
    """Median seconds of each work, run in turn for so long, at least three times. A work is what
    prepares it, and what is timed."""
    times = [[] for _ in works]
    for warmup in (True, False):
        begin = time.monotonic()
        while len(times[0]) < (1 if warmup else 3) or (
                not warmup and time.monotonic() - begin < seconds):
            for (prepare, run), found in zip(works, times):
                prepare()
                start = time.perf_counter()
                run()
                found.append(time.perf_counter() - start)
        if warmup:
            times = [[] for _ in works]
    return [statistics.median(found) for found in times]


def time_pytorch(case, seconds):
    """Milliseconds of forward and backward."""
    import torch

    shapes, dim = case["shapes"], case["dim"]
    v = [torch.randn(shape, requires_grad=True) for shape in shapes]
    g = [torch.rand([size if axis == dim else 1 for axis, size in enumerate(shape)],
                    requires_grad=True) for shape in shapes]
    dw = [torch.randn(shape) for shape in shapes]
    w = []
    # In between as much is copied as by Warptape's bench: caches hold as little of v.
    of_forward, of_backward = (torch.zeros(2, elements) for elements in (
        sum(value.numel() for value in v), sum(3 * value.numel() // 2 for value in v)))

    def forget():
        w.clear()
        of_backward[0].copy_(of_backward[1])
        of_forward[0].copy_(of_forward[1])

    def forward():
        w.extend(torch._weight_norm(value, gain, dim) for value, gain in zip(v, g))

    def empty_gradients():
        for leaf in v + g:
            leaf.grad = None
        dw[:] = [value.clone() for value in dw]

    def backward():
        torch.autograd.backward(w, dw)

    forward_s, backward_s = time_in_turn([(forget, forward), (empty_gradients, backward)], seconds)
    return {"forward": 1000 * forward_s, "backward": 1000 * backward_s}


def run_child(arguments):
    """Reads cases from standard input, and prints their times."""
    import torch

    torch.set_num_threads(arguments.threads[0])
    torch.manual_seed(0)
    print(json.dumps([time_pytorch(case, arguments.seconds) for case in json.load(sys.stdin)]))


def run_round(arguments, threads):
    """Rows of Warptape, with "pytorch_ms" beside them."""
    options = ["--threads", str(threads), "--seconds", str(arguments.seconds)]
    command = [str(arguments.warptape), "bench", "weight_norm", "--json", "--device", "cpu", *options]
    if arguments.only:
        command += ["--only", arguments.only]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)[
        "results"]
    cases = [row for row in rows if row["direction"] == "forward"]
    printed = subprocess.run([sys.executable, __file__, "--child", *options], check=True,
                             input=json.dumps(cases), capture_output=True, text=True).stdout
    times = {case["name"]: found for case, found in zip(cases, json.loads(printed))}
    for row in rows:
        row["pytorch_ms"] = times[row["name"]][row["direction"]]
    return rows


def summarize(rounds):
    """A row of medians of each row of the rounds."""
    figures = ["median_ms", "gb_per_s", "copy_gb_per_s", "share_of_copy", "pytorch_ms"]
    results = []
    for same in zip(*rounds):
        row = {key: same[0][key] for key in ("name", "direction", "bytes")}
        row.update({figure: statistics.median(each[figure] for each in same) for figure in figures})
        row["ratio"] = statistics.median(each["pytorch_ms"] / each["median_ms"] for each in same)
        results.append(row)
    return results


def format_table(results, threads):
    lines = ["| weights | | threads | us | GB/s | of copy | PyTorch, us | PyTorch / ours |",
             "|---|---|---:|---:|---:|---:|---:|---:|"]
    for row in results:
        lines.append(f"| {row['name']} | {row['direction']} | {threads} | "
                     f"{1000 * row['median_ms']:.1f} | {row['gb_per_s']:.1f} | "
                     f"{100 * row['share_of_copy']:.0f} % | {1000 * row['pytorch_ms']:.1f} | "
                     f"{row['ratio']:.2f} |")
    return "\n".join(lines)


def parse_arguments(words):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warptape", type=Path, metavar="PROGRAM",
                        help="the warptape program, for example build/cpu/warptape")
    parser.add_argument("--threads", type=thread_list, default=[1, 2], metavar="LIST",
                        help="CPU threads, separated by commas (default 1,2)")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N",
                        help="runs of each program (default 5)")
    parser.add_argument("--seconds", type=float, default=1,
                        help="for each weight in a process (default 1)")
    parser.add_argument("--only", metavar="TEXT", help="rows whose name has this in it")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if not arguments.child and (arguments.warptape is None or not arguments.warptape.is_file()):
        parser.error("--warptape must name the warptape program; build Warptape first")
    return arguments


def main():
    arguments = parse_arguments(sys.argv[1:])
    if importlib.util.find_spec("torch") is None:
        sys.exit("bench_weight_norm_vs_pytorch.py needs PyTorch: python3 -m pip install torch")
    if arguments.child:
        run_child(arguments)
        return
    for threads in arguments.threads:
        rounds = [run_round(arguments, threads) for _ in range(arguments.rounds)]
        print(format_table(summarize(rounds), threads), "\n")
    print(f"{processor_name()}; {warptape_version(arguments.warptape)}; "
          f"PyTorch {importlib.metadata.version('torch')}; {datetime.date.today().isoformat()}")


if __name__ == "__main__":
    main()
