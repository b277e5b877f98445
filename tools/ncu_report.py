#!/usr/bin/env python3
"""What Nsight Compute measured of each kernel of one training step, as a table and as JSON.

  ncu --csv --page raw --print-units base --clock-control none --metrics METRICS --log-file FILE \\
      warptape bench step simple_cnn ...
  python3 tools/ncu_report.py FILE [--json JSON]

METRICS is what `python3 tools/ncu_report.py --metrics` prints. Of the launches in FILE those of the
last whole step count: what runs from the end of one optimizer step to the end of the next.
"""

import argparse
import csv
import json
import re
import sys

# Names in the JSON, and what ncu calls them.
METRICS = {
    "us": "gpu__time_duration.sum",
    "mb": "dram__bytes.sum",
    "dram_percent": "dram__throughput.avg.pct_of_peak_sustained_elapsed",
    "sm_percent": "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "registers": "launch__registers_per_thread",
    "occupancy_percent": "sm__warps_active.avg.pct_of_peak_sustained_active",
    "blocks": "launch__grid_size",
    "threads": "launch__block_size",
}
# To microseconds and megabytes, by ncu's units; others stay.
FACTORS = {"ns": 1e-3, "nsecond": 1e-3, "us": 1, "usecond": 1, "ms": 1e3, "msecond": 1e3, "s": 1e6,
           "second": 1e6, "byte": 1e-6, "Kbyte": 1e-3, "Mbyte": 1, "Gbyte": 1e3}
LAST_KERNEL = "optimizer_step"


class Unreadable(Exception):
    """No table of ncu's."""


def number(text):
    """ncu groups digits: 1,234.5."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def short(name):
    """Without parameters, return type, our namespace, and what says nothing in a table."""
    depth = 0
    for i in range(len(name) - 1, -1, -1):
        depth += (name[i] == ")") - (name[i] == "(")
        if name[i] == "(" and depth == 0 and not name[i:].startswith("(anonymous namespace)"):
            name = name[:i]
            break
    name = name.removeprefix("void ").replace("<unnamed>::", "").replace(
        "(anonymous namespace)::", "").replace("warptape::", "")
    return re.sub(r"\((?:int|bool|unsigned int|long)\)", "", name)


def read(lines):
    """One dictionary per launch, in the order of the launches."""
    rows = list(csv.reader(line for line in lines if line.startswith('"')))
    if len(rows) < 3 or "Kernel Name" not in rows[0]:
        errors = " ".join(line.strip() for line in lines if line.startswith("==ERROR=="))
        raise Unreadable(f"no table of ncu's: {errors or 'it is empty'}")
    header, units = rows[0], rows[1]
    missing = [metric for metric in METRICS.values() if metric not in header]
    if missing:
        raise Unreadable("columns that are not there: " + ", ".join(missing))
    launches = []
    for row in rows[2:]:
        launch = {"kernel": short(row[header.index("Kernel Name")])}
        for name, metric in METRICS.items():
            column = header.index(metric)
            value = number(row[column])
            if value is not None:
                value *= FACTORS.get(units[column], 1)
            whole = name in ("registers", "blocks", "threads")
            launch[name] = int(value) if whole and value is not None else value
        launches.append(launch)
    return launches


def last_step(launches):
    ends = [i for i, launch in enumerate(launches) if LAST_KERNEL in launch["kernel"]]
    if len(ends) < 2:
        raise Unreadable(f"{len(ends)} launches of {LAST_KERNEL}, wanted 2: no whole step")
    return launches[ends[-2] + 1:ends[-1] + 1]


def table(launches):
    def text(value, digits):
        return "?" if value is None else f"{value:.{digits}f}"

    lines = ["| us | MB | dram % | sm % | occupancy % | registers | blocks | threads | kernel |",
             "|---:|---:|---:|---:|---:|---:|---:|---:|---|"]
    for launch in launches:
        cells = [text(launch["us"], 1), text(launch["mb"], 1), text(launch["dram_percent"], 0),
                 text(launch["sm_percent"], 0), text(launch["occupancy_percent"], 0),
                 *(str(launch[name]) for name in ("registers", "blocks", "threads")),
                 f"`{launch['kernel'][:100].replace('|', '/')}`"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", nargs="?", metavar="FILE")
    parser.add_argument("--json", metavar="JSON", help="also write the launches here")
    parser.add_argument("--metrics", action="store_true", help="print what ncu is to measure")
    arguments = parser.parse_args()
    if arguments.metrics:
        print(",".join(METRICS.values()))
        return
    if not arguments.csv:
        parser.error("wanted a file")
    with open(arguments.csv, newline="", errors="replace") as file:
        try:
            launches = last_step(read(list(file)))
        except Unreadable as error:
            sys.exit(f"{arguments.csv}: {error}")
    print(table(launches))
    total = sum(launch["us"] or 0 for launch in launches)
    moved = sum(launch["mb"] or 0 for launch in launches)
    print(f"\n{len(launches)} launches, {total / 1000:.2f} ms of kernels, {moved:.0f} MB of device "
          "memory")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(launches, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
