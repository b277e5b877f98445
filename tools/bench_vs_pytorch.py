#!/usr/bin/env python3
"""Times a training step in Warptape and in PyTorch, side by side.

One step is: zero gradients, forward, loss, backward and an update, in float32,
with a batch held in memory; Warptape's is its training loop's own and also takes
the norm of all gradients. --model is one of those of `warptape bench step`:
simple_cnn (3x32x32 images, SGD with momentum), or a temporal convolutional
network (Adam), in PyTorch as locuslab/TCN writes it: padded on both sides, what
is too much cut off. All
implementations run one after the other in fresh processes, several rounds over,
those that compile after all rounds of the others; every process warms up for 3
steps and times 15. The table shows the median over the rounds of each process's
median step, with the smallest and largest of them, and the largest peak memory.
A process that fails or takes longer than --timeout counts as not run; --json has
the results so far after every process. The exit status is 1 if Warptape did not run.

With --device cuda they are Warptape with vendor libraries where they were measured
to be faster, and on its own kernels alone, and PyTorch eager, compiled, and compiled with CUDA graphs; processes warm
up for 20 steps and time 60, memory is the GPU's, held by tensors. A step ends
when the host, one step ahead, sees its loss. Products are in strict float32;
with --tf32 all may round factors to TF32.

Needs PyTorch. Examples:

  python3 tools/bench_vs_pytorch.py --warptape build/cpu/warptape --threads 1,2
  python3 tools/bench_vs_pytorch.py --warptape build/cuda/warptape --device cuda
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
import tempfile
import time
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
IMPLEMENTATIONS = {
    "cpu": {
        "warptape": "Warptape",
        "eager": "PyTorch eager",
        "channels_last": "PyTorch channels_last",
    },
    "cuda": {
        "warptape": "Warptape",
        "warptape_own": "Warptape, own kernels",
        "eager": "PyTorch eager",
        "channels_last": "PyTorch channels_last",
        "compiled": "PyTorch compiled",
        "graphs": "PyTorch compiled, CUDA graphs",
    },
}
COMPILE_MODES = {"compiled": "default", "graphs": "reduce-overhead"}


def time_on_cpu(step, steps):
    """Milliseconds of each step."""
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start))
    return times


def time_on_cuda(step, steps):
    """Milliseconds from the end of a step to that of the next, of which the host reads the loss
    when it has queued one more, as `warptape bench step` does."""
    import torch

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


def image_parts(arguments):
    """Model, batch, target, loss and optimizer of simple_cnn."""
    import torch
    from torch import nn

    device = arguments.device
    weight_norm = weight_norm_of(arguments)
    model = nn.Sequential(
        weight_norm(nn.Conv2d(3, 64, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
        weight_norm(nn.Conv2d(64, 128, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128 * 8 * 8, 256), nn.ReLU(), nn.Linear(256, 10)).to(device)
    x = torch.randn(arguments.batch_size, 3, 32, 32, device=device)
    labels = torch.randint(0, 10, (arguments.batch_size,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9,
                                fused=device == "cuda")
    return model, x, labels, nn.functional.cross_entropy, optimizer


def sequence_parts(arguments):
    """The same of a temporal convolutional network."""
    import torch
    from torch import nn

    of = SEQUENCES[arguments.model]
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

    device, batch_size, classes = arguments.device, arguments.batch_size, of["classes"]
    model = Network().to(device)
    x = torch.randn(batch_size, of["input_channels"], of["length"], device=device)
    if classes is None:
        target, loss_of = torch.randn(batch_size, 1, device=device), nn.functional.mse_loss
    else:
        target = torch.randint(0, classes, (batch_size,), device=device)
        loss_of = nn.functional.cross_entropy
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002, fused=device == "cuda")
    return model, x, target, loss_of, optimizer


def run_pytorch(mode, arguments):
    """Times PyTorch in this process and returns what `warptape bench --json` prints."""
    import torch
    from torch import nn

    device, batch_size = arguments.device, arguments.batch_size
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit(f"PyTorch {torch.__version__} finds no GPU")
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*weight_norm.*")
    torch.set_num_threads(arguments.threads[0])
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = arguments.tf32
    torch.backends.cuda.matmul.allow_tf32 = arguments.tf32
    torch.backends.cudnn.benchmark = True
    make = image_parts if arguments.model == "simple_cnn" else sequence_parts
    model, x, target, loss_of, optimizer = make(arguments)
    if mode == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)

    def loss_of_batch():
        return loss_of(model(x), target)

    if mode in COMPILE_MODES:
        loss_of_batch = torch.compile(loss_of_batch, mode=COMPILE_MODES[mode])

    def step():
        if mode == "graphs":
            torch.compiler.cudagraph_mark_step_begin()
        optimizer.zero_grad()
        loss = loss_of_batch()
        loss.backward()
        optimizer.step()
        return loss

    warmup = WARMUP_STEPS[device]
    time_steps = time_on_cuda if device == "cuda" else time_on_cpu
    times = time_steps(step, warmup + arguments.steps)[warmup:]
    median = statistics.median(times)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    return {
        "median_ms": median,
        "min_ms": min(times),
        "samples_per_second": 1000 * batch_size / median,
        "peak_memory_mb": peak,
    }


def run_process(implementation, arguments, threads):
    """Runs one implementation in a fresh process and returns its JSON output, or throws."""
    if implementation.startswith("warptape"):
        command = [str(arguments.warptape), "bench", "step", arguments.model, "--json",
                   "--warmup", str(WARMUP_STEPS[arguments.device])]
        if implementation == "warptape_own":
            command += ["--gpu-libraries", "off"]
    else:
        command = [sys.executable, __file__, "--child", implementation]
        command += ["--model", arguments.model]
    command += ["--device", arguments.device, "--batch-size", str(arguments.batch_size),
                "--threads", str(threads), "--steps", str(arguments.steps)]
    if arguments.tf32:
        command.append("--tf32")
    # Files, not pipes: a compiler's processes may hold those open when theirs is killed.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            status = subprocess.run(command, stdout=out, stderr=err,
                                    timeout=arguments.timeout).returncode
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"stopped after {arguments.timeout} s") from None
        out.seek(0)
        err.seek(0)
        if status != 0:
            raise RuntimeError(f"{' '.join(command)}\nfailed with exit status {status}:\n"
                               f"{err.read()[-2000:]}")
        output = json.loads(out.read())
    if implementation.startswith("warptape"):
        kind = "rss" if arguments.device == "cpu" else "tensors"
        output["peak_memory_mb"] = output[f"peak_{kind}_mb"]
    return output


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


def measure(arguments, save):
    """One result per (implementation, threads), from runs in turn over all rounds, and what could
    not run, with the reason. Calls `save` with both after every process."""
    implementations = {name: text for name, text in IMPLEMENTATIONS[arguments.device].items()
                       if not arguments.only or name in arguments.only}
    outputs = {(implementation, threads): [] for threads in arguments.threads
               for implementation in implementations}
    not_run = {}
    for compiled in (False, True):  # a slow compiler holds up nothing else
        for round_index in range(arguments.rounds):
            for run in outputs:
                implementation, threads = run
                name = implementations[implementation]
                if (implementation in COMPILE_MODES) != compiled or name in not_run:
                    continue
                try:
                    output = run_process(implementation, arguments, threads)
                except RuntimeError as error:
                    if implementation.startswith("warptape"):
                        print(error, file=sys.stderr)
                    not_run[name] = str(error).strip().splitlines()[-1]
                else:
                    outputs[run].append(output)
                    print(f"round {round_index + 1}/{arguments.rounds}  {threads} threads  {name}: "
                          f"{output['median_ms']:.3f} ms", file=sys.stderr)
                save(summarize(outputs, arguments), not_run)
    return summarize(outputs, arguments), not_run


def summarize(outputs, arguments):
    def median(run):
        return statistics.median(output["median_ms"] for output in outputs[run])

    results = []
    for run in outputs:
        implementation, threads = run
        if not outputs[run]:
            continue
        warptape = ("warptape", threads)
        results.append({
            "implementation": IMPLEMENTATIONS[arguments.device][implementation],
            "threads": threads,
            "median_ms": median(run),
            "round_medians_ms": [output["median_ms"] for output in outputs[run]],
            "ratio_to_warptape": median(run) / median(warptape) if outputs[warptape] else None,
            "samples_per_second": 1000 * arguments.batch_size / median(run),
            "peak_memory_mb": max(output["peak_memory_mb"] for output in outputs[run]),
            "device_name": outputs[run][0].get("device_name"),
        })
    return results


def format_table(results, markdown):
    rows = [["implementation", "threads", "step, ms", "min to max, ms", "time / Warptape",
             "samples / s", "peak memory, MiB"]]
    for r in results:
        medians = r["round_medians_ms"]
        digits = 1 if r["median_ms"] >= 10 else 3
        ratio = r["ratio_to_warptape"]
        rows.append([r["implementation"], str(r["threads"]), f"{r['median_ms']:.{digits}f}",
                     f"{min(medians):.{digits}f} to {max(medians):.{digits}f}",
                     "" if ratio is None else f"{ratio:.2f}", f"{r['samples_per_second']:.0f}",
                     f"{r['peak_memory_mb']:.0f}"])
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
    parser.add_argument("--model", choices=["simple_cnn", *SEQUENCES], default="simple_cnn",
                        help="of `warptape bench step` (default simple_cnn)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch-size", type=positive, metavar="N",
                        help="rows per step (default: simple_cnn 128, on cuda 512; tcn_adding 32, "
                             "tcn_pixels 64, tcn_c64 16)")
    parser.add_argument("--steps", type=positive, metavar="N",
                        help="timed steps per process (default 15, on cuda 60)")
    parser.add_argument("--tf32", action="store_true", help="on cuda, let products use TF32")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N",
                        help="processes per implementation and thread count (default 5)")
    parser.add_argument("--threads", type=thread_list, metavar="LIST",
                        help="CPU threads, separated by commas (default 1,2; on cuda 1)")
    parser.add_argument("--timeout", type=positive, default=600, metavar="SECONDS",
                        help="for each process (default 600)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--only", type=lambda text: text.split(","), metavar="LIST",
                        help="these alone, of " + ",".join(IMPLEMENTATIONS["cuda"]))
    parser.add_argument("--child", choices=["eager", "channels_last", *COMPILE_MODES],
                        help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    default = (BATCH_SIZE[arguments.device] if arguments.model == "simple_cnn" else
               SEQUENCES[arguments.model]["batch_size"])
    arguments.batch_size = arguments.batch_size or default
    if arguments.model != "simple_cnn":  # sequences have no such format in PyTorch
        for implementations in IMPLEMENTATIONS.values():
            implementations.pop("channels_last")
    arguments.steps = arguments.steps or TIMED_STEPS[arguments.device]
    arguments.threads = arguments.threads or THREADS[arguments.device]

    unknown = set(arguments.only or []) - set(IMPLEMENTATIONS[arguments.device])
    if unknown:
        parser.error(f"--only: got {', '.join(sorted(unknown))}, wanted some of "
                     f"{', '.join(IMPLEMENTATIONS[arguments.device])}")

    # Only the child processes import torch: a process inherits its parent's peak memory.
    if importlib.util.find_spec("torch") is None:
        sys.exit("bench_vs_pytorch.py needs PyTorch: python3 -m pip install torch")
    if arguments.child:
        print(json.dumps(run_pytorch(arguments.child, arguments)))
        return 0
    if arguments.warptape is None or not arguments.warptape.is_file():
        parser.error("--warptape must name the warptape program; build Warptape first")
    arguments.warptape = arguments.warptape.resolve()

    precision = "float32, products may use TF32" if arguments.tf32 else "float32"
    report = {
        "date": datetime.date.today().isoformat(),
        "processor": processor_name() if arguments.device == "cpu" else "unknown GPU",
        "versions": [warptape_version(arguments.warptape),
                     "PyTorch " + importlib.metadata.version("torch"),
                     "Python " + platform.python_version()],
        "model": arguments.model,
        "batch_size": arguments.batch_size,
        "rounds": arguments.rounds,
        "precision": precision,
    }

    def save(results, not_run):
        report.update(results=results, not_run=not_run)
        names = [r["device_name"] for r in results if r["device_name"]]
        if arguments.device == "cuda" and names:
            report["processor"] = names[0]
        if arguments.json:
            part = arguments.json.with_name(arguments.json.name + ".part")
            part.write_text(json.dumps(report, indent=2) + "\n")
            part.replace(arguments.json)

    results, not_run = measure(arguments, save)
    print(f"{arguments.model} training step, batch size {arguments.batch_size}, {precision}, "
          f"median of {arguments.rounds} rounds\n")
    print(format_table(results, arguments.markdown))
    for name, reason in not_run.items():
        print(f"not run: {name}: {reason}")
    print(f"\n{report['processor']}; {', '.join(report['versions'])}; {report['date']}")
    return 1 if any(name.startswith("Warptape") for name in not_run) else 0


if __name__ == "__main__":
    sys.exit(main())
