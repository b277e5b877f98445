#!/usr/bin/env python3
"""Writes tests/golden/tcn.json: temporal convolutional networks by PyTorch.

"blocks": the two published residual blocks, their variants and whole stacks: state, input, output,
a random gradient of the output and the gradients of the input and of all parameters.
"training": six Adam steps of locuslab's TCN and its relatives on sequences: losses and final state.
"digits": the same of Bai's preset on the digits in data/digits, pixel by pixel.

All numbers are float64 results of PyTorch on the CPU; the committed file was written with PyTorch
2.15.0. To write it again, from the repository root:

    python3 tests/golden/generate_tcn.py
"""

import json
from pathlib import Path

import numpy as np
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


class StepNorm(nn.LayerNorm):
    """LayerNorm over the channels of each step of (N, C, L)."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


NORMS = {"none": lambda channels: nn.Identity(), "batch": nn.BatchNorm1d, "layer": StepNorm}


class Block(nn.Module):
    """conv, norm, + condition, activation, conv, norm, activation, + residual, activation; no
    dropout. A skip is a 1x1 convolution of what is added to the residual."""

    def __init__(self, in_channels, out_channels, hidden_channels=None, kernel_size=2, dilation=1,
                 weight_norm=True, causal=True, activation="relu", activate_second=True,
                 output_activation="relu", residual_name="downsample", norm="none",
                 condition_channels=0, skip_channels=0):
        super().__init__()
        hidden = hidden_channels or out_channels
        double = 2 if activation == "gated" else 1
        double2 = double if activate_second else 1
        self.causal = causal
        self.activation = ACTIVATIONS[activation]
        self.second = self.activation if activate_second else ACTIVATIONS["none"]
        self.output_activation = ACTIVATIONS[output_activation]
        self.conv1 = nn.Conv1d(in_channels, double * hidden, kernel_size, dilation=dilation)
        self.norm1 = NORMS[norm](double * hidden)
        self.conv2 = nn.Conv1d(hidden, double2 * out_channels, kernel_size, dilation=dilation)
        self.norm2 = NORMS[norm](double2 * out_channels)
        if weight_norm:
            self.conv1 = globals()["weight_norm"](self.conv1)
            self.conv2 = globals()["weight_norm"](self.conv2)
        self.residual_name = residual_name
        if in_channels != out_channels:
            setattr(self, residual_name, nn.Conv1d(in_channels, out_channels, 1))
        if condition_channels:
            self.condition = nn.Conv1d(condition_channels, double * hidden, 1, bias=False)
        if skip_channels:
            self.skip = nn.Conv1d(out_channels, skip_channels, 1)

    def convolved(self, conv, x):
        zeros = (conv.kernel_size[0] - 1) * conv.dilation[0]
        before = zeros if self.causal else zeros // 2
        return conv(F.pad(x, (before, zeros - before)))

    def outputs(self, x, condition=None):
        y = self.norm1(self.convolved(self.conv1, x))
        if condition is not None:
            y = y + self.condition(condition[:, :, None] if condition.dim() == 2 else condition)
        y = self.second(self.norm2(self.convolved(self.conv2, self.activation(y))))
        skip = self.skip(y) if hasattr(self, "skip") else None
        residual = getattr(self, self.residual_name, None)
        return self.output_activation(y + (x if residual is None else residual(x))), skip

    def forward(self, x, condition=None):
        return self.outputs(x, condition)[0]


class TCN(nn.Module):
    """locuslab's names."""

    def __init__(self, inputs, outputs, channels, kernel_size, every_step=False, dilations=None,
                 last_is_linear=False, **block):
        super().__init__()
        self.every_step = every_step
        self.tcn = nn.Module()
        blocks = []
        for i, width in enumerate(channels):
            if last_is_linear and i + 1 == len(channels):
                block["activate_second"] = False
            size = kernel_size[i] if isinstance(kernel_size, list) else kernel_size
            blocks.append(Block(inputs if i == 0 else channels[i - 1], width, kernel_size=size,
                                dilation=dilations[i] if dilations else 2**i, **block))
        self.tcn.network = nn.Sequential(*blocks)
        self.linear = nn.Linear(block.get("skip_channels") or channels[-1], outputs)

    def forward(self, x, condition=None):
        skips = []
        for block in self.tcn.network:
            x, skip = block.outputs(x, condition)
            skips.append(skip)
        y = x if skips[0] is None else F.relu(sum(skips[1:], skips[0]))
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
    return {old_name(key): tensor_json(t) for key, t in module.state_dict().items()}


