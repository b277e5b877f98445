#!/usr/bin/env python3
"""What ptxas says of the kernels in a .cu file, as JSON: registers, stack, spills, static shared memory
and, where the number of threads is known, occupancy on sm_90.

usage: ptxas_report.py --nvcc NVCC --output OUT.json [--depfile FILE] [--threads N]
                       [--dynamic-shared BYTES] FILE.cu [-- NVCC_FLAGS...]

The threads of a block come from the kernel's __launch_bounds__ (.maxntid in PTX), else from --threads;
without either there is no occupancy. Needs no GPU.
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

# Limits of compute capability 9.0 per multiprocessor: the CUDA C++ Programming Guide, "Compute
# Capabilities", table "Technical Specifications per Compute Capability". How registers and shared
# memory are rounded: cuda_occupancy.h of the toolkit.
REGISTERS = 65536
REGISTER_UNIT = 256  # a warp gets a multiple of it
PARTITIONS = 4  # each has a quarter of the registers, and a warp lives in one
WARPS = 64
BLOCKS = 32
SHARED = 228 * 1024
SHARED_RESERVED = 1024  # per block
SHARED_UNIT = 128


def round_up(value, unit):
    return (value + unit - 1) // unit * unit


def occupancy(registers, threads, shared):
    """Blocks and warps that a multiprocessor of sm_90 holds, and what limits them."""
    warps_per_block = (threads + 31) // 32
    limits = {"blocks": BLOCKS, "warps": WARPS // warps_per_block}
    if registers:
        warps_by_registers = REGISTERS // PARTITIONS // round_up(registers * 32, REGISTER_UNIT) * PARTITIONS
        limits["registers"] = warps_by_registers // warps_per_block
    limits["shared"] = SHARED // round_up(shared + SHARED_RESERVED, SHARED_UNIT)
    blocks = min(limits.values())
    return {
        "blocks_per_multiprocessor": blocks,
        "warps_per_multiprocessor": blocks * warps_per_block,
        "occupancy": blocks * warps_per_block / WARPS,
        "limited_by": [name for name, limit in limits.items() if limit == blocks],
    }


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


def parse_bounds(ptx):
    """mangled name -> threads of a block, for kernels with launch bounds."""
    bounds = {}
    for match in re.finditer(r"\.entry\s+([\w$]+)\s*\(.*?\)([^{;]*)[{;]", ptx, re.S):
        if found := re.search(r"\.maxntid\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?", match.group(2)):
            threads = 1
            for number in found.groups():
                threads *= int(number or 1)
            bounds[match.group(1)] = threads
    return bounds


def compile_kernels(nvcc, source, flags, depfile, output):
    """What ptxas printed, and the PTX."""
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, *flags, f"-arch={ARCHITECTURE}", "-cubin", "-Xptxas", "-v", "--keep",
                   "--keep-dir", folder, "-o", os.path.join(folder, "kernels.cubin"), source]
        if depfile:
            command += ["-MD", "-MF", depfile, "-MT", output]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
        ptx = ""
        for name in sorted(os.listdir(folder)):
            if name.endswith(".ptx"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    ptx += file.read()
        return result.stdout + result.stderr, ptx


def report(ptxas_text, ptx, threads, dynamic_shared):
    kernels = parse_ptxas(ptxas_text)
    bounds = parse_bounds(ptx)
    names = demangle(sorted(kernels))
    rows = []
    for name in sorted(kernels, key=lambda name: names[name]):
        row = {"kernel": names[name], "architecture": ARCHITECTURE, **kernels[name]}
        block = bounds.get(name, threads)
        if block:
            row["threads"] = block
            row.update(occupancy(row["registers"], block, row["static_shared"] + dynamic_shared))
        rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(description="What ptxas says of the kernels in a .cu file, as JSON.")
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--depfile")
    parser.add_argument("--threads", type=int, help="of a block, for kernels without launch bounds")
    parser.add_argument("--dynamic-shared", type=int, default=0, help="bytes per block")
    parser.add_argument("source")
    parser.add_argument("flags", nargs="*")
    options = parser.parse_args()
    text, ptx = compile_kernels(options.nvcc, options.source, options.flags, options.depfile, options.output)
    rows = report(text, ptx, options.threads, options.dynamic_shared)
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
