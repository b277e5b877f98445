#!/usr/bin/env python3
"""Writes tests/golden/windows.json: PyTorch's values and gradients of transposed convolutions and
of pooling along sequences.

The format is that of ops.json (generate_ops.py), and so is what the committed
file was written with. To write it again, from the repository root:

    python3 tests/golden/generate_windows.py
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from generate_ops import add, cases, randn, write

OUTPUT = Path(__file__).with_name("windows.json")


def conv_transpose1d_cases():
    """Padding as (left, right)."""
    def conv_transpose1d(x, weight, bias=None, *, padding, stride, output_padding, dilation, groups):
        left, right = padding
        both = min(left, right)
        y = F.conv_transpose1d(x, weight, bias, stride, both, output_padding, groups, dilation)
        return y[..., left - both:y.shape[-1] - (right - both)]

    def case(name, x, weight, padding=(0, 0), bias=True, stride=1, output_padding=0, dilation=1,
             groups=1):
        inputs = [randn(*x), randn(*weight)] + ([randn(weight[1] * groups)] if bias else [])
        add("conv_transpose1d", name, conv_transpose1d, inputs, stride=stride,
            padding=list(padding), output_padding=output_padding, dilation=dilation, groups=groups)

    case("plain", (2, 3, 5), (3, 4, 3))
    case("no_bias", (2, 3, 5), (3, 4, 1), bias=False)
    case("twice", (2, 3, 4), (3, 2, 4), (1, 1), stride=2)
    case("output_padding", (1, 2, 4), (2, 3, 2), stride=3, output_padding=2)
    case("output_padding_below_dilation", (1, 2, 4), (2, 3, 2), output_padding=2, dilation=3)
    case("padding_beyond_kernel", (1, 2, 7), (2, 2, 2), (2, 2))
    case("sides", (1, 2, 4), (2, 3, 4), (0, 2), stride=2)
    case("groups", (2, 4, 4), (4, 3, 2), groups=2, stride=2)
    case("depthwise", (2, 3, 5), (3, 1, 3), groups=3)
    case("all_at_once", (2, 4, 4), (4, 3, 3), (2, 1), stride=3, output_padding=1, dilation=2,
         groups=2)

    def of_layer(x, v, g, bias):
        layer = weight_norm(nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2, dtype=torch.float64))
        state = {"bias": bias, "parametrizations.weight.original0": g,
                 "parametrizations.weight.original1": v}
        assert {name: p.shape for name, p in layer.named_parameters()} == {
            name: p.shape for name, p in state.items()}
        return torch.func.functional_call(layer, state, (x,))

    add("weight_normed_conv_transpose1d", "groups", lambda *inputs, **_: of_layer(*inputs),
        [randn(2, 4, 3), randn(4, 3, 3), randn(4, 1, 1), randn(6)], stride=2, groups=2)


def conv_transpose2d_cases():
    def case(name, x, weight, bias=True, **options):
        inputs = [randn(*x), randn(*weight)]
        if bias:
            inputs.append(randn(weight[1] * options.get("groups", 1)))
        pairs = {key: list(options.get(key, (default, default))) for key, default in
                 (("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1))}
        add("conv_transpose2d", name, F.conv_transpose2d, inputs, **pairs,
            groups=options.get("groups", 1))

    case("plain", (2, 2, 3, 4), (2, 3, 3, 2))
    case("twice", (1, 3, 3, 2), (3, 2, 4, 4), stride=(2, 2), padding=(1, 1))
    case("output_padding", (1, 2, 2, 3), (2, 2, 2, 3), bias=False, stride=(3, 2), padding=(0, 1),
         output_padding=(2, 1))
    case("groups", (2, 4, 2, 3), (4, 2, 2, 2), stride=(1, 2), groups=2)
    case("all_at_once", (1, 4, 3, 3), (4, 3, 3, 2), stride=(2, 3), padding=(2, 1),
         output_padding=(1, 2), dilation=(2, 1), groups=2)


def pool1d_cases():
    def case(op, name, function, shape, **options):
        # Distinct numbers, so that no maximum is a tie.
        x = torch.randperm(torch.Size(shape).numel()).reshape(shape).to(torch.float64) / 8 - 2
        add(op, name, function, [x], **options)

    def max_case(name, shape, kernel_size, stride, padding=0, dilation=1, ceil_mode=False):
        case("max_pool1d", name, F.max_pool1d, shape, kernel_size=kernel_size, stride=stride,
             padding=padding, dilation=dilation, ceil_mode=ceil_mode)

    max_case("two", (2, 3, 7), 2, 2)
    max_case("all_at_once", (2, 2, 11), 3, 2, padding=1, dilation=2, ceil_mode=True)

    def avg_case(name, shape, kernel_size, stride, padding=0, ceil_mode=False,
                 count_include_pad=True):
        case("avg_pool1d", name, F.avg_pool1d, shape, kernel_size=kernel_size, stride=stride,
             padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad)

    avg_case("two", (2, 3, 7), 2, 2)
    avg_case("ceil_mode", (2, 2, 8), 3, 2, padding=1, ceil_mode=True)
    avg_case("padding_not_counted", (1, 2, 8), 3, 2, padding=1, ceil_mode=True,
             count_include_pad=False)

    for name, shape, output_size in (
            ("whole", (2, 3, 5), 1), ("equal", (2, 3, 6), 3), ("unequal", (2, 3, 7), 3),
            ("unequal_shared", (1, 2, 11), 8), ("more_than_x", (2, 2, 3), 7)):
        case("adaptive_avg_pool1d", name, F.adaptive_avg_pool1d, shape, output_size=output_size)
    for name, shape, output_size in (
            ("equal", (2, 2, 6), 3), ("unequal", (2, 3, 7), 3), ("more_than_x", (2, 2, 3), 7)):
        case("adaptive_max_pool1d", name, F.adaptive_max_pool1d, shape, output_size=output_size)


def shorter_than_window_cases():
    """In ceil_mode a window may reach beyond all of x."""
    add("max_pool1d", "shorter_than_window", F.max_pool1d, [randn(2, 3, 2)], kernel_size=9, stride=4,
        padding=3, dilation=1, ceil_mode=True)
    for padded in (True, False):
        add("avg_pool1d", f"shorter_than_window_{padded}", F.avg_pool1d, [randn(2, 2, 2)],
            kernel_size=4, stride=5, padding=1, ceil_mode=True, count_include_pad=padded)


def main():
    torch.manual_seed(29)
    torch.set_num_threads(1)
    conv_transpose1d_cases()
    conv_transpose2d_cases()
    pool1d_cases()
    shorter_than_window_cases()
    write(OUTPUT, cases)


if __name__ == "__main__":
    main()
