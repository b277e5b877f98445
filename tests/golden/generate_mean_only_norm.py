#!/usr/bin/env python3
"""Writes tests/golden/mean_only_norm.json: mean-only batch normalisation, composed in PyTorch.

The format is that of ops.json (generate_ops.py), and so is what the committed
file was written with. To write it again, from the repository root:

    python3 tests/golden/generate_mean_only_norm.py
"""

from pathlib import Path

import torch

from generate_norms import parameters
from generate_ops import add, cases, randn, write

OUTPUT = Path(__file__).with_name("mean_only_norm.json")


def mean_only_batch_norm_cases():
    """As the paper composes it; the running mean before and behind one call are options."""
    def case(name, shape, training=True, momentum=0.1, batches=0, bias=True):
        channels = shape[1]
        mean = randn(channels)
        inputs = [randn(*shape)] + parameters(1 if bias else 0, channels)
        axes = [0] + list(range(2, len(shape)))
        per_channel = [1, -1] + [1] * (len(shape) - 2)
        weight = 1 / (batches + 1) if momentum is None else momentum
        after = mean + weight * (inputs[0].mean(axes) - mean) if training else mean

        def mean_only_batch_norm(x, bias=None, **_):
            centred = x - (x.mean(axes) if training else mean).reshape(per_channel)
            return centred if bias is None else centred + bias.reshape(per_channel)

        add("mean_only_batch_norm", name, mean_only_batch_norm, inputs, training=training,
            momentum=momentum, batches=batches, mean=mean.tolist(), mean_after=after.tolist(),
            batches_after=batches + 1 if training else batches)

    case("vectors", (6, 5))
    case("sequences", (2, 3, 5), momentum=0.3)
    case("images", (2, 4, 3, 2), batches=2)
    case("cumulative", (3, 4), momentum=None, batches=3)
    case("no_bias", (3, 4, 2), bias=False)
    case("eval", (4, 3), training=False, batches=7)
    case("eval_images", (2, 3, 2, 2), training=False, bias=False)


def main():
    torch.manual_seed(31)
    torch.set_num_threads(1)
    mean_only_batch_norm_cases()
    write(OUTPUT, cases)


if __name__ == "__main__":
    main()
