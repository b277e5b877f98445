#!/usr/bin/env python3
"""Writes tests/golden/tcn.json: temporal convolutional networks by PyTorch.

"blocks": the two published residual blocks, their variants and whole stacks: state, input, output,
a random gradient of the output and the gradients of the input and of all parameters.
"training": six Adam steps of locuslab's TCN on sequences, with its keys: losses and final weights.

All numbers are float64 results of PyTorch on the CPU; the committed file was written with PyTorch
2.15.0. To write it again, from the repository root:

    python3 tests/golden/generate_tcn.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from generate_ops import randn, tensor_json

OUTPUT = Path(__file__).with_name("tcn.json")

ACTIVATIONS = {
    "none": lambda x: x,
    "relu": F.relu,
    "tanh": torch.tanh,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
    "gelu": F.gelu,
    "gated": lambda x: torch.tanh(x.chunk(2, 1)[0]) * torch.sigmoid(x.chunk(2, 1)[1]),
}


class Block(nn.Module):
    """conv, activation, conv, activation, + residual, activation; no dropout."""

    def __init__(self, in_channels, out_channels, hidden_channels=None, kernel_size=2, dilation=1,
                 weight_norm=True, causal=True, activation="relu", activate_second=True,
                 output_activation="relu", residual_name="downsample"):
        super().__init__()
        hidden = hidden_channels or out_channels
        double = 2 if activation == "gated" else 1
        self.causal = causal
        self.activation = ACTIVATIONS[activation]
        self.second = self.activation if activate_second else ACTIVATIONS["none"]
        self.output_activation = ACTIVATIONS[output_activation]
        self.conv1 = nn.Conv1d(in_channels, double * hidden, kernel_size, dilation=dilation)
        self.conv2 = nn.Conv1d(hidden, (double if activate_second else 1) * out_channels,
                               kernel_size, dilation=dilation)
        if weight_norm:
            self.conv1 = globals()["weight_norm"](self.conv1)
            self.conv2 = globals()["weight_norm"](self.conv2)
        self.residual_name = residual_name
        if in_channels != out_channels:
            setattr(self, residual_name, nn.Conv1d(in_channels, out_channels, 1))

    def convolved(self, conv, x):
        zeros = (conv.kernel_size[0] - 1) * conv.dilation[0]
        before = zeros if self.causal else zeros // 2
        return conv(F.pad(x, (before, zeros - before)))

    def forward(self, x):
        y = self.second(self.convolved(self.conv2, self.activation(self.convolved(self.conv1, x))))
        residual = getattr(self, self.residual_name, None)
        return self.output_activation(y + (x if residual is None else residual(x)))


class TCN(nn.Module):
    """locuslab's names."""

    def __init__(self, inputs, outputs, channels, kernel_size, every_step=False):
        super().__init__()
        self.every_step = every_step
        self.tcn = nn.Module()
        blocks = []
        for i, width in enumerate(channels):
            blocks.append(Block(inputs if i == 0 else channels[i - 1], width,
                                kernel_size=kernel_size, dilation=2**i))
        self.tcn.network = nn.Sequential(*blocks)
        self.linear = nn.Linear(channels[-1], outputs)

    def forward(self, x):
        y = self.tcn.network(x)
        return self.linear(y.transpose(1, 2) if self.every_step else y[:, :, -1])


def old_name(key):
    """weight_g and weight_v, as torch.nn.utils.weight_norm called them."""
    return (key.replace("parametrizations.weight.original0", "weight_g")
            .replace("parametrizations.weight.original1", "weight_v"))


def rounded(module):
    """Float64, with weights of four decimals, which keep the file small."""
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.round(decimals=4))
    return module


def state_of(module):
    return {old_name(key): tensor_json(t) for key, t in module.named_parameters()}


def block_case(name, x, **options):
    block = rounded(Block(x[1], **options))
    x = randn(*x).requires_grad_()
    y = block(x)
    grad = randn(*y.shape)
    y.backward(grad)
    return {"name": name, "options": options, "in_channels": x.shape[1], "state": state_of(block),
            "x": tensor_json(x), "y": tensor_json(y), "grad_y": tensor_json(grad),
            "grad_x": tensor_json(x.grad),
            "grads": {old_name(key): tensor_json(p.grad) for key, p in block.named_parameters()}}


def training_case(name, inputs, outputs, channels, kernel_size, length, every_step):
    model = rounded(TCN(inputs, outputs, channels, kernel_size, every_step))
    initial = state_of(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    steps = []
    for _ in range(6):
        x = randn(3, inputs, length)
        target = randn(3, length, outputs) if every_step else randn(3, outputs)
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), target)
        loss.backward()
        optimizer.step()
        steps.append({"x": tensor_json(x), "target": tensor_json(target), "loss": loss.item()})
    return {"name": name, "every_step": every_step, "state": initial, "steps": steps,
            "final": state_of(model)}


def main():
    torch.manual_seed(29)
    torch.set_num_threads(1)
    blocks = [
        block_case("bai", (2, 2, 9), out_channels=3, kernel_size=3, dilation=2),
        block_case("bai_same_channels", (2, 3, 7), out_channels=3, kernel_size=2, dilation=4),
        block_case("plain_weights", (1, 2, 6), out_channels=2, kernel_size=3, weight_norm=False),
        block_case("darts", (2, 2, 8), out_channels=3, hidden_channels=3, kernel_size=3, dilation=2,
                   weight_norm=False, output_activation="none", residual_name="conv3"),
        block_case("darts_last", (2, 3, 8), out_channels=1, hidden_channels=3, kernel_size=3,
                   dilation=4, activate_second=False, output_activation="none",
                   residual_name="conv3"),
        block_case("centred", (2, 2, 9), out_channels=3, kernel_size=4, dilation=2, causal=False),
        block_case("tanh", (1, 2, 6), out_channels=3, activation="tanh", output_activation="tanh"),
        block_case("leaky_relu", (1, 2, 6), out_channels=3, activation="leaky_relu",
                   output_activation="none"),
        block_case("gelu", (1, 2, 6), out_channels=2, activation="gelu", output_activation="gelu"),
        block_case("gated", (2, 2, 7), out_channels=3, kernel_size=3, dilation=2,
                   activation="gated", output_activation="none"),
        block_case("gated_once", (1, 2, 6), out_channels=3, activation="gated",
                   activate_second=False, output_activation="none"),
    ]
    training = [training_case("last_step", 2, 3, [4, 4, 3], 3, 11, False),
                training_case("every_step", 1, 2, [3, 5], 2, 6, True)]
    OUTPUT.write_text(json.dumps({"blocks": blocks, "training": training}) + "\n")
    print(f"{OUTPUT}: {OUTPUT.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
