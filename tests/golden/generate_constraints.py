#!/usr/bin/env python3
"""Writes tests/golden/constraints.json: steps of optimizers that project the rows of a weight.

PyTorch's optimizers update a weight in float64; then its rows are divided by their norms
(unit_rows), or get the norm that they had before the update (fixed_radius). "values" are
the weight after each step. To write it again, from the repository root:

    python3 tests/golden/generate_constraints.py
"""

import json
from pathlib import Path

import torch

OUTPUT = Path(__file__).with_name("constraints.json")
STEPS = 5
SHAPE = (3, 2, 2)


def row_norms(weight):
    return weight.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.dim() - 1))


def case(kind, constraint, initial, gradients, **options):
    weight = torch.nn.Parameter(initial.clone())
    arguments = dict(options)
    if "beta1" in arguments:
        arguments["betas"] = (arguments.pop("beta1"), arguments.pop("beta2"))
    classes = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
               "rmsprop": torch.optim.RMSprop}
    optimizer = classes[kind]([weight], **arguments)
    values = []
    for gradient in gradients:
        weight.grad = gradient.clone()
        with torch.no_grad():
            before = row_norms(weight)
            optimizer.step()
            wanted = 1 if constraint == "unit_rows" else before
            weight.mul_(wanted / row_norms(weight))
        values.append(weight.flatten().tolist())
    return {"kind": kind, "constraint": constraint, "options": options, "values": values}


def main():
    torch.manual_seed(5)
    torch.set_num_threads(1)
    initial = torch.randn(SHAPE, dtype=torch.float64).mul(1e4).round().div(1e4)
    gradients = torch.randn(STEPS, *SHAPE, dtype=torch.float64).mul(1e4).round().div(1e4)
    kinds = [("sgd", {"lr": 0.1}),
             ("sgd", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
             ("sgd", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
             ("adam", {"lr": 0.02, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.1}),
             ("adamw", {"lr": 0.05, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.2}),
             ("rmsprop", {"lr": 0.02, "alpha": 0.8, "momentum": 0.5, "centered": True})]
    cases = [case(kind, constraint, initial, gradients, **options)
             for kind, options in kinds for constraint in ["unit_rows", "fixed_radius"]]
    text = ",\n".join([
        '{"torch": "' + torch.__version__.split("+")[0] + '"',
        '"shape": ' + json.dumps(SHAPE),
        '"initial": ' + json.dumps(initial.flatten().tolist()),
        '"gradients": ' + json.dumps([gradient.flatten().tolist() for gradient in gradients]),
        '"cases": [\n' + ",\n".join(json.dumps(each, allow_nan=False) for each in cases) + "\n]",
    ])
    OUTPUT.write_text(text + "}\n")
    print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
