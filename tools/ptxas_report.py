#!/usr/bin/env python3
"""What ptxas says of the kernels in a .cu file on sm_90, as JSON: registers, stack, spills, static shared
memory.

usage: ptxas_report.py --nvcc NVCC --output OUT.json [--depfile FILE] FILE.cu [-- NVCC_FLAGS...]

Needs no GPU.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ARCHITECTURE = "sm_90"


def demangle(names):
    tool = shutil.which("c++filt") or shutil.which("cu++filt")
    if not tool or not names:
        return dict(zip(names, names))
    result = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True, check=True)
    return dict(zip(names, result.stdout.splitlines()))


def parse_ptxas(text):
    """mangled name -> figures, out of what `ptxas -v` prints."""
    kernels = {}
    entry = properties = None
    for line in text.splitlines():
        if match := re.search(r"Compiling entry function '([^']+)' for", line):
            entry = match.group(1)
            kernels[entry] = {"registers": 0, "stack": 0, "spill_stores": 0, "spill_loads": 0,
                              "static_shared": 0}
        elif match := re.search(r"Function properties for (\S+)", line):
            properties = match.group(1)  # also of functions that were not inlined
        elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads",
                                line):
            if properties in kernels:
                stack, stores, loads = (int(number) for number in match.groups())
                kernels[properties].update(stack=stack, spill_stores=stores, spill_loads=loads)
        elif entry and (match := re.search(r"Used (\d+) registers", line)):
            kernels[entry]["registers"] = int(match.group(1))
            # Includes what called functions use.
            if match := re.search(r"(\d+) bytes cumulative stack size", line):
                kernels[entry]["stack"] = int(match.group(1))
            if match := re.search(r"(\d+) bytes smem", line):
                kernels[entry]["static_shared"] = int(match.group(1))
    return kernels


def compile_kernels(nvcc, source, flags, depfile, output):
    """What ptxas printed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, *flags, f"-arch={ARCHITECTURE}", "-cubin", "-Xptxas", "-v", "-o",
                   os.path.join(folder, "kernels.cubin"), source]
        if depfile:
            command += ["-MD", "-MF", depfile, "-MT", output]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
        return result.stdout + result.stderr


def report(ptxas_text):
    kernels = parse_ptxas(ptxas_text)
    names = demangle(sorted(kernels))
    return [{"kernel": names[name], "architecture": ARCHITECTURE, **kernels[name]}
            for name in sorted(kernels, key=lambda name: names[name])]


def main():
    parser = argparse.ArgumentParser(description="What ptxas says of the kernels in a .cu file, as JSON.")
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--depfile")
    parser.add_argument("source")
    parser.add_argument("flags", nargs="*")
    options = parser.parse_args()
    rows = report(
        compile_kernels(options.nvcc, options.source, options.flags, options.depfile, options.output))
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
