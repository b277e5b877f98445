#!/usr/bin/env python3
"""Fits the machine model of tools/machine_model.cpp to kernels that were measured on a GPU.

  python3 tools/fit_machine.py                 fit on one half, print the error on the other
  python3 tools/fit_machine.py --write         the same, and write tools/machine_h200.cpp and the times
                                               that it predicts into the rows
  python3 tools/fit_machine.py --check         exit status 1 if these files are not what the rows give
  python3 tools/fit_machine.py --rows CASES    make the rows anew from docs/results; CASES is what
                                               `warptape profile --cases` prints (preset simt)

Rows lie in docs/results/h200_kernels.json: kernels as tools/gpu_check.sh's reports timed them, with
the launches that they are. Every second row by sorted name is held out: constants never see it. Needs
nothing but Python.
"""

import argparse
import json
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs/results"
ROWS = RESULTS / "h200_kernels.json"
CONSTANTS = ROOT / "tools/machine_h200.cpp"
REPORT = "2026-11-27-h200-4"  # the newest: its kernels are nearest to today's
OLDER_STEP = "2026-11-27-h200/ncu_step.csv"  # other plans of the same kernels
CORES = {"float32": "float", "float64": "double", "bfloat16": "tensor"}
STEP_DEPTH = {"float": 8, "double": 8, "tensor": 32}
MULTIPROCESSORS = 132
RESIDENT_THREADS = 1024
# Assumed, not measured. mma.sync reaches 0.63 of the 989 TFLOP/s that wgmma has, so that a thousand
# products take a multiprocessor this long:
MMA_NS = round(1e3 * 2 * MULTIPROCESSORS / (0.63 * 989e3), 4)
# FFMA at 128 per cycle and 1755 MHz; kernels with 12 % other instructions.
FFMA_NS, FFMA_SHARE = round(1e3 / 128 / 1.755, 3), 0.88
# Kernels whose warps have 64x64 results read 2/3 of the fragments of those with 64x32, and hide 4/5 of
# all loads under the products: then a large product runs at 0.85 of mma's rate.
STAGED_LOADS = round(2 / 3 * 0.2, 3)
LAUNCH = {"launch_us": 1.0}
COPY = 4183.0  # GB/s of a plain copy, of the same report
# TFLOP/s, for floors: nominal of float, and the best products of cuBLASLt in that report.
PEAK = {"float": 60.0, "double": 60.0, "tensor": 790.0, "tf32": 403.0}

# Constants of the model and where the search begins. Positive, all of them.
START = {
    "floor_us": 3.0, "memory_gb_per_s": 4300.0, "thread_gb_per_s": 0.04, "event_us": 2.0,
    "float.multiply_ns": 4.5, "float.load_ns": 100.0, "float.result_ns": 50.0, "float.alone": 1.5,
    "float.floor_us": 3.0,
    "tensor.load_ns": 50.0, "tensor.result_ns": 400.0,
}


# ---- rows


def size_of(name, shape):
    """rows, columns, depth, groups of a product of `bench kernels`."""
    kind = name.split()[-1]
    gemm = re.match(r"\((\d+) x (\d+)\) \((\d+) x (\d+)\)$", shape)
    if gemm:
        m, k, _, n = map(int, gemm.groups())
        return m, n, k, 1
    conv = re.match(r"(\d+)x(\d+)x(\d+)x(\d+), (\d+)x(\d+) to (\d+)$", shape)
    batch, channels, height, width, kernel_y, kernel_x, out = map(int, conv.groups())
    pixels, taps = batch * height * width, kernel_y * kernel_x
    return {"y": (pixels, out, taps * channels, 1), "dx": (pixels, channels, taps * out, 1),
            "dw": (out, taps * channels, pixels, 1)}[kind]


