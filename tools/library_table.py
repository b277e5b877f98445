#!/usr/bin/env python3
"""Makes kernels/vendor/measured_products.cpp from reports of tools/gpu_check.sh: which products of
`warptape bench kernels` took how long by our kernels and by a library's. The program chooses by that
table (kernels/vendor/choice.h).

  python3 tools/library_table.py               from docs/results/*/report.json
  python3 tools/library_table.py --check       exit status 1 if the file is not what they give
  python3 tools/library_table.py REPORT...     from these

Where reports measured the same product on the same architecture, the newest one counts. A product
that only our kernels ran is left out: nothing was compared. One that the library has no kernel for
is in, with 0 for the library. Reports of emulated devices and dry runs are refused.
"""

import argparse
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "kernels/vendor/measured_products.cpp"
PRECISIONS = {"float32": "Float32", "tf32": "Tf32", "bfloat16": "Bfloat16", "float64": "Float64"}
LIBRARIES = ("cuBLASLt", "cuDNN")
# Of a linear layer, by the last word of its name: whether a and b are transposed, and whether ReLU's
# gradient is part of it.
LAYOUTS = {"y": (0, 1, 0), "dx": (0, 0, 0), "dw": (1, 0, 0), "dh": (0, 0, 1), "nn": (0, 0, 0),
           "nt": (0, 1, 0), "tn": (1, 0, 0), "tt": (1, 1, 0)}
CONV_KINDS = {"y": "Conv2d", "dx": "Conv2dDataGrad", "dw": "Conv2dWeightGrad"}
GEMM = re.compile(r"\((\d+) x (\d+)\) \((\d+) x (\d+)\)(?:, (\d+) batches)?$")
CONV = re.compile(r"(\d+)x(\d+)x(\d+)x(\d+), (\d+)x(\d+) to (\d+)((?:, (?:stride|groups) \d+)*)$")


class Unknown(Exception):
    """A row that this script cannot read."""


