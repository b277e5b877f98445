#!/usr/bin/env python3
"""Writes tests/golden/pointwise.json: PyTorch's values and gradients of the ops of
kernels/pointwise/table.h. A new one of these has a line or a list here.

The format is that of ops.json (generate_ops.py), and so is what the committed
file was written with. Options have the names of the functors' members. To write
it again, from the repository root:

    python3 tests/golden/generate_pointwise.py
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from generate_ops import add, away_from_zero, cases, randn, write

OUTPUT = Path(__file__).with_name("pointwise.json")


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def unary(op, function, *inputs, **options):
    """A case of random numbers, one of rank 4, and one of chosen ones."""
    name = "_".join(f"{key}_{value}" for key, value in options.items()) or "plain"
    for i, x in enumerate(inputs):
        add(op, f"{name}_{i}", function, [x], **options)


def unary_cases():
    wide = tensor(-800.0, -40.0, -21.0, -20.0, -5.0, -1.0, -1e-9, 0.0, 1e-9, 0.5, 1.0, 5.0, 19.999,
                  20.0, 20.001, 40.0, 800.0)
    images = randn(2, 3, 4, 2)
    positive = [randn(3, 5).abs() + 0.1, tensor(1e-12, 0.25, 1.0, 4.0, 1e12)]
    unary("abs", torch.abs, randn(3, 5), images, wide)
    unary("exp", torch.exp, randn(3, 5), tensor(-700.0, 0.0, 700.0))
    unary("log", torch.log, *positive)
    unary("neg", torch.neg, randn(3, 5), images, wide)
    unary("relu", F.relu, randn(3, 5), images, wide)
    unary("rsqrt", torch.rsqrt, *positive)
    unary("sigmoid", torch.sigmoid, randn(3, 5), images, wide)
    unary("silu", F.silu, randn(3, 5), images, wide)
    unary("sqrt", torch.sqrt, *positive)
    unary("tanh", torch.tanh, randn(3, 5), images, wide)

    unary("clamp", lambda x, **o: torch.clamp(x, **o), randn(3, 5), wide, tensor(-1.0, 0.5, 2.0),
          min=-1.0, max=0.5)
    unary("clamp", lambda x, **o: torch.clamp(x, **o), randn(3, 5), wide, min=-0.25)
    unary("clamp", lambda x, **o: torch.clamp(x, **o), randn(3, 5), wide, max=0.25)
    unary("clamp", lambda x, **o: torch.clamp(x, **o), randn(3, 5), tensor(-2.0, 0.0, 2.0), min=1.0,
          max=-1.0)
    unary("elu", F.elu, randn(3, 5), images, wide)
    unary("elu", F.elu, randn(3, 5), wide, alpha=0.3)
    unary("leaky_relu", F.leaky_relu, randn(3, 5), images, wide)
    unary("leaky_relu", F.leaky_relu, randn(3, 5), wide, negative_slope=0.2)
    for exponent in (-1.5, 0.0, 0.5, 1.0, 2.0, 3.0):
        unary("pow", lambda x, exponent: torch.pow(x, exponent), *positive, exponent=exponent)
    unary("pow", lambda x, exponent: torch.pow(x, exponent), randn(3, 5), tensor(-2.0, 0.0, 2.0),
          exponent=2.0)
    unary("softplus", F.softplus, randn(3, 5), images, wide)
    unary("softplus", F.softplus, randn(3, 5), wide, beta=2.5, threshold=3.0)

    def gelu(x, tanh=False):
        return F.gelu(x, approximate="tanh" if tanh else "none")

    unary("gelu", gelu, randn(3, 5), images, wide)
    unary("gelu", gelu, randn(3, 5), wide, tanh=True)


def binary_cases():
    functions = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
                 "maximum": torch.maximum, "minimum": torch.minimum}
    for op, function in functions.items():
        for name, a, b in [("same", (2, 3), (2, 3)), ("last", (2, 3, 4), (4,)),
                           ("both", (2, 3, 1, 5), (3, 4, 1)), ("scalar", (3, 4), ()),
                           ("scalar_first", (), (3, 4))]:
            add(op, name, function, [randn(*a), away_from_zero(*b)])
    for op in ("maximum", "minimum"):
        add(op, "ties", functions[op], [tensor(1.0, 2.0, -3.0, 0.0), tensor(1.0, 1.0, -3.0, 0.5)])
        add(op, "ties_broadcast", functions[op], [tensor(1.0, 2.0, 1.0, 0.0), tensor(1.0)])


def comparison_cases():
    for op in ("eq", "ge", "gt", "le", "lt", "ne"):
        def function(a, b, compare=getattr(torch, op)):
            return compare(a, b).to(torch.uint8)

        for name, a, b in [("same", (2, 3), (2, 3)), ("both", (2, 3, 1, 5), (3, 4, 1)),
                           ("scalar", (3, 4), ())]:
            add(op, name, function, [randn(*a).round(), randn(*b).round()])
        add(op, "zeros", function, [tensor(0.0, -0.0, 1e-300), tensor(-0.0, 0.0, 0.0)])
        whole = torch.tensor([2**62, 2**62 + 1, -1, 7])  # float64 has no difference of the first two
        add(op, "int64", function, [whole, whole[[1, 1, 2, 0]]])


def main():
    torch.manual_seed(21)
    torch.set_num_threads(1)
    unary_cases()
    binary_cases()
    comparison_cases()
    unary("erf", torch.erf, randn(3, 5), randn(2, 3, 4, 2), tensor(-6.0, -1.0, 0.0, 1e-9, 2.5, 6.0))
    write(OUTPUT, cases)


if __name__ == "__main__":
    main()