def launches_of_plan(text, precision, size):
    """The launches of a plan as `bench kernels` prints it: the product, and in those reports a second
    one that adds up what blocks left."""
    cores = CORES[precision]
    tile = re.search(r"tiles of (\d+)x(\d+)", text)
    pack = re.search(r"packs of (\d+)", text)
    blocks = int(re.search(r"(\d+) blocks?", text).group(1))
    steps = int(re.search(r"of (\d+) steps", text).group(1))
    splits = int((re.search(r"(\d+) splits", text) or [0, 1])[1])
    rows, columns, depth, groups = size
    element = {"float": 4, "double": 8, "tensor": 2}[cores]
    results = groups * rows * columns
    product = {"name": "product", "cores": cores, "tile": [int(tile[1]), int(tile[2])],
               "pack": int(pack[1]) if pack else 1, "block_depth": steps * STEP_DEPTH[cores],
               "splits": splits, "size": [rows, columns, depth, groups], "blocks": blocks,
               "threads": 256,
               "bytes": element * groups * (rows + columns) * depth + 4 * results * splits}
    launches = [product]
    added = re.search(r"added up by (\d+) block", text)
    if added:
        launches.append({"name": "finish_splits", "blocks": int(added[1]), "threads": 256,
                         "bytes": 4 * results * (splits + 1)})
        product["splits"] = 1  # the adding up is the other launch
    return launches


def operand_bytes(name, shape, element):
    """Bytes of both operands as they lie in memory: images once, not once per tap."""
    conv = re.match(r"(\d+)x(\d+)x(\d+)x(\d+), (\d+)x(\d+) to (\d+)$", shape)
    if not conv:
        m, k, _, n = map(int, re.match(r"\((\d+) x (\d+)\) \((\d+) x (\d+)\)$", shape).groups())
        return element * (m * k + k * n), m * n
    batch, channels, height, width, kernel_y, kernel_x, out = map(int, conv.groups())
    x, y = batch * height * width * channels, batch * height * width * out
    w = out * channels * kernel_y * kernel_x
    sizes = {"y": (x + w, y), "dx": (y + w, x), "dw": (x + y, w)}[name.split()[-1]]
    return element * sizes[0], sizes[1]


def product_rows(report):
    rows = []
    for entry in report["kernels"]["results"]:
        if entry["by"] != "ours" or not entry["plans"] or "tiles" not in entry["plans"][0]:
            continue
        if len(entry["plans"]) > 1 or entry["name"].endswith(" dh"):
            continue  # with other kernels that no plan tells
        name, shape, precision = entry["name"], entry["shape"], entry["precision"]
        if precision == "float64":
            continue  # no model is
        launches = launches_of_plan(entry["plans"][0], precision, size_of(name, shape))
        operands, results = operand_bytes(name, shape, {"float32": 4, "float64": 8, "bfloat16": 2}[precision])
        splits = int((re.search(r"(\d+) splits", entry["plans"][0]) or [0, 1])[1])
        written = 4 if precision != "bfloat16" or name.endswith("dw") else 2
        launches[0]["bytes"] = operands + results * (4 * splits if splits > 1 else written)
        rows.append({"name": f"{name} {shape} {precision}", "source": "bench", "us": round(
            1e3 * entry["cold"]["median_ms"], 3), "launches": launches})
    return rows


def case_rows(report, cases):
    rows = []
    for entry in report["kernels"]["results"]:
        if entry["by"] != "ours" or entry["plans"] or entry["name"] not in cases:
            continue
        if entry["name"].startswith("gemm"):
            continue
        case = cases[entry["name"]]
        if case["shape"] != [int(n) for n in re.findall(r"\d+", entry["shape"])]:
            continue  # the report timed another one
        # The counted bytes, spread over the launches as their tensors are.
        tensors = sum(launch["bytes"] for launch in case["launches"])
        launches = [dict(launch, bytes=round(launch["bytes"] * entry["bytes"] / tensors))
                    for launch in case["launches"]]
        rows.append({"name": f"{entry['name']} {entry['shape']}", "source": "bench",
                     "us": round(1e3 * entry["cold"]["median_ms"], 3), "launches": launches})
    return rows


