#!/usr/bin/env python3
"""Writes tests/golden/sequences.json: PyTorch's values and gradients of the ops of sequences: conv1d.

The format is that of ops.json (generate_ops.py), and so is what the committed
file was written with. To write it again, from the repository root:

    python3 tests/golden/generate_sequences.py
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from generate_ops import add, cases, randn, write

OUTPUT = Path(__file__).with_name("sequences.json")


def conv1d_cases():
    """Padding as (left, right), "same" or "causal"."""
    def conv1d(x, weight, bias=None, *, padding, stride, dilation, groups):
        if padding == "causal":
            padding = ((weight.shape[2] - 1) * dilation, 0)
        if padding != "same":
            x, padding = F.pad(x, padding), 0
        return F.conv1d(x, weight, bias, stride, padding, dilation, groups)

    def case(name, x, weight, padding=(0, 0), bias=True, stride=1, dilation=1, groups=1):
        inputs = [randn(*x), randn(*weight)] + ([randn(weight[0])] if bias else [])
        add("conv1d", name, conv1d, inputs, stride=stride,
            padding=padding if isinstance(padding, str) else list(padding), dilation=dilation,
            groups=groups)

    case("plain", (2, 3, 7), (4, 3, 3))
    case("no_bias", (2, 3, 7), (4, 3, 1), bias=False)
    case("padding", (2, 2, 6), (3, 2, 4), (2, 2))
    case("sides", (1, 2, 6), (3, 2, 3), (0, 3), stride=2)
    case("same", (2, 2, 6), (3, 2, 4), "same", dilation=2)
    case("causal", (2, 3, 9), (4, 3, 3), "causal", dilation=2)
    case("causal_beyond_x", (1, 2, 5), (2, 2, 3), "causal", dilation=4)
    case("causal_stride", (2, 2, 8), (3, 2, 3), "causal", stride=3)
    case("causal_groups", (2, 4, 6), (6, 2, 2), "causal", groups=2, dilation=3)
    case("causal_depthwise", (2, 3, 7), (3, 1, 3), "causal", groups=3)
    case("all_at_once", (2, 4, 11), (6, 2, 3), (1, 4), stride=2, dilation=2, groups=2)


def main():
    torch.manual_seed(23)
    torch.set_num_threads(1)
    conv1d_cases()
    write(OUTPUT, cases)


if __name__ == "__main__":
    main()
