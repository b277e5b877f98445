#!/usr/bin/env python3
"""Writes tests/golden/training.json: optimizers, schedules, resizing and a small training.

The C++ tests repeat what the file describes and compare numbers. All numbers
are float64 results of PyTorch on the CPU; the committed file was written with
PyTorch 2.15.0. To write it again, from the repository root:

    python3 tests/golden/generate_training.py

"optimizers": five parameters after each of ten steps with given gradients.
"schedules": the learning rate used at optimizer steps 0 to 14.
"clip_grad_norm": the total norm and the clipped gradients.
"averages": exponential moving averages of three parameters over eight updates.
"simple_cnn": six steps of SGD on a small SimpleCNN whose weights and images
come from a formula (see hashed below) that the C++ test repeats.
"""

import json
import math
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.optim import lr_scheduler, swa_utils

OUTPUT = Path(__file__).with_name("training.json")
STEPS = 10
SCHEDULE_STEPS = 15


def optimizer_case(kind, **options):
    initial = torch.randn(5, dtype=torch.float64)
    gradients = torch.randn(STEPS, 5, dtype=torch.float64)
    defaults = {"lr": 0.01, "weight_decay": 0.0}
    if kind == "sgd":
        defaults |= {"momentum": 0.0, "dampening": 0.0, "nesterov": False}
    elif kind == "rmsprop":
        defaults |= {"alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "centered": False}
    else:
        defaults |= {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    options = defaults | options

    parameter = nn.Parameter(initial.clone())
    arguments = dict(options)
    if kind in ("adam", "adamw"):
        arguments["betas"] = (arguments.pop("beta1"), arguments.pop("beta2"))
    classes = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
               "rmsprop": torch.optim.RMSprop}
    optimizer = classes[kind]([parameter], **arguments)
    values = []
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        values.append(parameter.tolist())
    return {
        "kind": kind,
        "options": options,
        "initial": initial.tolist(),
        "gradients": gradients.tolist(),
        "values": values,
    }


def optimizer_cases():
    return [
        optimizer_case("sgd"),
        optimizer_case("sgd", lr=0.1, weight_decay=0.05),
        optimizer_case("sgd", lr=0.05, momentum=0.9),
        optimizer_case("sgd", lr=0.05, momentum=0.9, weight_decay=0.01),
        optimizer_case("sgd", lr=0.05, momentum=0.8, dampening=0.3),
        optimizer_case("sgd", lr=0.05, momentum=0.9, dampening=0.5, weight_decay=0.02),
        optimizer_case("sgd", lr=0.05, momentum=0.9, nesterov=True),
        optimizer_case("sgd", lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
        optimizer_case("adam", lr=0.001),
        optimizer_case("adam", lr=0.1, weight_decay=0.1),
        optimizer_case("adam", lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3),
        optimizer_case("adam", lr=0.02, beta1=0.0, beta2=0.9, weight_decay=0.01),
        optimizer_case("adamw", lr=0.001),
        optimizer_case("adamw", lr=0.001, weight_decay=0.01),
        optimizer_case("adamw", lr=0.1, weight_decay=0.2),
        optimizer_case("adamw", lr=0.02, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=0.05),
        optimizer_case("rmsprop"),
        optimizer_case("rmsprop", lr=0.05, alpha=0.9, eps=1e-3, weight_decay=0.1),
        optimizer_case("rmsprop", lr=0.02, momentum=0.9),
        optimizer_case("rmsprop", lr=0.02, alpha=0.8, centered=True),
        optimizer_case("rmsprop", lr=0.02, alpha=0.8, momentum=0.5, centered=True,
                       weight_decay=0.02),
    ]


def one_cycle(max_lr, total_steps, pct_start, div_factor, final_div_factor):
    """The rates of all steps in double precision, as the paper and PyTorch's text have them."""
    def between(start, end, part):
        return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
    first = max_lr / div_factor
    last = first / final_div_factor
    top = pct_start * total_steps - 1
    return [between(first, max_lr, step / top) if step <= top else
            between(max_lr, last, (step - top) / (total_steps - 1 - top))
            for step in range(total_steps)]


def schedule_case(kind, lr, step_size=5, gamma=0.1, total_steps=10, min_lr=0.0, warmup_steps=0,
                  warmup_start_factor=0.1, **cycle):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    if kind == "constant":
        main = lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        closed_form = lambda step: lr
    elif kind == "step":
        main = lr_scheduler.StepLR(optimizer, step_size, gamma)
        closed_form = lambda step: lr * gamma ** (step // step_size)
    elif kind == "one_cycle":
        main = lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=total_steps,
                                       cycle_momentum=False, **cycle)
        rates = one_cycle(lr, total_steps, **cycle)
        closed_form = lambda step: rates[step]
    else:
        main = lr_scheduler.CosineAnnealingLR(optimizer, total_steps, min_lr)
        closed_form = lambda step: (
            min_lr + (lr - min_lr) * (1 + math.cos(math.pi * step / total_steps)) / 2)
    scheduler = main
    if warmup_steps:
        warmup = lr_scheduler.LinearLR(optimizer, warmup_start_factor, 1.0, warmup_steps)
        scheduler = lr_scheduler.SequentialLR(optimizer, [warmup, main], [warmup_steps])

    values = []
    for step in range(min(SCHEDULE_STEPS, total_steps) if cycle else SCHEDULE_STEPS):
        if step < warmup_steps:
            factor = warmup_start_factor + (1 - warmup_start_factor) * step / warmup_steps
            value = lr * factor
        else:
            value = closed_form(step - warmup_steps)
        # PyTorch multiplies the rate from step to step; the file has the closed form.
        scheduled = optimizer.param_groups[0]["lr"]
        assert abs(value - scheduled) < 1e-12, (kind, step, value, scheduled)
        values.append(value)
        optimizer.step()
        scheduler.step()
    return {
        "kind": kind,
        "options": {
            "lr": lr,
            "step_size": step_size,
            "gamma": gamma,
            "total_steps": total_steps,
            "min_lr": min_lr,
            "warmup_steps": warmup_steps,
            "warmup_start_factor": warmup_start_factor,
            **cycle,
        },
        "values": values,
    }


def schedule_cases():
    return [
        schedule_case("constant", 0.1),
        schedule_case("constant", 0.1, warmup_steps=4, warmup_start_factor=0.25),
        schedule_case("step", 0.1, step_size=4),
        schedule_case("step", 0.2, step_size=1, gamma=0.9),
        schedule_case("step", 0.1, step_size=3, gamma=0.5, warmup_steps=5),
        schedule_case("cosine", 0.1, total_steps=15),
        schedule_case("cosine", 0.1, total_steps=14, min_lr=0.01),
        schedule_case("cosine", 0.1, total_steps=10, min_lr=0.001, warmup_steps=5),
        schedule_case("cosine", 0.3, total_steps=12, warmup_steps=3,
                      warmup_start_factor=1.0 / 3.0),
        schedule_case("one_cycle", 0.1, total_steps=10, pct_start=0.3, div_factor=25.0,
                      final_div_factor=1e4),
        schedule_case("one_cycle", 0.5, total_steps=12, pct_start=0.45, div_factor=4.0,
                      final_div_factor=10.0),
        schedule_case("one_cycle", 0.5, total_steps=5, pct_start=0.1, div_factor=4.0,
                      final_div_factor=10.0),
    ]


def clip_cases():
    result = []
    for scale, max_norm in [(1.0, 1.0), (1.0, 100.0), (50.0, 2.5), (0.0, 1.0)]:
        parameters = [nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (3, 4)]
        for parameter in parameters:
            parameter.grad = scale * torch.randn(parameter.shape, dtype=torch.float64)
        gradients = [p.grad.tolist() for p in parameters]
        norm = nn.utils.clip_grad_norm_(parameters, max_norm)
        result.append({
            "gradients": gradients,
            "max_norm": max_norm,
            "norm": norm.item(),
            "clipped": [p.grad.tolist() for p in parameters],
        })
    return result


def average_case(decay):
    """Of parameters that are given before every update."""
    model = nn.Linear(2, 1, dtype=torch.float64)
    average = swa_utils.AveragedModel(
        model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(decay))
    parameters = []
    values = []
    for update in range(8):
        weight = hashed(2, 37777 * update)
        bias = 100 * hashed(1, 37777 * update + 9)
        with torch.no_grad():
            model.weight.copy_(weight.reshape(1, 2))
            model.bias.copy_(bias)
        average.update_parameters(model)
        parameters.append(weight.tolist() + bias.tolist())
        values.append(torch.cat([p.detach().flatten() for p in average.parameters()]).tolist())
    return {"decay": decay, "parameters": parameters, "values": values,
            "n_averaged": average.n_averaged.item()}


def average_cases():
    return [average_case(decay) for decay in (0.0, 0.3, 0.5, 0.9, 0.999)]


def hashed(count, key):
    """Element i is h / 2^32 - 0.5 with h = (i * 2654435761 + key * 40503 + 12345) mod 2^32."""
    h = [(i * 2654435761 + key * 40503 + 12345) % 2**32 for i in range(count)]
    return torch.tensor(h, dtype=torch.float64) / 2**32 - 0.5


class SimpleCNN(nn.Module):
    def __init__(self, input_channels, num_classes, image_size):
        super().__init__()
        self.conv1 = nn.utils.weight_norm(nn.Conv2d(input_channels, 64, 3, padding=1))
        self.conv2 = nn.utils.weight_norm(nn.Conv2d(64, 128, 3, padding=1))
        self.fc1 = nn.Linear(128 * (image_size // 4) ** 2, 256)
        self.fc2 = nn.Linear(256, num_classes)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def simple_cnn():
    scales = {
        "conv1.bias": 0.2,
        "conv1.weight_g": 1.0,
        "conv1.weight_v": 1.0,
        "conv2.bias": 0.2,
        "conv2.weight_g": 1.0,
        "conv2.weight_v": 1.0,
        "fc1.bias": 0.2,
        "fc1.weight": 0.1,
        "fc2.bias": 0.2,
        "fc2.weight": 0.2,
    }
    model = SimpleCNN(input_channels=2, num_classes=5, image_size=8).double()
    state = model.state_dict()
    for k, (key, scale) in enumerate(scales.items()):
        values = hashed(state[key].numel(), k).reshape(state[key].shape)
        state[key].copy_(1.0 + values if key.endswith("weight_g") else scale * values)
    x = 2.0 * hashed(6 * 2 * 8 * 8, 100).reshape(6, 2, 8, 8)
    labels = torch.arange(6) % 5

    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    result = {
        "input_channels": 2,
        "num_classes": 5,
        "image_size": 8,
        "lr": 0.05,
        "momentum": 0.9,
        "scales": scales,
        "logits": model(x).tolist(),
        "losses": [],
        "gradient_norms": [],
        "keys": {},
    }
    for _ in range(6):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        gradients = torch.cat([p.grad.flatten() for p in model.parameters()])
        result["losses"].append(loss.item())
        result["gradient_norms"].append(gradients.norm().item())
        optimizer.step()
    for key in scales:
        values = model.state_dict()[key].flatten()
        indices = [j * (values.numel() - 1) // 7 for j in range(8)]
        result["keys"][key] = {
            "norm": values.norm().item(),
            "indices": indices,
            "values": values[indices].tolist(),
        }
    return result


def bilinear_cases():
    """Images as the loader makes them: pixel / 255, resized, normalised with mean 0.3 and std 0.6."""
    cases = []
    for height, width, size in [(8, 8, 32), (3, 5, 4), (7, 6, 5), (1, 2, 4), (4, 4, 4)]:
        pixels = [(37 * i + 11) % 256 for i in range(height * width)]
        image = torch.tensor(pixels, dtype=torch.float64).reshape(1, 1, height, width) / 255
        resized = torch.nn.functional.interpolate(
            image, size=(size, size), mode="bilinear", align_corners=False)
        cases.append({"height": height, "width": width, "size": size,
                      "values": ((resized - 0.3) / 0.6).flatten().tolist()})
    return cases


def write_list(entries):
    return "[\n" + ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries) + "\n]"


def main():
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*weight_norm.*")
    torch.manual_seed(21)
    torch.set_num_threads(1)
    text = ",\n".join([
        '{"torch": "' + torch.__version__.split("+")[0] + '"',
        '"optimizers": ' + write_list(optimizer_cases()),
        '"schedules": ' + write_list(schedule_cases()),
        '"clip_grad_norm": ' + write_list(clip_cases()),
        '"averages": ' + write_list(average_cases()),
        '"bilinear": ' + write_list(bilinear_cases()),
        '"simple_cnn": ' + json.dumps(simple_cnn(), allow_nan=False),
    ])
    OUTPUT.write_text(text + "}\n")
    print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
