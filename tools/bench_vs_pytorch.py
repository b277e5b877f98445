#!/usr/bin/env python3
"""Times a training step in Warptape and in PyTorch, side by side.

One step is: zero gradients, forward, loss, backward and an update, with a batch held
in memory; Warptape's is its training loop's own and also takes the norm of all
gradients. --model is one or some of those of `warptape bench step`: simple_cnn
(3x32x32 images, SGD with momentum), or a temporal convolutional network (Adam), in
PyTorch as locuslab/TCN writes it: padded on both sides, what is too much cut off.
--precision is one or some of fp32 (strict), tf32 (on cuda: products may round factors
to TF32) and bf16 (Warptape's --precision bf16, PyTorch's autocast).

On the CPU each runs in fresh processes, one after the other, several rounds over;
every process warms up for 3 steps and times 15. The table shows the median over the
rounds of each process's median step, with the smallest and largest of them, the CPU
time of a step, which other programs disturb less, and the largest peak memory. Modes of
PyTorch: eager and compiled, each also in channels_last.

With --device cuda: Warptape with vendor libraries where they were measured to be
faster, and on its own kernels alone; PyTorch eager, compiled, compiled with CUDA graphs of
its own (reduce-overhead), and the whole step of each of the first two captured in
one graph, of eager also in channels_last. Modes of PyTorch that do not compile
share one process, and so do those that do; each case warms up for 20 steps and times 60,
memory is the GPU's, held by tensors. A step ends when the host, one step ahead, sees
its loss.

A case that fails counts as not run, and so does what is left of a process that takes
longer than --timeout, and what --budget has no time for; --json has the results so far
after every process. The exit status is 1 if Warptape did not run. --dry-run prints what
would run, and for how long, and needs neither PyTorch nor a GPU.

Needs PyTorch. Examples:

  python3 tools/bench_vs_pytorch.py --warptape build/cpu/warptape --threads 1,2
  python3 tools/bench_vs_pytorch.py --warptape build/cuda/warptape --device cuda \\
      --model simple_cnn,tcn_c64 --precision fp32,tf32,bf16 --rounds 1 --budget 240
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import importlib.util
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing
import warnings
from pathlib import Path

WARMUP_STEPS = {"cpu": 3, "cuda": 20}
TIMED_STEPS = {"cpu": 15, "cuda": 60}
# Of simple_cnn; the others have one batch size for both.
BATCH_SIZE = {"cpu": 128, "cuda": 512}
# As tools/bench_cases.cpp has them.
SEQUENCES = {
    "tcn_adding": dict(input_channels=2, blocks=8, channels=30, kernel_size=7, dropout=0.0,
                       length=600, batch_size=32, classes=None),
    "tcn_pixels": dict(input_channels=1, blocks=8, channels=25, kernel_size=7, dropout=0.05,
                       length=784, batch_size=64, classes=10),
    "tcn_c64": dict(input_channels=64, blocks=4, channels=64, kernel_size=3, dropout=0.2,
                    length=1024, batch_size=16, classes=10),
}
THREADS = {"cpu": [1, 2], "cuda": [1]}
PRECISIONS = {"cpu": ["fp32", "bf16"], "cuda": ["fp32", "tf32", "bf16"]}


class Mode(typing.NamedTuple):
    """How PyTorch runs a step."""
    channels_last: bool = False
    compile: str = None  # torch.compile's mode
    capture: bool = False  # the whole step is one CUDA graph


MODES = {
    "eager": Mode(),
    "channels_last": Mode(channels_last=True),
    "eager_graph": Mode(capture=True),
    "channels_last_graph": Mode(channels_last=True, capture=True),
    "compiled": Mode(compile="default"),
    "compiled_channels_last": Mode(compile="default", channels_last=True),
    "compiled_graph": Mode(compile="default", capture=True),
    "graphs": Mode(compile="reduce-overhead"),
}
NAMES = {
    "warptape": "Warptape",
    "warptape_own": "Warptape, own kernels",
    "eager": "PyTorch eager",
    "channels_last": "PyTorch channels_last",
    "eager_graph": "PyTorch eager, captured",
    "channels_last_graph": "PyTorch channels_last, captured",
    "compiled": "PyTorch compiled",
    "compiled_channels_last": "PyTorch compiled, channels_last",
    "compiled_graph": "PyTorch compiled, captured",
    "graphs": "PyTorch compiled, CUDA graphs",
}
IMPLEMENTATIONS = {
    "cpu": ["warptape", "eager", "channels_last", "compiled", "compiled_channels_last"],
    # Without what graphs only make faster, and formats that torch.compile chooses itself: all of two
    # models in three precisions take less than four minutes.
    "cuda": [name for name in NAMES if name != "channels_last" and
             name != "compiled_channels_last"],
}
# Seconds that --dry-run counts with: a process's start, and of one case in it what is not steps. On
# cuda a compiled case is one whose kernels the cache has (gpu_check.sh fills it); else 30 s more.
START_SECONDS = {"warptape": 2, "pytorch": 9}
CASE_SECONDS = {"warptape": 0, "plain": 2, "compiled": 8}
STEP_SECONDS = {"cpu": 0.5, "cuda": 0.006}  # on two cores; on an H200, of the slowest case


class Case(typing.NamedTuple):
    model: str
    precision: str
    threads: int
    implementation: str

    def is_warptape(self):
        return self.implementation.startswith("warptape")

    def __str__(self):
        return f"{self.model} {self.precision}, {self.threads} threads, {NAMES[self.implementation]}"


def batch_size_of(model, arguments):
    default = (BATCH_SIZE[arguments.device] if model == "simple_cnn" else
               SEQUENCES[model]["batch_size"])
    return arguments.batch_size or default


def captured(torch, step, warmup):
    """Runs `step` so often on a stream of its own, then captures it, and returns a function that
    runs it again and returns the loss, whose place in memory stays. Gradients are made in the
    graph: there are none when it begins."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(warmup):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay():
        graph.replay()
        return loss

    return replay