def product_of(name, shape, precision, library):
    """The fields of a Product, in the order of the table."""
    word = name.split()[-1]
    gemm = GEMM.match(shape)
    if gemm:
        m, k, k2, n, batches = (int(size or 1) for size in gemm.groups())
        if k != k2:
            raise Unknown(f"{name}: {shape}: the matrices do not fit")
        return ("Gemm", precision, m, n, k, 1, batches, *LAYOUTS.get(word, (0, 0, 0)), 0)
    conv = CONV.match(shape)
    if not conv or word not in CONV_KINDS:
        raise Unknown(f"{name}: {shape}: neither matrices nor a convolution")
    batch, channels, height, width, kernel_height, kernel_width, out = map(int, conv.groups()[:7])
    options = dict(re.findall(r"(stride|groups) (\d+)", conv.group(8)))
    stride, groups = int(options.get("stride", 1)), int(options.get("groups", 1))
    taps = kernel_height * kernel_width
    pixels = batch * -(-height // stride) * -(-width // stride)  # padded to keep the size
    if library == "cuBLASLt":
        # A convolution of one pixel and one tap, multiplied as matrices.
        if height * width * taps * groups != 1:
            raise Unknown(f"{name}: {shape}: by cuBLASLt, but no matrices")
        m, n, k = {"y": (batch, out, channels), "dx": (batch, channels, out),
                   "dw": (out, channels, batch)}[word]
        return ("Gemm", precision, m, n, k, 1, 1, *LAYOUTS[word], 0)
    depthwise = int(groups > 1 and groups == channels)
    return (CONV_KINDS[word], precision, pixels, out // groups, taps * channels // groups, taps,
            groups, 0, 0, 0, depthwise)


def rows_of(report, warn):
    """{(architecture, fields of the product): (ours, library) in microseconds} of one report."""
    kernels = report["kernels"]
    if report.get("dry_run") or kernels["emulated"]:
        raise ValueError("it was not made on a GPU")
    ours, by_library = {}, {}
    for row in kernels["results"]:
        if "flops" not in row:
            continue
        key = (row["name"], row["shape"], row["precision"])
        time = 1000 * row["cold"]["median_ms"]
        if row["by"] == "ours":
            ours[key] = time
        elif row["by"] in LIBRARIES:
            by_library[key] = (row["by"], time)
    for item in kernels.get("not_run") or []:
        words = re.match(r"(.*) by (\S+) in (\S+)$", item["name"])
        if words:  # a product, else a whole library that is not there
            for name, shape, precision in list(ours):
                if name == words.group(1) and precision in ("float32", words.group(3)):
                    by_library[name, shape, words.group(3)] = (words.group(2), 0)

    rows = {}
    for (name, shape, precision), (library, time) in by_library.items():
        # Of reports from before our kernels rounded to TF32 their float32 stands for it.
        own = ours.get((name, shape, precision))
        if own is None and precision == "tf32":
            own = ours.get((name, shape, "float32"))
        if own is None:
            warn(f"{name}: {shape} in {precision}: not measured with our kernels")
            continue
        try:
            product = product_of(name, shape, PRECISIONS[precision], library)
        except Unknown as error:
            warn(str(error))
            continue
        rows[(kernels["compute_capability"], *product)] = (own, time)
    return rows


def format_row(key, times):
    architecture, kind, precision, *numbers = key
    fields = ", ".join(str(number) for number in numbers)
    return (f"      {{{architecture}, {{{kind}, {precision}, {fields}}}, "
            f"{times[0]:.1f}, {times[1]:.1f}}},\n")


def table_of(paths, warn=lambda text: print(text, file=sys.stderr)):
    """The text of the file."""
    reports = []
    for path in paths:
        report = json.loads(path.read_text())
        if "kernels" not in report:
            warn(f"{path}: it measured no kernels")
            continue
        reports.append((report["date"], path, report))
    rows, sources = {}, []
    for date, path, report in sorted(reports, key=lambda item: item[:2]):
        try:
            found = rows_of(report, lambda text: warn(f"{path}: {text}"))
        except ValueError as error:
            sys.exit(f"{path}: {error}")
        rows.update(found)
        sources.append(f"// {report['gpu']}, sm_{report['architecture']}, {date}, commit "
                       f"{report['commit']}: {len(found)} products\n")
    order = ["Gemm", *CONV_KINDS.values()], list(PRECISIONS.values())
    keys = sorted(rows, key=lambda key: (key[0], order[0].index(key[1]), order[1].index(key[2]),
                                         *key[3:]))
    return ("// Made by tools/library_table.py from docs/results; not edited by hand. Of reports that "
            "measured\n// the same product the newest one counts:\n" + "".join(sources)
            + "\n#include \"kernels/vendor/choice.h\"\n\nnamespace warptape {\n\n"
            "std::span<const MeasuredProduct> measured_products() {\n"
            "  using enum ProductKind;\n  using enum Precision;\n"
            "  // clang-format off\n"
            "  // Architecture; kind, precision, m, n, k, taps, groups, a transposed, b transposed,\n"
            "  // gradient of ReLU, depthwise; microseconds of our kernel, and of the library.\n"
            "  static const MeasuredProduct table[] = {\n"
            + "".join(format_row(key, rows[key]) for key in keys)
            + "  };\n  // clang-format on\n  return table;\n}\n\n}  // namespace warptape\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="*", type=pathlib.Path, metavar="REPORT")
    parser.add_argument("--check", action="store_true", help="write nothing; compare")
    parser.add_argument("--output", type=pathlib.Path, default=TABLE, metavar="FILE")
    arguments = parser.parse_args()
    paths = arguments.reports or sorted(ROOT.glob("docs/results/*/report.json"))
    text = table_of(paths)
    if arguments.check:
        if arguments.output.read_text() != text:
            sys.exit(f"{arguments.output}: not what the reports give; run tools/library_table.py")
        return
    arguments.output.write_text(text)
    print(f"{arguments.output}: {text.count('      {')} products of {len(paths)} report(s)")


if __name__ == "__main__":
    main()
