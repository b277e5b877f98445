#!/usr/bin/env python3
"""Writes tests/golden/moving.json: PyTorch's values and gradients of the ops that move data: slice,
concat, stack, permute, pad, gather, where, embedding.

The format is that of ops.json (generate_ops.py), and so is what the committed
file was written with. To write it again, from the repository root:

    python3 tests/golden/generate_moving.py
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from generate_ops import add, cases, randn, write

OUTPUT = Path(__file__).with_name("moving.json")


def slice_cases():
    def function(x, dim, start, end, step):
        index = [slice(None)] * x.dim()
        index[dim] = slice(start, end, step)
        return x[tuple(index)]

    for shape, dim, start, end, step in [((7,), 0, 2, 5, 1), ((7, 2), 0, None, None, 3),
                                         ((2, 7), -1, -5, -1, 2), ((2, 7, 3), 1, -100, 100, 4),
                                         ((2, 3, 5, 2), 2, 1, None, 1), ((2, 4, 2, 3), 1, 1, 3, 1),
                                         ((2, 3), 1, 2, 1, 1), ((3, 4), 0, None, 2, 1)]:
        name = f"{shape}_{dim}_{start}_{end}_{step}"
        add("slice", name, function, [randn(*shape)], dim=dim, start=start, end=end, step=step)


def joining_cases():
    for shapes, dim in [([(3,), (2,)], 0), ([(2, 3), (2, 1), (2, 2)], 1), ([(2, 3), (4, 3)], -2),
                        ([(2, 3, 2, 2), (2, 1, 2, 2)], 1), ([(2, 0), (2, 3)], 1)]:
        add("concat", f"{shapes}_{dim}", lambda *x, dim: torch.cat(x, dim),
            [randn(*shape) for shape in shapes], dim=dim)
    for shape, count, dim in [((3,), 2, 0), ((3,), 2, -1), ((2, 3), 3, 1), ((2, 3, 2), 2, -4),
                              ((), 3, 0)]:
        add("stack", f"{shape}_{count}_{dim}", lambda *x, dim: torch.stack(x, dim),
            [randn(*shape) for _ in range(count)], dim=dim)


def other_cases():
    for shape, dims in [((2, 3), [1, 0]), ((2, 3, 4), [2, 0, 1]), ((2, 3, 4, 2), [0, 2, 3, 1]),
                        ((2, 3, 4, 2), [-1, 0, -3, 2]), ((2, 1, 3, 2, 2), [4, 2, 0, 1, 3])]:
        add("permute", f"{dims}", lambda x, dims: x.permute(dims), [randn(*shape)], dims=dims)
    for shape, padding, value in [((4,), [1, 2], 0.0), ((2, 3), [0, 1], 1.5),
                                  ((2, 3), [1, 0, 2, 1], -0.5), ((2, 3, 2, 3), [1, 1, 1, 1], 0.0),
                                  ((2, 3, 2, 3), [1, 0, 0, 2, 3, 0], 2.0), ((3, 5), [-1, -2], 0.0),
                                  ((3, 5), [2, -3, -1, 1], 0.25), ((3, 5), [], 1.0)]:
        add("pad", f"{shape}_{padding}", lambda x, pad, value: F.pad(x, pad, value=value),
            [randn(*shape)], pad=padding, value=value)
    for x, dim, index in [((5,), 0, (7,)), ((3, 4), 1, (3, 2)), ((3, 4), 0, (5, 4)),
                          ((3, 4), -1, (2, 6)), ((2, 3, 4), 1, (2, 5, 3)),
                          ((2, 3, 2, 4), 1, (2, 4, 2, 4))]:
        places = torch.randint(x[dim], index)
        add("gather", f"{x}_{dim}_{index}",
            lambda x, index, dim: torch.gather(x, dim, index), [randn(*x), places], dim=dim)

    def where(condition, a, b):
        return torch.where(condition != 0, a, b)

    for condition, a, b in [((4,), (4,), (4,)), ((2, 3), (), (3,)), ((), (2, 3), (2, 1)),
                            ((2, 3, 2, 2), (3, 1, 1), (2, 3, 2, 2)), ((3, 1, 2), (2, 3, 1, 1), (4, 1))]:
        add("where", f"{condition}_{a}_{b}", where,
            [torch.randint(2, condition).to(torch.uint8), randn(*a), randn(*b)])
    add("where", "of_numbers_beside_1", where,
        [torch.tensor([0, 1, 2, 255]).to(torch.uint8), randn(4), randn(4)])


def embedding_cases():
    for index, weight, padding_idx in [((), (3, 2), None), ((7,), (3, 2), None),
                                       ((2, 5), (4, 3), 1), ((2, 2, 3), (3, 4), -1)]:
        add("embedding", f"{index}_{weight}_{padding_idx}", F.embedding,
            [torch.randint(weight[0], index), randn(*weight)], padding_idx=padding_idx)


def main():
    torch.manual_seed(22)
    torch.set_num_threads(1)
    slice_cases()
    joining_cases()
    other_cases()
    embedding_cases()
    write(OUTPUT, cases)


if __name__ == "__main__":
    main()