def time_on_cpu(step, steps):
    """Milliseconds of each step."""
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start))
    return times


def time_on_cuda(torch, step, steps):
    """Milliseconds from the end of a step to that of the next, of which the host reads the loss
    when it has queued one more, as `warptape bench step` does."""
    losses = torch.empty(steps, pin_memory=True)
    ends, waiting = [], []

    def wait_for_all_but(count):
        while len(waiting) > count:
            waiting.pop(0).synchronize()
            ends.append(time.perf_counter())

    start = time.perf_counter()
    for index in range(steps):
        losses[index:index + 1].copy_(step().detach().reshape(1), non_blocking=True)
        waiting.append(torch.cuda.Event())
        waiting[-1].record()
        wait_for_all_but(1)
    wait_for_all_but(0)
    return [1000 * (end - begin) for begin, end in zip([start] + ends, ends)]


def weight_norm_of(arguments):
    """Hooks, as of the older one, are not what torch.compile is best at."""
    from torch import nn

    return (nn.utils.weight_norm if arguments.device == "cpu" else
            nn.utils.parametrizations.weight_norm)


def image_parts(model_name, mode, arguments):
    """Model, batch, target, loss and optimizer of simple_cnn."""
    import torch
    from torch import nn

    device, batch_size = arguments.device, batch_size_of(model_name, arguments)
    weight_norm = weight_norm_of(arguments)
    model = nn.Sequential(
        weight_norm(nn.Conv2d(3, 64, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
        weight_norm(nn.Conv2d(64, 128, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128 * 8 * 8, 256), nn.ReLU(), nn.Linear(256, 10)).to(device)
    x = torch.randn(batch_size, 3, 32, 32, device=device)
    labels = torch.randint(0, 10, (batch_size,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9,
                                fused=device == "cuda")
    return model, x, labels, nn.functional.cross_entropy, optimizer


def sequence_parts(model_name, mode, arguments):
    """The same of a temporal convolutional network."""
    import torch
    from torch import nn

    of = SEQUENCES[model_name]
    weight_norm = weight_norm_of(arguments)

    class Block(nn.Module):
        def __init__(self, inputs, outputs, kernel_size, dilation, dropout):
            super().__init__()
            self.cut = (kernel_size - 1) * dilation
            options = dict(padding=self.cut, dilation=dilation)
            self.conv1 = weight_norm(nn.Conv1d(inputs, outputs, kernel_size, **options))
            self.conv2 = weight_norm(nn.Conv1d(outputs, outputs, kernel_size, **options))
            self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None
            self.dropout = nn.Dropout(dropout)

        def causal(self, conv, x):
            y = conv(x)[:, :, :-self.cut].contiguous()
            return self.dropout(torch.relu(y))

        def forward(self, x):
            y = self.causal(self.conv2, self.causal(self.conv1, x))
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [of["input_channels"]] + [of["channels"]] * of["blocks"]
            self.network = nn.Sequential(*[
                Block(inputs, outputs, of["kernel_size"], 2**i, of["dropout"])
                for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:]))])
            self.linear = nn.Linear(of["channels"], of["classes"] or 1)

        def forward(self, x):
            return self.linear(self.network(x)[:, :, -1])

    device, classes = arguments.device, of["classes"]
    batch_size = batch_size_of(model_name, arguments)
    model = Network().to(device)
    x = torch.randn(batch_size, of["input_channels"], of["length"], device=device)
    if classes is None:
        target, loss_of = torch.randn(batch_size, 1, device=device), nn.functional.mse_loss
    else:
        target = torch.randint(0, classes, (batch_size,), device=device)
        loss_of = nn.functional.cross_entropy
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002, fused=device == "cuda",
                                 capturable=mode.capture)
    return model, x, target, loss_of, optimizer