def block_case(name, x, condition=None, **options):
    block = rounded(Block(x[1], **options))
    x = randn(*x).requires_grad_()
    inputs = [x]
    if condition:
        inputs.append(randn(*condition).requires_grad_())
    state = state_of(block)
    y, skip = block.outputs(*inputs)
    grad = randn(*y.shape)
    case = {"name": name, "options": options, "in_channels": x.shape[1], "state": state,
            "x": tensor_json(x), "y": tensor_json(y), "grad_y": tensor_json(grad)}
    if skip is None:
        y.backward(grad)
    else:
        case |= {"skip": tensor_json(skip), "grad_skip": tensor_json(randn(*skip.shape))}
        torch.autograd.backward([y, skip], [grad, torch.tensor(
            case["grad_skip"]["data"], dtype=torch.float64).reshape(skip.shape)])
    case["grad_x"] = tensor_json(x.grad)
    if condition:
        case |= {"condition": tensor_json(inputs[1]), "grad_condition": tensor_json(inputs[1].grad)}
    case["grads"] = {old_name(key): tensor_json(p.grad) for key, p in block.named_parameters()}
    if options.get("norm") == "batch":  # by the statistics that the first call has left
        case["y_in_eval"] = tensor_json(block.eval()(*inputs))
    return case


def training_case(name, inputs, outputs, channels, kernel_size, length, every_step, condition=(),
                  **options):
    """condition: (K,) or (K, length)."""
    model = rounded(TCN(inputs, outputs, channels, kernel_size, every_step, **options))
    initial = state_of(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    steps = []
    for _ in range(6):
        x = [randn(3, inputs, length)]
        if condition:
            x.append(randn(3, *condition))
        target = randn(3, length, outputs) if every_step else randn(3, outputs)
        optimizer.zero_grad()
        loss = F.mse_loss(model(*x), target)
        loss.backward()
        optimizer.step()
        steps.append({"x": tensor_json(x[0]), "target": tensor_json(target), "loss": loss.item()})
        if condition:
            steps[-1]["condition"] = tensor_json(x[1])
    return {"name": name, "every_step": every_step, "options": options, "state": initial,
            "steps": steps, "final": state_of(model)}


def digits_case(channels, kernel_size, batch):
    """Steps on images i, ..., i + batch - 1 of the test set, as sequences of their pixels."""
    folder = Path(__file__).resolve().parents[2] / "data" / "digits"
    images = np.frombuffer((folder / "t10k-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    labels = np.frombuffer((folder / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    x = torch.tensor(images.reshape(len(labels), 1, -1) / 255.0)
    target = torch.tensor(labels.astype(np.int64))
    model = rounded(TCN(1, 10, channels, kernel_size))
    initial = state_of(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for step in range(6):
        rows = slice(step * batch, (step + 1) * batch)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[rows]), target[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"batch": batch, "state": initial, "losses": losses, "final": state_of(model)}


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
    blocks += [
        block_case("batch_norm", (3, 2, 7), out_channels=3, kernel_size=3, norm="batch"),
        block_case("batch_norm_gated", (2, 2, 6), out_channels=2, activation="gated", norm="batch",
                   weight_norm=False, output_activation="none"),
        block_case("layer_norm", (2, 2, 7), out_channels=3, kernel_size=3, dilation=2,
                   norm="layer"),
        block_case("layer_norm_once", (2, 3, 6), out_channels=2, hidden_channels=4,
                   activation="gated", activate_second=False, norm="layer",
                   output_activation="none"),
        block_case("condition", (2, 2, 6), condition=(2, 3), out_channels=3, kernel_size=3,
                   condition_channels=3),
        block_case("condition_gated", (2, 2, 6), condition=(2, 2, 6), out_channels=3,
                   activation="gated", condition_channels=2, norm="layer"),
        block_case("skip", (2, 2, 6), out_channels=3, skip_channels=4),
        block_case("skip_all", (2, 2, 6), condition=(2, 2, 6), out_channels=3, kernel_size=3,
                   activation="gated", condition_channels=2, norm="batch", skip_channels=1),
    ]
    training += [
        training_case("darts", 2, 2, [3, 3, 2], 3, 9, True, weight_norm=False,
                      output_activation="none", residual_name="conv3", last_is_linear=True),
        training_case("gated", 2, 2, [3, 3], 2, 7, False, activation="gated"),
        training_case("kernels", 1, 2, [3, 3, 3], [4, 2, 3], 12, True, dilations=[1, 5, 2],
                      activation="leaky_relu"),
        training_case("batch_norm", 2, 2, [3, 4], 3, 7, False, norm="batch"),
        training_case("layer_norm", 2, 2, [3, 4], 3, 7, False, norm="layer", activation="gelu"),
        training_case("skips", 2, 2, [3, 3, 4], 2, 7, True, skip_channels=5, activation="tanh"),
        training_case("vector", 2, 2, [3, 3], 3, 7, False, condition=(2,), condition_channels=2),
        training_case("wavenet", 1, 2, [3, 3], 2, 7, True, condition=(2, 7), condition_channels=2,
                      skip_channels=4, activation="gated", output_activation="none"),
    ]
    golden = {"blocks": blocks, "training": training, "digits": digits_case([6, 6, 6], 7, 4)}
    OUTPUT.write_text(json.dumps(golden) + "\n")
    print(f"{OUTPUT}: {OUTPUT.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
