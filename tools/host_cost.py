#!/usr/bin/env python3
"""What a training step costs the host, in instructions and calls, on the emulated device with
kernels that do nothing.

    tools/host_cost.py build/simt [--model simple_cnn] [--batch-size 16] [--graph on] [--top 25]

Runs `warptape bench step --no-kernels` twice under valgrind's callgrind, with more steps the second
time: the difference is what one step costs, start and warm-up left out. Instructions do not change
with the load of the machine. What the emulated device does where a real one has its driver is taken
off: all below the functions that its object files define. Needs valgrind and binutils.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import tempfile

FEWER, MORE = 20, 60


def run_callgrind(program, arguments, steps, folder):
    out = pathlib.Path(folder) / f"callgrind.{steps}"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=yes",
               program, "bench", "step", arguments.model, "--device", "cuda", "--no-kernels",
               "--threads", "1", "--warmup", "5", "--steps", str(steps),
               "--batch-size", str(arguments.batch_size), "--graph", arguments.graph]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return out


class Costs:
    """Of one run: own[f], what f itself executed; below[(f, g)], what g and all below it executed
    when f called it; calls[(f, g)]."""

    def __init__(self, path):
        self.own = collections.Counter()
        self.below = collections.Counter()
        self.calls = collections.Counter()
        names = {}

        def name_of(text):
            number, _, name = text.partition(" ")
            if name:
                names[number] = name
            return names[number]

        function = called = None
        for line in open(path, encoding="utf-8", errors="replace"):
            if line.startswith("fn="):
                function = name_of(line[3:].rstrip("\n"))
            elif line.startswith("cfn="):
                called = name_of(line[4:].rstrip("\n"))
            elif line.startswith("calls="):
                self.calls[function, called] += int(line[6:].split()[0])
                is_call = True
            elif line[0].isdigit() or line[0] in "+-*":
                if called is not None:
                    self.below[function, called] += int(line.split()[1])
                    called = None
                else:
                    self.own[function] += int(line.split()[1])

    def __sub__(self, other):
        self.own.subtract(other.own)
        self.below.subtract(other.below)
        self.calls.subtract(other.calls)
        return self


def defined_in(folder):
    """The functions that the object files under this folder define, those of headers apart."""
    objects = sorted(str(path) for path in folder.rglob("*.o"))
    if not objects:
        raise SystemExit(f"no object files under {folder}: wanted a build with preset simt")
    lines = subprocess.run(["nm", "--defined-only", *objects], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    symbols = [line.split()[2] for line in lines if re.match(r"\S+ [Tt] ", line)]
    names = subprocess.run(["c++filt"], input="\n".join(symbols), capture_output=True, text=True,
                           check=True).stdout.splitlines()
    return {re.sub(r" \[clone .*", "", name) for name in names}


def family(name):
    if re.match(r"(operator (new|delete)|malloc|free|_int_|calloc|realloc|unlink_chunk|malloc_)", name):
        return "heap: operator new, delete"
    if "pthread" in name or name.startswith("__lll"):
        return "mutexes"
    return name


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="a build folder of preset simt")
    parser.add_argument("--model", default="simple_cnn")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--graph", choices=("on", "off"), default="off",
                        help="a step as one graph, or kernel by kernel [off]")
    parser.add_argument("--top", type=int, default=25, help="rows of the table")
    parser.add_argument("--callers", metavar="TEXT",
                        help="also who calls the functions with this in their names")
    arguments = parser.parse_args()
    program = next((path for path in (arguments.build / "warptape", arguments.build / "tools/warptape")
                    if path.is_file()), None)
    if program is None:
        raise SystemExit(f"no program warptape in {arguments.build}: wanted a build with preset simt")
    emulator = defined_in(arguments.build / "CMakeFiles/warptape_core.dir/emulator")
    with tempfile.TemporaryDirectory() as folder:
        fewer = Costs(run_callgrind(program, arguments, FEWER, folder))
        step = Costs(run_callgrind(program, arguments, MORE, folder)) - fewer
    steps = MORE - FEWER

    def of_emulator(name):
        name = re.sub(r"'\d+$", "", name)  # callgrind's mark of recursion
        return name in emulator or "warptape::gpu::emulated::" in name or "warptape::simt::" in name

    # A helper that both sides call (malloc) has no side of its own: what it costs is its callers'.
    # So each function's own cost is shared by who called it, in proportion to what it cost there.
    total = sum(step.own.values())
    entered = collections.Counter()
    entries = collections.Counter()
    for (caller, called), cost in step.below.items():
        if of_emulator(called) and not of_emulator(caller):
            entered[called] += cost
            entries[called] += step.calls[caller, called]
    inside = collections.Counter()  # own cost of helpers, by the emulator
    queue = [(called, cost) for (caller, called), cost in step.below.items()
             if of_emulator(caller) and not of_emulator(called) and cost > 0]
    callees = collections.defaultdict(list)
    whole = collections.Counter(step.own)
    for (caller, called), cost in step.below.items():
        callees[caller].append((called, cost))
        whole[caller] += cost
    for depth in range(40):
        further = collections.Counter()
        for name, cost in queue:
            if whole[name] <= 0 or of_emulator(name):
                continue
            part = cost / whole[name]
            inside[name] += part * step.own[name]
            for called, below in callees[name]:
                if called != name and below > 0:
                    further[called] += part * below
        queue = [(name, cost) for name, cost in further.items() if cost >= 1]
        if not queue:
            break
    host = total - sum(entered.values())
    rows = collections.Counter()
    for name, cost in step.own.items():
        if not of_emulator(name):
            rows[family(name)] += cost - inside[name]
    heap = sum(count for (caller, called), count in step.calls.items()
               if called.startswith("operator new") and not of_emulator(caller))
    graph = ", as one graph" if arguments.graph == "on" else ""
    print(f"{arguments.model}, batch {arguments.batch_size}{graph}, per training step:")
    print(f"  {host / steps:12,.0f} instructions of the host, without {(total - host) / steps:,.0f} of "
          "the emulated device")
    print(f"  {heap / steps:12,.1f} calls of operator new outside of it")
    print("calls of the device:")
    for name, count in entries.most_common(12):
        if count >= steps:
            print(f"  {count / steps:12,.1f} {name[:100]}")
    print("instructions of the host:")
    for name, cost in rows.most_common(arguments.top):
        print(f"  {cost / steps:12,.0f}  {100 * cost / host:5.1f} %  {name[:110]}")
    if arguments.callers:
        callers = collections.Counter()
        for (caller, called), cost in step.below.items():
            if arguments.callers in called and not of_emulator(caller):
                callers[caller, called] += cost
        print(f"callers of what has \"{arguments.callers}\" in its name, with all below:")
        for (caller, called), cost in callers.most_common(arguments.top):
            print(f"  {cost / steps:12,.0f}  {step.calls[caller, called] / steps:7,.1f} calls of "
                  f"{called[:60]} by {caller[:150]}")


if __name__ == "__main__":
    main()