def set_up_pytorch(torch, precision):
    """What is the process's own, not the model's."""
    may_use_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = may_use_tf32
    torch.backends.cuda.matmul.allow_tf32 = may_use_tf32
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)


def run_pytorch(case, arguments):
    """Times PyTorch in this process and returns what `warptape bench --json` prints."""
    import torch

    mode, device = MODES[case.implementation], arguments.device
    set_up_pytorch(torch, case.precision)
    make = image_parts if case.model == "simple_cnn" else sequence_parts
    model, x, target, loss_of, optimizer = make(case.model, mode, arguments)
    if mode.channels_last:
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)

    def precision_scope():
        if case.precision != "bf16":
            return contextlib.nullcontext()
        # What a graph casts, it casts at each replay: nothing is kept from before.
        return torch.autocast(device, torch.bfloat16, cache_enabled=not mode.capture)

    def loss_of_batch():
        with precision_scope():
            return loss_of(model(x).float(), target)

    if mode.compile:
        loss_of_batch = torch.compile(loss_of_batch, mode=mode.compile)

    def step():
        if mode.compile == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()
        optimizer.zero_grad()
        loss = loss_of_batch()
        loss.backward()
        optimizer.step()
        return loss

    warmup = WARMUP_STEPS[device]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        times = time_on_cuda(torch, captured(torch, step, warmup) if mode.capture else step,
                             warmup + arguments.steps)[warmup:]
        peak, cpu_ms = torch.cuda.max_memory_allocated() / 2**20, None
    else:
        time_on_cpu(step, warmup)
        before = time.process_time()
        times = time_on_cpu(step, arguments.steps)
        cpu_ms = 1000 * (time.process_time() - before) / arguments.steps
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return {"median_ms": statistics.median(times), "min_ms": min(times), "cpu_ms": cpu_ms,
            "peak_memory_mb": peak}


def run_child(arguments):
    """A line of JSON per case of --child: its result, or why there is none."""
    import gc

    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit(f"PyTorch {torch.__version__} finds no GPU")
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*weight_norm.*")
    torch.set_num_threads(arguments.threads[0])
    for model, precision, implementation in json.loads(arguments.child):
        case = Case(model, precision, arguments.threads[0], implementation)
        try:
            result = run_pytorch(case, arguments)
        except Exception as error:  # whatever a mode cannot do: the next one may
            result = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:500]}
        print(json.dumps(result), flush=True)
        gc.collect()
        torch.compiler.reset()
        if arguments.device == "cuda":
            torch.cuda.empty_cache()


def cases_of(arguments):
    for model in arguments.model:
        for threads in arguments.threads:
            for precision in arguments.precision:
                for implementation in IMPLEMENTATIONS[arguments.device]:
                    mode = MODES.get(implementation)
                    # Sequences have no such format in PyTorch.
                    if mode and mode.channels_last and model != "simple_cnn":
                        continue
                    if not arguments.only or implementation in arguments.only:
                        yield Case(model, precision, threads, implementation)


