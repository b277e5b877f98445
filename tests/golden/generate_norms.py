#!/usr/bin/env python3
"""Writes tests/golden/norms.json: PyTorch's values and gradients of normalisations.

The format is that of ops.json (generate_ops.py), and so is what the committed
file was written with. To write it again, from the repository root:

    python3 tests/golden/generate_norms.py
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from generate_ops import add, cases, randn, write

OUTPUT = Path(__file__).with_name("norms.json")


def parameters(count, *shape):
    """A weight, and a bias where there are two."""
    return [randn(*shape) for _ in range(count)]


def layer_norm_cases():
    def layer_norm(x, weight=None, bias=None, *, normalized_shape, eps):
        return F.layer_norm(x, normalized_shape, weight, bias, eps)

    def case(name, shape, normalized_shape, count=2, eps=1e-5):
        add("layer_norm", name, layer_norm, [randn(*shape)] + parameters(count, *normalized_shape),
            normalized_shape=list(normalized_shape), eps=eps)

    case("rows", (4, 9), (9,))
    case("plain", (3, 5), (5,), count=0)
    case("no_bias", (3, 8), (8,), count=1)
    case("sequences", (2, 3, 7), (7,), eps=0.1)
    case("images", (2, 3, 4, 2), (3, 4, 2))
    case("planes", (2, 3, 4, 2), (4, 2))


def group_norm_cases():
    def group_norm(x, weight=None, bias=None, *, num_groups, eps):
        return F.group_norm(x, num_groups, weight, bias, eps)

    def case(name, shape, num_groups, count=2, eps=1e-5):
        add("group_norm", name, group_norm, [randn(*shape)] + parameters(count, shape[1]),
            num_groups=num_groups, eps=eps)

    case("vectors", (3, 6), 2)
    case("sequences", (2, 4, 5), 2, eps=0.1)
    case("images", (2, 6, 3, 2), 3)
    case("instances", (2, 3, 5), 3, count=0)
    case("one_group", (2, 4, 2, 3), 1, count=1)


def batch_norm_cases():
    """The running statistics as they were before and are behind one call are options, too."""
    def case(name, shape, count=2, training=True, momentum=0.1, batches=0, eps=1e-5, track=True):
        channels = shape[1]
        norm = torch.nn.BatchNorm1d(channels, eps, momentum, affine=False).double()
        norm.num_batches_tracked.fill_(batches)
        norm.running_mean.copy_(randn(channels))
        norm.running_var.copy_((randn(channels) ** 2 + 0.5).round(decimals=4))
        options = {"training": training, "momentum": momentum, "eps": eps, "batches": batches}
        if track:
            options |= {"mean": norm.running_mean.tolist(), "variance": norm.running_var.tolist()}
        else:
            norm.running_mean = norm.running_var = None
        norm.train(training)
        inputs = [randn(*shape)] + parameters(count, channels)
        # The module, for what becomes of the statistics; of images as sequences.
        norm(inputs[0].reshape(shape[0], channels, -1))
        if track:
            options |= {"mean_after": norm.running_mean.tolist(),
                        "variance_after": norm.running_var.tolist(),
                        "batches_after": norm.num_batches_tracked.item()}

        def batch_norm(x, weight=None, bias=None, **_):
            mean = torch.tensor(options["mean"], dtype=torch.float64) if track else None
            variance = torch.tensor(options["variance"], dtype=torch.float64) if track else None
            return F.batch_norm(x, mean, variance, weight, bias, training, 0.1, eps)

        add("batch_norm", name, batch_norm, inputs, **options)

    case("vectors", (6, 5))
    case("sequences", (2, 3, 5), momentum=0.3)
    case("images", (2, 4, 3, 2), eps=0.1)
    case("cumulative", (3, 4), momentum=None, batches=3)
    case("first_of_cumulative", (3, 2, 2), momentum=None)
    case("untracked", (3, 4), count=1, track=False)
    case("eval", (4, 3), training=False, batches=7)
    case("eval_images", (2, 3, 2, 2), count=0, training=False)


def main():
    torch.manual_seed(29)
    torch.set_num_threads(1)
    layer_norm_cases()
    group_norm_cases()
    batch_norm_cases()
    write(OUTPUT, cases)


if __name__ == "__main__":
    main()
