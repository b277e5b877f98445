#!/usr/bin/env python3
"""Writes tests/golden/muon.json: steps of Muon and of NorMuon, by their formulas in float64.

torch.optim.Muon iterates in bfloat16. This is its update with the iteration in float64; that
both are one is checked against it, to the precision of bfloat16. NorMuon is Algorithm 1 of Li et
al. 2025 (arXiv 2510.05491). Filters are the matrices of their rows. "values" are the
parameters after each step. To write it again, from the repository root:

    python3 tests/golden/generate_muon.py
"""

import json
import math
from pathlib import Path

import torch

OUTPUT = Path(__file__).with_name("muon.json")
STEPS = 3
SHAPES = [(3, 5), (6, 2), (3, 5), (2, 2, 3)]
DEFAULTS = {"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95, "nesterov": True,
            "ns_coefficients": [3.4445, -4.7750, 2.0315], "eps": 1e-7, "ns_steps": 5,
            "adjust_lr_fn": "original", "row_normalization": False, "beta2": 0.95}


def orthogonalized(matrix, coefficients, steps, eps):
    a, b, c = coefficients
    x = matrix.T if matrix.size(0) > matrix.size(1) else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.size(0) > matrix.size(1) else x


def adjustment(rule, rows, columns):
    return {"original": math.sqrt(max(1, rows / columns)),
            "match_rms_adamw": 0.2 * math.sqrt(max(rows, columns)),
            "spectral_unclamped": math.sqrt(rows / columns)}[rule]


def steps_of(initial, gradients, o):
    value = initial.flatten(1).clone()
    mean = torch.zeros_like(value)
    second = torch.zeros(value.size(0), 1, dtype=value.dtype)
    values = []
    for gradient in gradients:
        gradient = gradient.flatten(1)
        mean = o["momentum"] * mean + (1 - o["momentum"]) * gradient
        direction = mean
        if o["nesterov"]:
            direction = (1 - o["momentum"]) * gradient + o["momentum"] * mean
        direction = orthogonalized(direction, o["ns_coefficients"], o["ns_steps"], o["eps"])
        scale = adjustment(o["adjust_lr_fn"], *value.shape)
        if o["row_normalization"]:
            mean_square = (direction * direction).mean(dim=1, keepdim=True)
            second = o["beta2"] * second + (1 - o["beta2"]) * mean_square
            direction = direction / (second.sqrt() + o["eps"])
            scale = 0.2 * math.sqrt(value.numel()) / direction.norm().clamp(min=o["eps"])
        value = (1 - o["lr"] * o["weight_decay"]) * value - o["lr"] * scale * direction
        values.append(value.flatten().tolist())
    return values


def check_against_pytorch(initial, gradients, o, values):
    """PyTorch's own, whose bfloat16 leaves directions with an error of about 2^-7."""
    parameter = torch.nn.Parameter(initial.clone())
    arguments = {key: o[key] for key in ("lr", "weight_decay", "momentum", "nesterov",
                                         "ns_coefficients", "eps", "ns_steps", "adjust_lr_fn")}
    optimizer = torch.optim.Muon([parameter], **arguments)
    for gradient, wanted in zip(gradients, values):
        parameter.grad = gradient.clone()
        optimizer.step()
        scale = o["lr"] * adjustment(o["adjust_lr_fn"], *initial.shape)
        difference = (parameter.detach().flatten() - torch.tensor(wanted).double()).abs().max()
        assert difference < STEPS * 0.05 * scale, (o, difference)


def case(name, initials, gradients, **options):
    o = DEFAULTS | options
    values = [steps_of(initial, own, o) for initial, own in zip(initials, gradients)]
    for initial, own, wanted in zip(initials, gradients, values):
        if initial.dim() == 2 and not o["row_normalization"]:
            check_against_pytorch(initial, own, o, wanted)
    return {"name": name, "options": options, "values": values}


def main():
    torch.manual_seed(9)
    torch.set_num_threads(1)
    rounded = lambda *shape: torch.randn(*shape, dtype=torch.float64).mul(1e4).round().div(1e4)
    initials = [rounded(*shape) for shape in SHAPES]
    gradients = [rounded(STEPS, *shape) for shape in SHAPES]
    add = lambda name, **options: case(name, initials, gradients, **options)
    cases = [
        add("defaults"),
        add("large_rate", lr=0.5, weight_decay=0.3, momentum=0.8),
        add("without_nesterov", lr=0.1, nesterov=False, adjust_lr_fn="match_rms_adamw"),
        add("spectral", lr=0.1, weight_decay=0.0, adjust_lr_fn="spectral_unclamped"),
        add("coefficients", lr=0.1, ns_coefficients=[3.0, -3.5, 1.5], ns_steps=2, eps=1e-3),
        add("no_steps", lr=0.1, ns_steps=0),
        add("normuon", lr=0.1, row_normalization=True),
        add("normuon_beta2", lr=0.1, weight_decay=0.0, row_normalization=True, beta2=0.5,
            eps=1e-2),
    ]
    text = ",\n".join([
        '{"torch": "' + torch.__version__.split("+")[0] + '"',
        '"shapes": ' + json.dumps(SHAPES),
        '"initial": ' + json.dumps([each.flatten().tolist() for each in initials]),
        '"gradients": ' + json.dumps([[step.flatten().tolist() for step in each]
                                      for each in gradients]),
        '"cases": [\n' + ",\n".join(json.dumps(each, allow_nan=False) for each in cases) + "\n]",
    ])
    OUTPUT.write_text(text + "}\n")
    print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
