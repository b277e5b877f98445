#!/usr/bin/env python3
"""Writes tests/golden/reparametrizations.json: weights that are computed from others.

Spectral normalization is PyTorch's own, with the vectors before and behind one use in
training mode. DoRA is its paper's formula, whose norm is a constant for the gradients or
not. The format is that of ops.json (generate_ops.py). To write it again, from the
repository root:

    python3 tests/golden/generate_reparametrizations.py
"""

from pathlib import Path

import torch
from torch.nn.utils.parametrizations import spectral_norm

from generate_ops import add, cases, randn, write

OUTPUT = Path(__file__).with_name("reparametrizations.json")


def spectral_norm_cases():
    def case(name, layer, steps=1, eps=1e-12):
        layer = spectral_norm(layer.double(), n_power_iterations=steps, eps=eps)
        inner = layer.parametrizations.weight
        with torch.no_grad():
            inner.original.copy_(randn(*inner.original.shape))
            inner[0]._u.copy_(torch.nn.functional.normalize(randn(*inner[0]._u.shape), dim=0))
            inner[0]._v.copy_(torch.nn.functional.normalize(randn(*inner[0]._v.shape), dim=0))
        options = {"n_power_iterations": steps, "eps": eps, "u": inner[0]._u.tolist(),
                   "v": inner[0]._v.tolist()}

        def weight(original, **_):
            inner[0]._u.copy_(torch.tensor(options["u"], dtype=torch.float64))
            inner[0]._v.copy_(torch.tensor(options["v"], dtype=torch.float64))
            return inner[0](original)

        original = inner.original.detach().clone()
        layer.train()
        with torch.no_grad():
            weight(original)
        options |= {"u_after": inner[0]._u.tolist(), "v_after": inner[0]._v.tolist()}
        add("spectral_norm", name, weight, [original], **options)
        layer.eval()
        add("spectral_norm", name + "_eval", weight, [original], **options)

    case("linear", torch.nn.Linear(4, 3))
    case("conv1d", torch.nn.Conv1d(3, 2, 3), steps=3)
    case("conv_transpose1d", torch.nn.ConvTranspose1d(3, 2, 3))
    case("wide_eps", torch.nn.Linear(3, 3), eps=2.0)


def dora_cases():
    def dora(original, magnitude, a, b, *, scale, detach_norm):
        direction = original + scale * (b @ a).reshape(original.shape)
        norm = direction.flatten(1).norm(dim=1).reshape(magnitude.shape)
        return magnitude * direction / (norm.detach() if detach_norm else norm)

    for name, shape, rank in [("linear", (4, 5), 2), ("conv1d", (3, 2, 4), 1)]:
        rows, row = shape[0], torch.Size(shape[1:]).numel()
        inputs = [randn(*shape), randn(rows, *[1] * (len(shape) - 1)), randn(rank, row),
                  randn(rows, rank)]
        for detach_norm in [True, False]:
            add("dora", name + ("" if detach_norm else "_exact"), dora, inputs, scale=3.0 / rank,
                detach_norm=detach_norm)


def main():
    torch.manual_seed(15)
    spectral_norm_cases()
    dora_cases()
    write(OUTPUT, cases)


if __name__ == "__main__":
    main()