def processes_of(arguments):
    """The cases of a round, by the process that they share, in the order in which they run: on
    cuda all of Warptape, then PyTorch's that do not compile, then those that do. On the CPU each
    is alone, since memory is the process's and threads are set once, and all alternate."""
    if arguments.device == "cpu":
        return [[case] for case in cases_of(arguments)]
    shared = {}
    for case in cases_of(arguments):
        mode = MODES.get(case.implementation)
        key = ((0, str(case)) if mode is None else
               (1, case.threads) if mode.compile is None else (2, case.threads))
        shared.setdefault(key, []).append(case)
    return [shared[key] for key in sorted(shared, key=lambda key: key[0])]


def predicted_seconds(cases, arguments):
    """Of a process: counted, not measured."""
    seconds = START_SECONDS["warptape" if cases[0].is_warptape() else "pytorch"]
    for case in cases:
        kind = ("warptape" if case.is_warptape() else
                "compiled" if MODES[case.implementation].compile else "plain")
        steps = WARMUP_STEPS[arguments.device] + arguments.steps
        seconds += CASE_SECONDS[kind] + STEP_SECONDS[arguments.device] * steps
    return seconds


def command_of(cases, arguments):
    case = cases[0]
    if case.is_warptape():
        command = [str(arguments.warptape), "bench", "step", case.model, "--json",
                   "--warmup", str(WARMUP_STEPS[arguments.device])]
        if case.implementation == "warptape_own":
            command += ["--gpu-libraries", "off"]
        if case.precision == "tf32":
            command.append("--tf32")
        if case.precision == "bf16":
            command += ["--precision", "bf16"]
        command += ["--batch-size", str(batch_size_of(case.model, arguments))]
    else:
        command = [sys.executable, __file__, "--child",
                   json.dumps([(of.model, of.precision, of.implementation) for of in cases])]
        if arguments.batch_size:
            command += ["--batch-size", str(arguments.batch_size)]
    return command + ["--device", arguments.device, "--threads", str(case.threads),
                      "--steps", str(arguments.steps)]


def run_process(cases, arguments, seconds):
    """Runs cases that share a fresh process, for so long at most. Returns the result of each, or
    {"error": why there is none}."""
    command = command_of(cases, arguments)
    # Files, not pipes: a compiler's processes may hold those open when theirs is killed.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            status = subprocess.run(command, stdout=out, stderr=err, timeout=seconds).returncode
            reason = f"failed with exit status {status}"
        except subprocess.TimeoutExpired:
            status, reason = None, f"stopped after {seconds:.0f} s"
        out.seek(0)
        err.seek(0)
        printed, errors = out.read(), err.read().strip()
    if cases[0].is_warptape():
        results = [json.loads(printed)] if status == 0 else []
        kind = "rss" if arguments.device == "cpu" else "tensors"
        for result in results:
            result["peak_memory_mb"] = result[f"peak_{kind}_mb"]
    else:
        # The last line may be cut off.
        results = [json.loads(line) for line in printed.splitlines(keepends=True)
                   if line.startswith("{") and line.endswith("\n")]
    if status is not None and errors and len(results) < len(cases):
        reason += ": " + errors.splitlines()[-1]
    if status not in (None, 0):
        print(f"{' '.join(command)}\n{reason}:\n{errors[-2000:]}", file=sys.stderr)
    return results + [{"error": reason}] * (len(cases) - len(results))


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


def measure(arguments, save, clock=time.monotonic):
    """Results per case, from runs in turn over all rounds, and what could not run, with the reason.
    Calls `save` with both after every process."""
    end = clock() + (arguments.budget or float("inf"))
    processes = processes_of(arguments)
    outputs = {case: [] for cases in processes for case in cases}
    not_run = {}
    for round_index in range(arguments.rounds):
        for cases in processes:
            cases = [case for case in cases if case not in not_run]
            if not cases:
                continue
            seconds = min(arguments.timeout, end - clock())
            if seconds < 1:
                results = [{"error": f"the budget of {arguments.budget} s was used up"}] * len(cases)
            else:
                results = run_process(cases, arguments, seconds)
            for case, result in zip(cases, results):
                if "error" not in result:
                    outputs[case].append(result)
                    print(f"round {round_index + 1}/{arguments.rounds}  {case}: "
                          f"{result['median_ms']:.3f} ms", file=sys.stderr)
                elif not outputs[case]:
                    not_run[case] = result["error"]
            save(summarize(outputs, arguments), not_run)
    return summarize(outputs, arguments), not_run