# The launches of a SimpleCNN step at batch 512 on images of 3x32x32, by what they do: megabytes of the
# tensors that they read and write, or the product that they are.
BATCH = 512
Y1, P1 = BATCH * 64 * 1024 * 4e-6, BATCH * 64 * 256 * 4e-6  # before and after a pooling of 2x2
Y2, P2 = BATCH * 128 * 256 * 4e-6, BATCH * 128 * 64 * 4e-6
NORMED, PARAMETERS = 4e-6 * (64 * 27 + 128 * 576), 4e-6 * 2174666
STREAMS = {
    "weight norm": 2 * NORMED, "images layout": 2 * BATCH * 3 * 1024 * 4e-6,
    "relu+pool1": Y1 + P1 * 1.25, "relu+pool2": Y2 + P2 * 1.25, "flatten": 2 * P2,
    "cross entropy": 0.04, "loss seed": 0.0001, "fc2 db": 0.02, "relu backward": 1.6, "fc1 db": 0.52,
    "flatten back": 2 * P2, "pool2 backward": Y2 + P2 * 1.25, "conv2 db": Y2,
    "pool1 backward": Y1 + P1 * 1.25, "conv1 db": Y1, "weight norm backward": 3 * NORMED,
    "SGD": 5 * PARAMETERS}
PRODUCTS = {  # rows, columns, depth; operands' megabytes and the result's
    "conv1 y": (BATCH * 1024, 64, 27, 6.3 + Y1), "conv2 y": (BATCH * 256, 128, 576, P1 + Y2),
    "fc1 y": (BATCH, 256, 8192, 25.7), "fc2 y": (BATCH, 10, 256, 0.56), "fc2 dw": (10, 256, BATCH, 0.56),
    "fc2 dx": (BATCH, 256, 10, 0.56), "fc1 dw": (256, 8192, BATCH, 25.7),
    "fc1 dx": (BATCH, 8192, 256, 25.7), "conv2 dw": (128, 576, BATCH * 256, P1 + Y2),
    "conv2 dx": (BATCH * 256, 64, 1152, P1 + Y2), "conv1 dw": (64, 27, BATCH * 1024, 6.3 + Y1)}
SAME_SIZE = {  # in `bench kernels`, so that both are in the same half
    "conv1": f"{BATCH}x3x32x32, 3x3 to 64", "conv2": f"{BATCH}x64x16x16, 3x3 to 128"}
NEWEST_STEP = ["weight norm", "conv1 y", "relu+pool1", "conv2 y", "relu+pool2", "flatten", "fc1 y",
               "its splits", "fc2 y", "its splits", "cross entropy", "loss seed", "fc2 dw", "its splits",
               "fc2 dx", "relu backward", "fc1 dw", "fc1 dx", "flatten back", "pool2 backward",
               "conv2 dw", "its splits", "conv2 dx", "pool1 backward", "conv1 dw", "its splits",
               "weight norm backward", "SGD"]


