#!/usr/bin/env python3
"""Writes tests/golden/double_backward.json: gradients of gradients through whole models.

Of each model the inputs, the state that it begins with under PyTorch's keys, and, for every
parameter, PyTorch's gradient of a loss that contains gradients itself. Weight norm is its formula
here: torch._weight_norm takes the norms for constants in its second gradients, and fails
torch.autograd.gradgradcheck (PyTorch 2.15). To write it again, from the repository root:

    python3 tests/golden/generate_double_backward.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

OUTPUT = Path(__file__).with_name("double_backward.json")


def weight_norm(layer):
    """The layer with weight_g and weight_v, under the keys of torch.nn.utils.weight_norm."""
    weight = layer.weight.detach().double()
    dims = tuple(range(1, weight.dim()))
    bias = layer.bias
    del layer.weight, layer.bias
    layer.bias = bias
    layer.weight_g = nn.Parameter(weight.pow(2).sum(dims, keepdim=True).sqrt())
    layer.weight_v = nn.Parameter(weight)

    def compute(module, _):
        v = module.weight_v
        module.weight = module.weight_g * v / v.pow(2).sum(dims, keepdim=True).sqrt()

    layer.register_forward_pre_hook(compute)
    return layer


def as_json(tensor):
    return {"shape": list(tensor.shape), "data": tensor.detach().flatten().tolist(),
            "dtype": str(tensor.dtype).removeprefix("torch.")}


def entry(model, loss, **inputs):
    model.double()
    state = {key: as_json(value) for key, value in model.state_dict().items()}
    value = loss(model, **inputs)
    names, parameters = zip(*model.named_parameters())
    grads = torch.autograd.grad(value, parameters, allow_unused=True)
    return {"inputs": {key: as_json(value) for key, value in inputs.items()}, "state": state,
            "loss": value.item(),
            "grads": {name: as_json(grad) for name, grad in zip(names, grads) if grad is not None}}


def gradient_penalty(model, x):
    """WGAN-GP's: the critic's slope at x shall be 1."""
    x = x.clone().requires_grad_()
    score = model(x)
    slope = torch.autograd.grad(score.sum(), x, create_graph=True)[0]
    norms = slope.flatten(1).norm(dim=1)
    return score.mean() + 10 * ((norms - 1) ** 2).mean()


def squared_gradient(model, x, labels):
    """The squared norm of the loss's gradient, whose own gradient is twice the Hessian times it."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    loss = F.cross_entropy(model(x), labels, label_smoothing=0.1)
    grads = torch.autograd.grad(loss, parameters, create_graph=True)
    return sum((grad ** 2).sum() for grad in grads)


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def main():
    torch.manual_seed(16)
    critic = nn.Sequential(weight_norm(nn.Conv2d(1, 3, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
                           weight_norm(nn.Conv2d(3, 4, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
                           nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 1))
    sequences = nn.Sequential(weight_norm(nn.Conv1d(2, 4, 3, dilation=2, padding=2)),
                              nn.BatchNorm1d(4), nn.ReLU(),
                              weight_norm(nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1)),
                              nn.GroupNorm(1, 3), nn.Flatten(), nn.LayerNorm(36), nn.Linear(36, 3))
    golden = {
        "gradient_penalty": entry(critic, gradient_penalty, x=randn(4, 1, 8, 8)),
        "squared_gradient": entry(sequences, squared_gradient, x=randn(5, 2, 6),
                                  labels=torch.tensor([0, 2, 1, 1, 0])),
    }
    OUTPUT.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