def summarize(outputs, arguments):
    def median(case, figure="median_ms"):
        figures = [output.get(figure) for output in outputs.get(case, [])]
        return statistics.median(figures) if figures and None not in figures else None

    def ratio(case, figure="median_ms"):
        own, of_warptape = median(case, figure), median(case._replace(implementation="warptape"),
                                                        figure)
        return own / of_warptape if own and of_warptape else None

    results = []
    for case, found in outputs.items():
        if not found:
            continue
        results.append({
            "model": case.model,
            "precision": case.precision,
            "batch_size": batch_size_of(case.model, arguments),
            "implementation": NAMES[case.implementation],
            "threads": case.threads,
            "median_ms": median(case),
            "round_medians_ms": [output["median_ms"] for output in found],
            "ratio_to_warptape": ratio(case),
            "cpu_ms": median(case, "cpu_ms"),
            "cpu_ratio_to_warptape": ratio(case, "cpu_ms"),
            "samples_per_second": 1000 * batch_size_of(case.model, arguments) / median(case),
            "peak_memory_mb": max(output["peak_memory_mb"] for output in found),
            "device_name": found[0].get("device_name"),
        })
    return results


def format_table(results, markdown):
    with_cpu_time = any(r["cpu_ms"] for r in results)
    rows = [["model", "precision", "implementation", "threads", "step, ms", "min to max, ms",
             "time / Warptape", "samples / s", "peak memory, MiB"]]
    if with_cpu_time:
        rows[0][7:7] = ["CPU time, ms", "CPU time / Warptape"]

    def figure(value, digits):
        return "" if value is None else f"{value:.{digits}f}"

    for r in results:
        medians = r["round_medians_ms"]
        digits = 1 if r["median_ms"] >= 10 else 3
        row = [r["model"], r["precision"], r["implementation"], str(r["threads"]),
               figure(r["median_ms"], digits),
               f"{min(medians):.{digits}f} to {max(medians):.{digits}f}",
               figure(r["ratio_to_warptape"], 2), f"{r['samples_per_second']:.0f}",
               f"{r['peak_memory_mb']:.0f}"]
        if with_cpu_time:
            row[7:7] = [figure(r["cpu_ms"], digits), figure(r["cpu_ratio_to_warptape"], 2)]
        rows.append(row)
    for column in (1, 0):  # one model or precision for all stands above the table
        if len({row[column] for row in rows[1:]}) == 1:
            rows = [row[:column] + row[column + 1:] for row in rows]
    names = rows[0].index("implementation") + 1  # columns on the left
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row):
        cells = [cell.ljust(width) if i < names else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        return "| " + " | ".join(cells) + " |" if markdown else "  ".join(cells)

    lines = [line(row) for row in rows]
    if markdown:
        lines.insert(1, line(["-" * width if i < names else "-" * (width - 1) + ":"
                              for i, width in enumerate(widths)]))
    return "\n".join(lines)


def print_plan(arguments):
    """What would run."""
    total = 0
    for cases in processes_of(arguments):
        seconds = predicted_seconds(cases, arguments)
        total += seconds * arguments.rounds
        print(f"{seconds:6.1f} s  " + "\n          ".join(str(case) for case in cases))
    print(f"{total:6.1f} s  in {arguments.rounds} rounds, counted, not measured: "
          "a cache of compiled kernels is taken to be full")
    if arguments.budget:
        print(f"{arguments.budget:6.1f} s  is what --budget stops at")


def list_of(known):
    """A type of options: names, separated by commas."""
    def parse(text):
        names = text.split(",")
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(
                f"got {', '.join(unknown)}, wanted some of {', '.join(known)}")
        return list(dict.fromkeys(names))

    return parse


def thread_list(text):
    threads = [int(part) for part in text.split(",")]
    if min(threads) < 1:
        raise ValueError
    return threads


def positive(text):
    if int(text) < 1:
        raise ValueError
    return int(text)


def parse_arguments(words):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warptape", type=Path, metavar="PROGRAM",
                        help="the warptape program, for example build/cpu/warptape")
    parser.add_argument("--model", type=list_of(["simple_cnn", *SEQUENCES]),
                        default=["simple_cnn"], metavar="LIST",
                        help=f"some of simple_cnn,{','.join(SEQUENCES)} (default simple_cnn)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", type=list_of(PRECISIONS["cuda"]), metavar="LIST",
                        help="some of fp32,bf16, on cuda also tf32 (default fp32)")
    parser.add_argument("--batch-size", type=positive, metavar="N",
                        help="rows per step (default: simple_cnn 128, on cuda 512; tcn_adding 32, "
                             "tcn_pixels 64, tcn_c64 16)")
    parser.add_argument("--steps", type=positive, metavar="N",
                        help="timed steps of a case (default 15, on cuda 60)")
    parser.add_argument("--tf32", action="store_true", help="the same as --precision tf32")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N",
                        help="runs of each case (default 5)")
    parser.add_argument("--threads", type=thread_list, metavar="LIST",
                        help="CPU threads, separated by commas (default 1,2; on cuda 1)")
    parser.add_argument("--timeout", type=positive, default=600, metavar="SECONDS",
                        help="for each process (default 600)")
    parser.add_argument("--budget", type=positive, metavar="SECONDS",
                        help="for all: what has not run by then does not run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--only", type=list_of(list(NAMES)), metavar="LIST",
                        help="these alone, of " + ",".join(NAMES))
    parser.add_argument("--dry-run", action="store_true",
                        help="print what would run and for how long, and run nothing")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    device = arguments.device
    if arguments.tf32:
        if arguments.precision:
            parser.error("--tf32: got --precision, wanted one of the two")
        arguments.precision = ["tf32"]
    arguments.precision = arguments.precision or ["fp32"]
    for option, given, known in (("--precision", arguments.precision, PRECISIONS[device]),
                                 ("--only", arguments.only or [], IMPLEMENTATIONS[device])):
        unknown = [name for name in given if name not in known]
        if unknown:
            parser.error(f"{option}: got {', '.join(unknown)}, wanted some of {', '.join(known)} "
                         f"on {device}")
    arguments.steps = arguments.steps or TIMED_STEPS[device]
    arguments.threads = arguments.threads or THREADS[device]
    if arguments.child or arguments.dry_run:
        return arguments
    if arguments.warptape is None or not arguments.warptape.is_file():
        parser.error("--warptape must name the warptape program; build Warptape first")
    arguments.warptape = arguments.warptape.resolve()
    return arguments