def ceil_div(n, parts):
    return -(-n // parts)


def step_row(source, what, before, us, blocks, kernel, megabytes):
    """A launch of a step. before: the launch before it, whose splits it may add up."""
    launch = {"name": what, "blocks": blocks, "threads": 256}
    if what == "its splits":
        what = f"its splits, {before['name']}"
        if "cores" in before:
            rows, columns, _, _ = before["size"]
            launch["bytes"] = round(4 * rows * columns * (before["left"] + 1))
        else:
            launch["bytes"] = round(1e6 * megabytes)
    elif what in PRODUCTS:
        rows, columns, depth, tensors = PRODUCTS[what]
        down, across, pack = map(int, re.search(r"(\d), (\d), (\d)", kernel.split("Grad")[-1]).groups())
        tile = [64 * down, 64 * across]
        splits = ceil_div(blocks, ceil_div(rows, tile[0]) * ceil_div(columns, tile[1]))
        steps = ceil_div(ceil_div(depth, 8), splits)
        written = 4e-6 * rows * columns * (splits if splits > 1 else 0)
        launch.update({"cores": "float", "tile": tile, "pack": pack, "block_depth": 8 * steps,
                       "splits": 1, "left": splits, "size": [rows, columns, depth, 1],
                       "bytes": round(1e6 * (tensors + written))})
    else:
        launch["bytes"] = round(1e6 * STREAMS.get(what, megabytes))
    return {"name": what, "source": source, "us": round(us, 3), "launches": [launch]}


def step_rows(report, older):
    rows = []
    before = {}
    newest = [(what, entry["us"], entry["blocks"], entry["kernel"], entry["mb"])
              for what, entry in zip(NEWEST_STEP, report["ncu"], strict=True)]
    for source, launches in (("ncu", newest), ("older ncu", older)):
        for launch in launches:
            rows.append(step_row(source, launch[0], before, *launch[1:]))
            before = rows[-1]["launches"][0]
    return rows


def older_launches():
    import csv
    lines = (RESULTS / OLDER_STEP).read_text().splitlines()
    reader = csv.DictReader(line for line in lines if not line.startswith("#"))
    return [(row["what"], float(row["us"]), int(row["blocks"]), row["kernel"], float(row["mb"]))
            for row in reader]


def make_rows(cases_file):
    report = json.loads((RESULTS / REPORT / "report.json").read_text())
    cases = json.loads(pathlib.Path(cases_file).read_text())
    rows = product_rows(report) + case_rows(report, cases) + step_rows(report, older_launches())
    for row in rows:
        for launch in row["launches"]:
            launch.pop("left", None)
    split(rows)
    return rows


def group_of(row):
    """What is never in both halves: the same work, whoever measured it, by whatever plan."""
    words = row["name"].split()
    if words[0] in SAME_SIZE or words[0] in ("fc1", "fc2"):
        return " ".join(words[:2])
    return row["name"] if row["source"] != "bench" else " ".join(words)


def split(rows):
    groups = sorted({group_of(row) for row in rows})
    for row in rows:
        row["half"] = "held out" if groups.index(group_of(row)) % 2 else "fit"
    rows.sort(key=lambda row: (row["name"], row["source"], row["us"]))


# ---- the model, as tools/machine_model.cpp has it


def memory_us(launch, c):
    threads = min(launch["blocks"] * launch["threads"], MULTIPROCESSORS * RESIDENT_THREADS)
    return 1e-9 * launch["bytes"] * (1e6 / c["memory_gb_per_s"] + 1e6 / (threads * c["thread_gb_per_s"]))


def product_us(launch, c):
    cores = launch["cores"]
    rows, columns = launch["tile"]
    depth = launch["block_depth"]
    results = 1e-3 * rows * columns
    loads = 1e-3 * (rows + columns) * depth / launch["pack"]
    block_ns = (c[f"{cores}.multiply_ns"] * results * depth + c[f"{cores}.result_ns"] * results +
                c[f"{cores}.load_ns"] * loads)
    blocks = ceil_div(launch["blocks"], MULTIPROCESSORS)
    return 1e-3 * blocks * block_ns * (c[f"{cores}.alone"] if blocks == 1 else 1)


def launch_us(launch, c):
    us = memory_us(launch, c)
    if "cores" not in launch:
        return c["floor_us"] + us
    rest = 0
    if launch["splits"] > 1:
        sums = launch["blocks"] * launch["tile"][0] * launch["tile"][1]
        rest = c["floor_us"] + 8 * sums * 1e-3 / c["memory_gb_per_s"]
    return c[launch["cores"] + ".floor_us"] + max(us, product_us(launch, c)) + rest


def row_us(row, c):
    us = sum(launch_us(launch, c) for launch in row["launches"])
    if row["source"] == "bench":  # events around the launches, and the gaps between them
        us += c["event_us"] + c["launch_us"] * (len(row["launches"]) - 1)
    return us


# ---- the fit


def errors(rows, c):
    return [abs(row_us(row, c) / row["us"] - 1) for row in rows]


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def complete(c):
    """Constants that no row of the fit tells from others."""
    full = dict(LAUNCH, **c)
    full["tensor.multiply_ns"] = MMA_NS
    # The measured products of tensor cores are all long.
    full["tensor.alone"] = full["float.alone"]
    full["tensor.floor_us"] = full["float.floor_us"]
    for name in ("multiply_ns", "load_ns", "result_ns", "alone", "floor_us"):
        # Assumed: nothing in the models is float64.
        full[f"double.{name}"] = full[f"float.{name}"] * (2 if name.endswith("_ns") else 1)
    return full


def fit(rows):
    """Constants with the least mean error in factors: a search along each of them, in ever finer steps."""
    rows = [row for row in rows if row["half"] == "fit"]

    def loss(c):
        full = complete(c)
        if not 1 <= full["float.alone"] <= 2:
            return math.inf  # one block is done no later than two of its kind
        # A factor of two off counts as 0.69 either way.
        return sum(abs(math.log(row_us(row, full) / row["us"])) for row in rows) / len(rows)

    best = dict(START)
    least = loss(best)
    step = 1.6
    while step > 1.005:
        improved = False
        for name in best:
            for factor in (step, 1 / step):
                tried = dict(best, **{name: best[name] * factor})
                cost = loss(tried)
                if cost < least * (1 - 1e-9):
                    best, least, improved = tried, cost, True
        if not improved:
            step = step ** 0.5
    return complete({name: float(f"{value:.4g}") for name, value in best.items()})


# ---- what it writes


def constants_text(c, summary):
    def cores(name):
        return ("{" + ", ".join(f"{c[f'{name}.{field}']:.4g}" for field in
                                ("multiply_ns", "load_ns", "result_ns", "alone", "floor_us")) + "}")
    peaks = ", ".join(f"{PEAK[name]:g}" for name in ("float", "double", "tensor", "tf32"))
    return f"""// Made by tools/fit_machine.py --write. Do not edit.
//
// Constants of an H200, fitted to kernels that were measured on one (NVIDIA H200, driver
// 580.159.04, 2026-11-27): docs/results/{REPORT}/report.json and
// docs/results/{OLDER_STEP}, as rows in docs/results/h200_kernels.json.

#include "tools/machine_model.h"

namespace warptape::tools {{

const MachineModel& h200() {{
  static const MachineModel machine = {{
      .name = "h200",
      .origin =
          "fitted to kernels that an NVIDIA H200 ran on 2026-11-27 "
          "(docs/results/{REPORT}), "
          "{summary}",
      .multiprocessors = {MULTIPROCESSORS},
      .launch_us = {c["launch_us"]:.4g},
      .event_us = {c["event_us"]:.4g},
      .floor_us = {c["floor_us"]:.4g},
      .copy_gb_per_s = {COPY:g},
      .memory_gb_per_s = {c["memory_gb_per_s"]:.4g},
      .thread_gb_per_s = {c["thread_gb_per_s"]:.4g},
      .resident_threads = {RESIDENT_THREADS},
      .peak_tflop_per_s = {{{peaks}}},
      // Nanoseconds of multiplying, loading and results, factor of a block alone, floor.
      .cores = {{{cores("float")},
                {cores("double")},
                {cores("tensor")}}},
      // Assumed.
      .tf32_factor = 2,
      .staged_loads = {STAGED_LOADS},
      .ffma_ns = {FFMA_NS},
      .ffma_share = {FFMA_SHARE}}};
  return machine;
}}

}}  // namespace warptape::tools
"""


def rows_text(rows):
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    return f"""{{"origin":["kernels timed on an NVIDIA H200 on 2026-11-27; made by tools/fit_machine.py",
"bench (cold medians) and ncu: docs/results/{REPORT}/report.json",
"older ncu: docs/results/{OLDER_STEP}"],
"rows":[
{lines}
]}}
"""


def halves(rows, c):
    """Rows and median errors of the half that was fitted, and of the other."""
    result = []
    for half in ("fit", "held out"):
        part = [row for row in rows if row["half"] == half]
        result += [len(part), median(errors(part, c))]
    return result


def print_assumed(rows, c):
    """What kernels that were not measured would take for the largest products, by what is assumed."""
    staged = dict(c, **{"tensor.load_ns": c["tensor.load_ns"] * STAGED_LOADS})
    tf32 = dict(staged, **{"tensor.multiply_ns": 2 * c["tensor.multiply_ns"]})
    ffma = dict(c, **{"float.multiply_ns": FFMA_NS / FFMA_SHARE, "float.load_ns": 0.0})
    for row in rows:
        if row["source"] != "bench" or not re.match(r"(gemm 4096|conv2) ", row["name"]):
            continue
        product = row["launches"][0]
        flops = 2 * math.prod(product["size"])
        variants = [("float32 by cp.async", product, ffma)]
        if product["cores"] == "tensor":
            variants = [("bfloat16, 4 stages", product, staged),
                        ("TF32, 4 stages", dict(product, pack=4, bytes=2 * product["bytes"]), tf32)]
        for name, launch, constants in variants:
            us = launch_us(launch, constants)
            print(f"{row['name'][:44]:<45}{name:<20}{us:8.0f} us {1e-6 * flops / us:6.0f} TFLOP/s; the "
                  f"measured kernel took {row['us']:.0f} us")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--rows", metavar="CASES")
    parser.add_argument("--list", action="store_true", help="print every row")
    parser.add_argument("--assumed", action="store_true", help="print what is assumed of kernels to come")
    arguments = parser.parse_args()
    if arguments.rows:
        rows = make_rows(arguments.rows)
    else:
        rows = json.loads(ROWS.read_text())["rows"]
    c = fit(rows)
    fitted, fit_error, held_out, error = halves(rows, c)
    summary = (f"median error {100 * error:.1f} % of {held_out} held out, "
               f"{100 * fit_error:.1f} % of {fitted} fitted")
    for row in rows:
        row["predicted_us"] = float(f"{row_us(row, c):.7g}")
    texts = {CONSTANTS: constants_text(c, summary), ROWS: rows_text(rows)}
    if arguments.write or arguments.rows:
        for path, text in texts.items():
            path.write_text(text)
    if arguments.list:
        for row in rows:
            print(f"{row['half']:<9}{row['source']:<10}{row['name'][:56]:<57}{row['us']:>9.1f} us, predicted "
                  f"{row['predicted_us']:>8.1f} ({100 * (row['predicted_us'] / row['us'] - 1):+.0f} %)")
    for name, value in c.items():
        print(f"{name:<20}{value:.4g}")
    print(summary)
    for label, keep in (("products", lambda row: "cores" in row["launches"][0]),
                        ("others", lambda row: "cores" not in row["launches"][0]),
                        ("of less than 20 us", lambda row: row["us"] < 20),
                        ("of 20 us and more", lambda row: row["us"] >= 20)):
        part = errors([row for row in rows if row["half"] == "held out" and keep(row)], c)
        print(f"  held out, {label}: {len(part)}, median {100 * median(part):.1f} %, "
              f"worst {100 * max(part):.0f} %")
    step = [row for row in rows if row["source"] == "ncu"]
    print(f"the {len(step)} launches of the report's step: predicted {sum(row_us(row, c) for row in step):.0f} us, "
          f"measured {sum(row['us'] for row in step):.0f}")
    if arguments.assumed:
        print_assumed(rows, c)
    if arguments.check:
        stale = [str(path.relative_to(ROOT)) for path, text in texts.items()
                 if not path.is_file() or path.read_text() != text]
        if stale:
            sys.exit(f"not what tools/fit_machine.py --write makes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
