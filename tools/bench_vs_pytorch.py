#!/usr/bin/env python3
"""Times a SimpleCNN training step in Warptape and in PyTorch, side by side.

One step is: zero gradients, forward, cross entropy, backward and SGD with
momentum, in float32 on the CPU, with a batch of 3x32x32 images held in memory.
Warptape, PyTorch eager and PyTorch channels_last run one after the other in
fresh processes, several rounds over; every process warms up for 3 steps and
times 15. The table shows the median over the rounds of each process's median
step, with the smallest and largest of them, and the largest peak memory.

Needs PyTorch. Example:

  python3 tools/bench_vs_pytorch.py --warptape build/cpu/warptape --threads 1,2
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

WARMUP_STEPS, TIMED_STEPS = 3, 15
IMPLEMENTATIONS = {
    "warptape": "Warptape",
    "eager": "PyTorch eager",
    "channels_last": "PyTorch channels_last",
}


def run_pytorch(mode, batch_size, threads):
    """Times PyTorch in this process and returns what `warptape bench --json` prints."""
    import torch
    from torch import nn

    warnings.filterwarnings("ignore", category=FutureWarning, message=".*weight_norm.*")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.utils.weight_norm(nn.Conv2d(3, 64, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
        nn.utils.weight_norm(nn.Conv2d(64, 128, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128 * 8 * 8, 256), nn.ReLU(), nn.Linear(256, 10))
    x = torch.randn(batch_size, 3, 32, 32)
    labels = torch.randint(0, 10, (batch_size,))
    if mode == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    times = []
    for _ in range(WARMUP_STEPS + TIMED_STEPS):
        start = time.perf_counter()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        times.append(1000 * (time.perf_counter() - start))
    times = times[WARMUP_STEPS:]
    median = statistics.median(times)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "median_ms": median,
        "min_ms": min(times),
        "samples_per_second": 1000 * batch_size / median,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20,
    }


def run_process(implementation, warptape, batch_size, threads):
    """Runs one implementation in a fresh process and returns its JSON output."""
    if implementation == "warptape":
        command = [str(warptape), "bench", "step", "simple_cnn", "--json"]
    else:
        command = [sys.executable, __file__, "--child", implementation]
    command += ["--batch-size", str(batch_size), "--threads", str(threads)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed with exit status {result.returncode}:\n"
                 f"{result.stderr[-2000:]}")
    return json.loads(result.stdout)


def processor_name():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def warptape_version(warptape):
    result = subprocess.run([str(warptape), "--version"], capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else "Warptape"


def measure(arguments):
    """One result per (implementation, threads), from runs in turn over all rounds."""
    runs = [(implementation, threads) for threads in arguments.threads
            for implementation in IMPLEMENTATIONS]
    outputs = {run: [] for run in runs}
    for round_index in range(arguments.rounds):
        for implementation, threads in runs:
            output = run_process(implementation, arguments.warptape, arguments.batch_size, threads)
            outputs[implementation, threads].append(output)
            print(f"round {round_index + 1}/{arguments.rounds}  {threads} threads  "
                  f"{IMPLEMENTATIONS[implementation]}: {output['median_ms']:.1f} ms",
                  file=sys.stderr)

    def median(run):
        return statistics.median(output["median_ms"] for output in outputs[run])

    results = []
    for implementation, threads in runs:
        run = implementation, threads
        medians = [output["median_ms"] for output in outputs[run]]
        results.append({
            "implementation": IMPLEMENTATIONS[implementation],
            "threads": threads,
            "median_ms": median(run),
            "round_medians_ms": medians,
            "ratio_to_warptape": median(run) / median(("warptape", threads)),
            "samples_per_second": 1000 * arguments.batch_size / median(run),
            "peak_rss_mb": max(output["peak_rss_mb"] for output in outputs[run]),
        })
    return results


def format_table(results, markdown):
    rows = [["implementation", "threads", "step, ms", "min to max, ms", "time / Warptape",
             "images / s", "peak memory, MiB"]]
    for r in results:
        medians = r["round_medians_ms"]
        rows.append([r["implementation"], str(r["threads"]), f"{r['median_ms']:.1f}",
                     f"{min(medians):.1f} to {max(medians):.1f}",
                     f"{r['ratio_to_warptape']:.2f}", f"{r['samples_per_second']:.0f}",
                     f"{r['peak_rss_mb']:.0f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        return "| " + " | ".join(cells) + " |" if markdown else "  ".join(cells)

    lines = [line(row) for row in rows]
    if markdown:
        rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
        lines.insert(1, line(rule))
    return "\n".join(lines)


def thread_list(text):
    threads = [int(part) for part in text.split(",")]
    if min(threads) < 1:
        raise ValueError
    return threads


def positive(text):
    if int(text) < 1:
        raise ValueError
    return int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warptape", type=Path, metavar="PROGRAM",
                        help="the warptape program, for example build/cpu/warptape")
    parser.add_argument("--batch-size", type=positive, default=128, metavar="N",
                        help="images per step (default 128)")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N",
                        help="processes per implementation and thread count (default 5)")
    parser.add_argument("--threads", type=thread_list, default=[1, 2], metavar="LIST",
                        help="thread counts, separated by commas (default 1,2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--child", choices=["eager", "channels_last"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    # Only the child processes import torch: a process inherits its parent's peak memory.
    if importlib.util.find_spec("torch") is None:
        sys.exit("bench_vs_pytorch.py needs PyTorch: python3 -m pip install torch")
    if arguments.child:
        print(json.dumps(run_pytorch(arguments.child, arguments.batch_size,
                                     arguments.threads[0])))
        return
    if arguments.warptape is None or not arguments.warptape.is_file():
        parser.error("--warptape must name the warptape program; build Warptape first")
    arguments.warptape = arguments.warptape.resolve()

    report = {
        "date": datetime.date.today().isoformat(),
        "processor": processor_name(),
        "versions": [warptape_version(arguments.warptape),
                     "PyTorch " + importlib.metadata.version("torch"),
                     "Python " + platform.python_version()],
        "batch_size": arguments.batch_size,
        "rounds": arguments.rounds,
        "results": measure(arguments),
    }
    print(f"SimpleCNN training step, batch size {arguments.batch_size}, float32, "
          f"median of {arguments.rounds} rounds\n")
    print(format_table(report["results"], arguments.markdown))
    print(f"\n{report['processor']}; {', '.join(report['versions'])}; {report['date']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
