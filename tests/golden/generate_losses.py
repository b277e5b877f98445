#!/usr/bin/env python3
"""Writes tests/golden/losses.json: PyTorch's values and gradients of losses. A new one of
kernels/losses/table.h has a list here.

The format is that of ops.json (generate_ops.py), and so is what the committed
file was written with. A case whose options have "masked" has a mask for its last
input. To write it again, from the repository root:

    python3 tests/golden/generate_losses.py
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from generate_ops import add, cases, randn, write

OUTPUT = Path(__file__).with_name("losses.json")

REDUCTIONS = ("mean", "sum", "none")


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def unit(*shape):
    return torch.rand(shape, dtype=torch.float64).round(decimals=3)


def positive(*shape):
    return randn(*shape).abs() + 0.0625


def keep(*shape):
    """A mask that keeps about two of three."""
    return (torch.rand(shape) < 0.66).to(torch.uint8)


def masked(loss):
    """`loss` over what the last input keeps, whose dimensions are the first one's leading ones."""
    def function(*inputs, reduction, masked, **options):
        del masked
        x, mask = inputs[0], inputs[-1]
        mask = mask.reshape(mask.shape + (1,) * (x.dim() - mask.dim())).expand(x.shape)
        each = loss(*inputs[:-1], reduction="none", **options)
        kept = torch.where(mask != 0, each, 0)
        return {"none": kept, "sum": kept.sum(), "mean": kept.sum() / (mask != 0).sum()}[reduction]
    return function


def loss_cases(op, loss, name, inputs, **options):
    for reduction in REDUCTIONS:
        add(op, f"{name}_{reduction}", loss, inputs, reduction=reduction, **options)


def masked_case(op, loss, name, inputs, reduction="mean", **options):
    add(op, f"{name}_{reduction}", masked(loss), inputs, reduction=reduction, masked=True,
        **options)


def of_two_cases():
    """Losses of an input and a target; the kinks of each are among the last values."""
    steps = tensor(-3.0, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 3.0)
    for op, loss, settings in [("mse_loss", F.mse_loss, [{}]),
                               ("l1_loss", F.l1_loss, [{}]),
                               ("huber_loss", F.huber_loss, [{}, {"delta": 0.5}]),
                               ("smooth_l1_loss", F.smooth_l1_loss,
                                [{}, {"beta": 0.25}, {"beta": 0.0}])]:
        for options in settings:
            name = "_".join(f"{key}_{value}" for key, value in options.items()) or "plain"
            loss_cases(op, loss, name, [2 * randn(2, 3, 4), randn(2, 3, 4)], **options)
            loss_cases(op, loss, f"{name}_kinks", [steps, torch.zeros(9, dtype=torch.float64)],
                       **options)
        masked_case(op, loss, "masked", [randn(4, 5), randn(4, 5), keep(4, 5)])
        masked_case(op, loss, "lengths", [randn(2, 3, 6), randn(2, 3, 6), keep(2, 1, 6)])
    masked_case("mse_loss", F.mse_loss, "leading", [randn(3, 4, 2), randn(3, 4, 2), keep(3, 4)],
                "none")


def bce_cases():
    op = "bce_with_logits_loss"
    plain = F.binary_cross_entropy_with_logits
    large = tensor(-800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0)

    def weighted(x, target, pos_weight, reduction):
        """PyTorch's own gives no gradient by pos_weight."""
        each = -(pos_weight * target * F.logsigmoid(x) + (1 - target) * F.logsigmoid(-x))
        torch.testing.assert_close(each, plain(x, target, reduction="none",
                                               pos_weight=pos_weight.detach()))
        return {"none": each, "sum": each.sum(), "mean": each.mean()}[reduction]

    loss_cases(op, plain, "plain", [3 * randn(2, 3, 4), unit(2, 3, 4)])
    loss_cases(op, plain, "large", [large, tensor(0.0, 1.0, 0.0, 0.5, 1.0, 0.0, 1.0)])
    target = (torch.rand(2, 3, 4) < 0.5).double()
    for name, shape in [("elements", (2, 3, 4)), ("channels", (3, 1)), ("last", (4,)), ("one", ())]:
        loss_cases(op, weighted, f"pos_weight_of_{name}",
                   [3 * randn(2, 3, 4), target, positive(*shape)])
    masked_case(op, plain, "masked", [randn(4, 5), unit(4, 5), keep(4)])
    masked_case(op, weighted, "pos_weight_masked",
                [randn(4, 5), (torch.rand(4, 5) < 0.5).double(), positive(5), keep(4, 5)])


def gaussian_cases():
    op = "gaussian_nll_loss"
    loss = F.gaussian_nll_loss
    for name, var in [("elements", (3, 4)), ("last", (3, 1)), ("leading", (3,)), ("first", (1, 4))]:
        loss_cases(op, loss, f"var_of_{name}", [randn(3, 4), randn(3, 4), positive(*var)])
    images = [randn(2, 3, 2, 2), randn(2, 3, 2, 2), positive(2, 1, 2, 2)]
    loss_cases(op, loss, "full", images, full=True)
    loss_cases(op, loss, "clamped", [randn(6), randn(6), tensor(0.0, 0.1, 0.25, 0.3, 1e-9, 2.0)],
               eps=0.25)
    masked_case(op, loss, "masked", [randn(4, 5), randn(4, 5), positive(4, 5), keep(4, 5)])


def quantile_cases():
    """As forecasters have it; the mean is over the levels, too."""
    def loss(x, target, quantiles, reduction):
        q = torch.tensor(quantiles, dtype=torch.float64)
        error = target.unsqueeze(-1) - x
        each = torch.max((q - 1) * error, q * error)
        return {"none": each, "sum": each.sum(), "mean": each.mean()}[reduction]

    loss_cases("quantile_loss", loss, "plain", [randn(2, 5, 3), randn(2, 5)],
               quantiles=[0.1, 0.5, 0.9])
    ties = [tensor(1.0, 2.0, 3.0, 2.0).reshape(2, 2), tensor(1.0, 2.0)]
    loss_cases("quantile_loss", loss, "ties", ties, quantiles=[0.3, 0.75])
    masked_case("quantile_loss", loss, "masked", [randn(3, 4, 2), randn(3, 4), keep(3, 4)],
                quantiles=[0.05, 0.6])


def label_cases():
    labels = torch.tensor([0, 4, 2, 1, 4, 3])
    some_ignored = torch.tensor([-100, 4, 2, -100, 1, 0])
    places = torch.tensor([[0, 3, -100, 1, 1], [-100, 2, 0, 3, 1]])
    for name, shape, target, ignore_index in [("plain", (6, 5), labels, -100),
                                              ("ignored", (6, 5), some_ignored, -100),
                                              ("ignored_class", (6, 5), labels, 4),
                                              ("sequence", (2, 4, 5), places, -100)]:
        log_probabilities = F.log_softmax(2 * randn(*shape), 1).round(decimals=4)
        loss_cases("nll_loss", F.nll_loss, name, [log_probabilities, target],
                   ignore_index=ignore_index)
        for smoothing in (0.0, 0.2):
            add("cross_entropy", f"{name}_smoothing_{smoothing}_none", F.cross_entropy,
                [2 * randn(*shape), target], reduction="none", ignore_index=ignore_index,
                label_smoothing=smoothing)


def main():
    torch.manual_seed(31)
    torch.set_num_threads(1)
    of_two_cases()
    bce_cases()
    gaussian_cases()
    quantile_cases()
    label_cases()
    write(OUTPUT, cases)


if __name__ == "__main__":
    main()
