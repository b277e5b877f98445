#!/usr/bin/env python3
"""Writes tests/golden/ops.json: outputs and gradients of PyTorch's operations.

The C++ tests replay every case and compare values and gradients. All numbers
are float64 results of PyTorch on the CPU; the committed file was written with
PyTorch 2.15.0. To write it again, from the repository root:

    python3 tests/golden/generate_ops.py

Each case holds the operation, its options, the inputs, the output, a random
gradient of the output (absent for integer outputs) and the gradient of every
input (null where there is none). Tensors are {"shape", "dtype", "data"} with
the data flat in row-major order.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

OUTPUT = Path(__file__).with_name("ops.json")

cases = []


def randn(*shape):
    """Normal random numbers of four decimals, which keep the file small."""
    return torch.randn(shape, dtype=torch.float64).round(decimals=4)


def away_from_zero(*shape):
    """Random numbers of either sign, at least 0.1 away from a kink at zero."""
    x = randn(*shape)
    return (x + torch.where(x < 0, -0.1, 0.1)).round(decimals=4)


def tensor_json(t):
    if t is None:
        return None
    t = t.detach()
    return {
        "shape": list(t.shape),
        "dtype": str(t.dtype).removeprefix("torch."),
        "data": t.reshape(-1).tolist(),
    }


def add(op, name, function, inputs, **options):
    """Records function(*inputs, **options) and its gradients as one case."""
    inputs = [t.clone().requires_grad_(t.is_floating_point()) for t in inputs]
    output = function(*inputs, **options)
    case = {
        "op": op,
        "name": name,
        "options": options,
        "inputs": [tensor_json(t) for t in inputs],
        "output": tensor_json(output),
    }
    if output.is_floating_point():
        grad_output = randn(*output.shape)
        output.backward(grad_output)
        case["grad_output"] = tensor_json(grad_output)
        case["grads"] = [tensor_json(t.grad) for t in inputs]
    else:
        case["grads"] = [None for _ in inputs]
    cases.append(case)


def write(path, cases):
    lines = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    version = torch.__version__.split("+")[0]
    path.write_text(f'{{"torch": "{version}", "cases": [\n{lines}\n]}}\n')
    print(f"{path}: {len(cases)} cases, {path.stat().st_size / 1024:.0f} KB")


def elementwise_cases():
    functions = {
        "add": torch.add,
        "sub": torch.sub,
        "mul": torch.mul,
        "div": torch.div,
    }
    shapes = {
        "same_shape": ((2, 3), (2, 3)),
        "last_dim": ((2, 3, 4), (4,)),
        "both_sides": ((2, 3, 1, 5), (3, 4, 1)),
        "matrix_scalar": ((3, 4), ()),
        "scalar_matrix": ((), (3, 4)),
    }
    for op, function in functions.items():
        for name, (a, b) in shapes.items():
            second = away_from_zero(*b) if op == "div" else randn(*b)
            add(op, name, function, [randn(*a), second])

    add("relu", "random", F.relu, [away_from_zero(3, 7)])
    add("relu", "exact_zeros", F.relu,
        [torch.tensor([-1.5, -0.0, 0.0, 2.5], dtype=torch.float64)])
    add("exp", "random", torch.exp, [randn(2, 5)])
    add("log", "random", torch.log, [away_from_zero(2, 5).abs()])


def reduction_cases():
    def reduction(function):
        def apply(x, dims, keepdim):
            return function(x, dim=dims or tuple(range(x.dim())), keepdim=keepdim)
        return apply

    functions = {
        "sum": reduction(torch.sum),
        "mean": reduction(torch.mean),
        "max": reduction(torch.amax),
    }
    for op, function in functions.items():
        for dims, keepdim in [([], False), ([], True), ([0], False), ([1], True),
                              ([-1], False), ([0, 2], False), ([1, 2], True)]:
            name = "dims_" + ("_".join(map(str, dims)) or "all")
            name += "_keepdim" if keepdim else ""
            add(op, name, function, [randn(2, 3, 4)], dims=dims, keepdim=keepdim)
        add(op, "scalar", function, [randn()], dims=[], keepdim=False)

    ties = torch.tensor([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [5.0, 1.0, 4.0, 5.0]],
                        dtype=torch.float64)
    add("max", "ties_rows", functions["max"], [ties], dims=[1], keepdim=False)
    add("max", "ties_all", functions["max"], [ties], dims=[], keepdim=False)

    for dim in (None, 0, 1, -1):
        for keepdim in (False, True):
            name = "dim_" + ("all" if dim is None else str(dim))
            name += "_keepdim" if keepdim else ""
            add("argmax", name, torch.argmax, [randn(3, 4, 2)], dim=dim, keepdim=keepdim)


def matmul_cases():
    def matmul(a, b, transpose_a, transpose_b):
        a = a.transpose(-1, -2) if transpose_a else a
        b = b.transpose(-1, -2) if transpose_b else b
        return a @ b

    for name, a, b, transpose_a, transpose_b in [
        ("plain", (3, 4), (4, 5), False, False),
        ("transpose_a", (4, 3), (4, 5), True, False),
        ("transpose_b", (3, 4), (5, 4), False, True),
        ("transpose_both", (4, 3), (5, 4), True, True),
        ("one_row", (1, 7), (7, 3), False, False),
        ("batched", (2, 3, 4), (2, 4, 5), False, False),
        ("batched_transpose_a", (2, 4, 3), (2, 4, 5), True, False),
        ("batched_transpose_b", (2, 3, 4), (2, 5, 4), False, True),
        ("broadcast_left", (3, 4), (2, 4, 5), False, False),
        ("broadcast_right", (2, 3, 4), (4, 5), False, False),
        ("broadcast_both", (2, 1, 3, 4), (3, 4, 2), False, False),
    ]:
        add("matmul", name, matmul, [randn(*a), randn(*b)],
            transpose_a=transpose_a, transpose_b=transpose_b)

    add("linear", "bias", F.linear, [randn(4, 6), randn(3, 6), randn(3)])
    add("linear", "no_bias", F.linear, [randn(4, 6), randn(3, 6)])
    add("linear", "rank_3", F.linear, [randn(2, 3, 5), randn(4, 5), randn(4)])


def conv_cases():
    def case(name, x, weight, bias=True, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
        inputs = [randn(*x), randn(*weight)] + ([randn(weight[0])] if bias else [])
        add("conv2d", name, F.conv2d, inputs, stride=list(stride), padding=list(padding),
            dilation=list(dilation), groups=groups)

    case("same_3x3", (2, 2, 5, 5), (3, 2, 3, 3), padding=(1, 1))
    case("no_bias", (2, 3, 5, 4), (2, 3, 3, 3), bias=False)
    case("stride_2", (2, 2, 7, 6), (3, 2, 3, 3), stride=(2, 2), padding=(1, 1))
    case("stride_unequal", (1, 2, 8, 9), (2, 2, 2, 3), stride=(3, 2))
    case("dilation", (1, 2, 9, 8), (2, 2, 3, 2), padding=(1, 2), dilation=(2, 3))
    case("stride_dilation", (1, 1, 11, 10), (2, 1, 3, 3), stride=(2, 3), padding=(2, 1),
         dilation=(2, 2))
    case("groups_2", (2, 4, 5, 5), (4, 2, 3, 3), padding=(1, 1), groups=2)
    case("depthwise", (2, 3, 5, 6), (3, 1, 3, 3), padding=(1, 1), groups=3)
    case("depthwise_multiplier", (1, 3, 6, 5), (6, 1, 2, 2), bias=False, stride=(2, 1), groups=3)
    case("odd_sizes", (1, 3, 7, 5), (2, 3, 3, 3), stride=(2, 2))
    case("pointwise", (2, 5, 3, 4), (4, 5, 1, 1))
    case("pointwise_stride_2", (2, 3, 5, 5), (2, 3, 1, 1), stride=(2, 2))
    case("non_square_kernel", (1, 2, 6, 7), (3, 2, 1, 5), padding=(0, 2))
    case("wide_padding", (1, 2, 3, 3), (2, 2, 3, 3), padding=(4, 3))
    case("kernel_is_image", (2, 2, 4, 3), (3, 2, 4, 3))


def pool_cases():
    def max_pool(x, kernel_size, stride, padding, dilation, ceil_mode):
        return F.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)

    def avg_pool(x, kernel_size, stride, padding, ceil_mode, count_include_pad):
        return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode, count_include_pad)

    def max_case(name, x, kernel, stride, padding=(0, 0), dilation=(1, 1), ceil_mode=False):
        add("max_pool2d", name, max_pool, [randn(*x)], kernel_size=list(kernel),
            stride=list(stride), padding=list(padding), dilation=list(dilation),
            ceil_mode=ceil_mode)

    max_case("2x2", (2, 3, 4, 6), (2, 2), (2, 2))
    max_case("2x2_odd", (2, 2, 5, 7), (2, 2), (2, 2))
    max_case("overlap", (1, 2, 7, 7), (3, 3), (2, 2), padding=(1, 1))
    max_case("stride_1", (1, 2, 5, 4), (2, 3), (1, 1), padding=(1, 1))
    max_case("non_square", (1, 2, 6, 9), (3, 2), (2, 3), padding=(1, 0))
    max_case("dilation", (1, 2, 8, 9), (3, 2), (2, 1), padding=(1, 1), dilation=(2, 3))
    max_case("ceil", (2, 2, 5, 5), (2, 2), (2, 2), ceil_mode=True)
    max_case("ceil_padding", (1, 2, 6, 6), (3, 3), (2, 2), padding=(1, 1), ceil_mode=True)
    max_case("ceil_drops_last_window", (1, 1, 5, 5), (2, 2), (3, 3), padding=(1, 1),
             ceil_mode=True)
    max_case("ceil_dilation", (1, 1, 8, 10), (2, 3), (3, 2), padding=(1, 1), dilation=(2, 2),
             ceil_mode=True)
    tied = torch.tensor([[1.0, 1.0, 0.0, 2.0], [1.0, 0.0, 2.0, 2.0]], dtype=torch.float64)
    add("max_pool2d", "ties", max_pool, [tied.reshape(1, 1, 2, 4)], kernel_size=[2, 2],
        stride=[2, 2], padding=[0, 0], dilation=[1, 1], ceil_mode=False)

    def avg_case(name, x, kernel, stride, padding=(0, 0), ceil_mode=False,
                 count_include_pad=True):
        add("avg_pool2d", name, avg_pool, [randn(*x)], kernel_size=list(kernel),
            stride=list(stride), padding=list(padding), ceil_mode=ceil_mode,
            count_include_pad=count_include_pad)

    avg_case("2x2", (2, 3, 4, 6), (2, 2), (2, 2))
    avg_case("odd", (2, 2, 5, 7), (2, 2), (2, 2))
    avg_case("non_square", (1, 2, 6, 9), (3, 2), (2, 3), padding=(1, 0))
    for include in (True, False):
        suffix = "_include_pad" if include else "_exclude_pad"
        avg_case("padding" + suffix, (1, 2, 6, 5), (3, 3), (2, 2), padding=(1, 1),
                 count_include_pad=include)
        avg_case("ceil" + suffix, (1, 2, 5, 6), (2, 3), (2, 2), ceil_mode=True,
                 count_include_pad=include)
        avg_case("ceil_padding" + suffix, (1, 2, 6, 6), (3, 3), (2, 2), padding=(1, 1),
                 ceil_mode=True, count_include_pad=include)
        avg_case("ceil_beyond_padding" + suffix, (1, 1, 6, 7), (4, 4), (3, 3), padding=(1, 2),
                 ceil_mode=True, count_include_pad=include)
        avg_case("ceil_drops_last_window" + suffix, (1, 1, 5, 5), (2, 2), (3, 3), padding=(1, 1),
                 ceil_mode=True, count_include_pad=include)

    def global_avg_pool(x):
        return F.adaptive_avg_pool2d(x, 1)

    add("global_avg_pool2d", "square", global_avg_pool, [randn(2, 3, 4, 4)])
    add("global_avg_pool2d", "non_square", global_avg_pool, [randn(1, 4, 3, 7)])
    add("global_avg_pool2d", "single_pixel", global_avg_pool, [randn(2, 3, 1, 1)])

    def relu_max_pool(x, kernel_size, stride, padding, dilation, ceil_mode):
        return max_pool(F.relu(x), kernel_size, stride, padding, dilation, ceil_mode)

    for name, x, kernel, stride, padding, ceil_mode in [
        ("2x2", away_from_zero(2, 3, 4, 6), 2, 2, 0, False),
        ("2x2_odd", away_from_zero(2, 2, 5, 7), 2, 2, 0, False),
        ("overlap", away_from_zero(1, 2, 7, 6), 3, 2, 1, False),
        ("ceil", away_from_zero(1, 2, 5, 5), 2, 2, 0, True),
        ("mostly_negative", away_from_zero(1, 2, 6, 6) - 1.5, 2, 2, 0, False),
        ("all_negative", -away_from_zero(1, 2, 4, 4).abs(), 2, 2, 0, False),
    ]:
        add("relu_max_pool2d", name, relu_max_pool, [x], kernel_size=[kernel, kernel],
            stride=[stride, stride], padding=[padding, padding], dilation=[1, 1],
            ceil_mode=ceil_mode)


def shape_cases():
    for name, x, shape in [("split", (2, 6), [2, 3, 2]), ("merge", (2, 3, 4), [6, 4]),
                           ("inferred", (2, 3, 4), [4, -1]), ("to_vector", (2, 3), [-1]),
                           ("to_scalar", (1, 1), [])]:
        add("reshape", name, torch.reshape, [randn(*x)], shape=shape)
    for name, start, end in [("from_1", 1, -1), ("all", 0, -1), ("middle", 1, 2), ("none", 2, 2)]:
        add("flatten", name, torch.flatten, [randn(2, 3, 2, 2)], start_dim=start, end_dim=end)
    for dim0, dim1 in [(0, 1), (1, 2), (0, 2), (-1, -2), (-1, 0)]:
        add("transpose", f"dims_{dim0}_{dim1}", lambda x, dim0, dim1: x.transpose(dim0, dim1),
            [randn(2, 3, 4)], dim0=dim0, dim1=dim1)


def loss_cases():
    for op, function in {"softmax": F.softmax, "log_softmax": F.log_softmax}.items():
        add(op, "rows", function, [randn(3, 5)], dim=1)
        add(op, "columns", function, [randn(3, 5)], dim=0)
        add(op, "middle", function, [randn(2, 4, 3)], dim=1)
        add(op, "last", function, [randn(2, 4, 3)], dim=-1)
        add(op, "large_values", function, [1000 * randn(2, 4)], dim=1)

    def cross_entropy(logits, target, reduction, ignore_index, label_smoothing):
        return F.cross_entropy(logits, target, reduction=reduction, ignore_index=ignore_index,
                               label_smoothing=label_smoothing)

    target = torch.tensor([1, 0, 3, 4, 2, 3])
    some_ignored = torch.tensor([1, -100, 3, 4, -100, 3])
    map_target = torch.tensor([[0, 3, 2, 1, 1], [2, 2, 0, 3, 1]])
    map_ignored = torch.tensor([[0, 3, -100, 1, 1], [-100, 2, 0, 3, 1]])
    for reduction in ("mean", "sum"):
        for name, shape, labels, ignore_index, label_smoothing in [
            ("plain", (6, 5), target, -100, 0.0),
            ("ignore", (6, 5), some_ignored, -100, 0.0),
            ("ignore_class_3", (6, 5), target, 3, 0.0),
            ("smoothing", (6, 5), target, -100, 0.1),
            ("smoothing_ignore", (6, 5), some_ignored, -100, 0.2),
            ("rank_3", (2, 4, 5), map_target, -100, 0.0),
            ("rank_3_smoothing_ignore", (2, 4, 5), map_ignored, -100, 0.1),
        ]:
            add("cross_entropy", f"{name}_{reduction}", cross_entropy,
                [2 * randn(*shape), labels], reduction=reduction, ignore_index=ignore_index,
                label_smoothing=label_smoothing)
        add("cross_entropy", f"large_logits_{reduction}", cross_entropy,
            [500 * randn(6, 5), target], reduction=reduction, ignore_index=-100,
            label_smoothing=0.0)
        for name, shape in [("matrix", (3, 4)), ("rank_4", (2, 3, 2, 2))]:
            add("mse_loss", f"{name}_{reduction}", F.mse_loss, [randn(*shape), randn(*shape)],
                reduction=reduction)


def weight_norm_cases():
    def weight_norm(v, g):
        norm = v.flatten(1).norm(dim=1).reshape(g.shape)
        return v * (g / norm)

    for name, shape in [("rank_2", (4, 6)), ("rank_3", (3, 2, 5)), ("rank_4", (4, 3, 3, 3)),
                        ("one_row", (1, 5)), ("one_column", (3, 1))]:
        add("weight_norm", name, weight_norm,
            [randn(*shape), randn(shape[0], *[1] * (len(shape) - 1))])
    v = randn(3, 2, 2, 2)
    v[1] *= 1e-20 / math.sqrt(8)
    add("weight_norm", "tiny_row", weight_norm, [v, randn(3, 1, 1, 1)])


def weight_norm_dim_cases():
    # An axis by PyTorch's own function; several axes, which it does not have, and the whole tensor
    # by the formula.
    def along(v, g, dim):
        if len(dim) == 1:
            return torch._weight_norm(v, g, dim[0])
        others = [d for d in range(v.dim()) if d not in dim]
        return v * (g / v.square().sum(others, keepdim=len(dim) > 0).sqrt())

    for name, shape, dim in [("last_of_2", (4, 6), [1]), ("middle", (3, 4, 5), [1]),
                             ("last_of_3", (3, 4, 5), [2]), ("last_of_4", (3, 2, 2, 4), [3]),
                             ("whole", (3, 4, 2), []), ("outer_and_last", (3, 4, 5), [0, 2]),
                             ("inner_pair", (3, 2, 2, 3), [1, 2])]:
        g = [shape[d] if d in dim else 1 for d in range(len(shape))] if dim else []
        add("weight_norm", name, along, [randn(*shape), randn(*g)], dim=dim)


def perceptron_cases():
    def linear_relu_linear(x, weight1, bias1, weight2, bias2):
        return F.linear(F.relu(F.linear(x, weight1, bias1)), weight2, bias2)

    for name, x, hidden, outputs in [("rows", (5, 6), 8, 3), ("sequence", (2, 3, 5), 7, 4)]:
        add("linear_relu_linear", name, linear_relu_linear,
            [randn(*x), randn(hidden, x[-1]), randn(hidden), randn(outputs, hidden),
             randn(outputs)])


def padded_conv_cases():
    """Padding per side as (top, bottom, left, right), and "same"."""
    def padded(x, weight, bias=None, *, padding, stride, dilation, groups):
        if padding != "same":
            top, bottom, left, right = padding
            x, padding = F.pad(x, (left, right, top, bottom)), 0
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)

    def case(name, x, weight, padding, stride=(1, 1), dilation=(1, 1), groups=1):
        add("conv2d", name, padded, [randn(*x), randn(*weight), randn(weight[0])],
            stride=list(stride), padding=padding, dilation=list(dilation), groups=groups)

    case("sides", (2, 2, 4, 5), (3, 2, 3, 3), [2, 0, 1, 3])
    case("causal", (1, 2, 1, 7), (3, 2, 1, 3), [0, 0, 4, 0], dilation=(1, 2))
    case("padding_after_only", (1, 2, 4, 4), (2, 2, 2, 3), [0, 1, 0, 2])
    case("sides_all_at_once", (1, 4, 6, 7), (6, 2, 3, 2), [1, 2, 3, 0], stride=(2, 3),
         dilation=(2, 1), groups=2)
    case("sides_depthwise", (1, 4, 4, 4), (4, 1, 3, 3), [2, 0, 0, 1], groups=4)
    case("same", (1, 2, 4, 5), (2, 2, 4, 3), "same", dilation=(1, 2))


def main():
    torch.manual_seed(20)
    torch.set_num_threads(1)
    elementwise_cases()
    reduction_cases()
    matmul_cases()
    conv_cases()
    pool_cases()
    shape_cases()
    loss_cases()
    weight_norm_cases()
    perceptron_cases()
    padded_conv_cases()
    weight_norm_dim_cases()
    write(OUTPUT, cases)


if __name__ == "__main__":
    main()