def main():
    arguments = parse_arguments(sys.argv[1:])
    if arguments.dry_run:
        print_plan(arguments)
        return 0
    # Only the child processes import torch: a process inherits its parent's peak memory.
    if importlib.util.find_spec("torch") is None:
        sys.exit("bench_vs_pytorch.py needs PyTorch: python3 -m pip install torch")
    if arguments.child:
        run_child(arguments)
        return 0

    report = {
        "date": datetime.date.today().isoformat(),
        "processor": processor_name() if arguments.device == "cpu" else "unknown GPU",
        "versions": [warptape_version(arguments.warptape),
                     "PyTorch " + importlib.metadata.version("torch"),
                     "Python " + platform.python_version()],
        "rounds": arguments.rounds,
    }

    def save(results, not_run):
        report.update(results=results,
                      not_run={str(case): reason for case, reason in not_run.items()})
        names = [r["device_name"] for r in results if r["device_name"]]
        if arguments.device == "cuda" and names:
            report["processor"] = names[0]
        if arguments.json:
            part = arguments.json.with_name(arguments.json.name + ".part")
            part.write_text(json.dumps(report, indent=2) + "\n")
            part.replace(arguments.json)

    results, not_run = measure(arguments, save)
    batches = ", ".join(f"{model} (batch {batch_size_of(model, arguments)})"
                        for model in arguments.model)
    print(f"training step of {batches}, {', '.join(arguments.precision)}, "
          f"median of {arguments.rounds} rounds\n")
    print(format_table(results, arguments.markdown))
    for case, reason in not_run.items():
        print(f"not run: {case}: {reason}")
    print(f"\n{report['processor']}; {', '.join(report['versions'])}; {report['date']}")
    return 1 if any(case.is_warptape() for case in not_run) else 0


if __name__ == "__main__":
    sys.exit(main())
