#!/usr/bin/env python3
"""Writes tests/golden/torch_*.pt as torch.save does, and torch_files.json, what is in them.

To write them again, from the repository root:

    python3 tests/golden/generate_torch_files.py
"""

import collections
import json
from pathlib import Path

import torch

FOLDER = Path(__file__).parent


def plain():
    """A state dict: every dtype, and tensors that are views of others."""
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 8
    model = torch.nn.Sequential(torch.nn.Linear(3, 2))
    state = model.state_dict()  # an ordered dict with _metadata
    state["transposed"] = base.t()
    state["slice"] = base[1:, ::2]
    state["double"] = torch.tensor([[1 / 3, -2e300]], dtype=torch.float64)
    state["half"] = torch.tensor([1.5, -0.1, 6e-8, float("inf")], dtype=torch.float16)
    state["bfloat16"] = torch.tensor([1.0, -3.140625], dtype=torch.bfloat16)
    state["long"] = torch.tensor([-(2**40), 7])
    state["int"] = torch.tensor([-70000, 7], dtype=torch.int32)
    state["short"] = torch.tensor([-300, 7], dtype=torch.int16)
    state["char"] = torch.tensor([-3, 7], dtype=torch.int8)
    state["byte"] = torch.tensor([200, 7], dtype=torch.uint8)
    state["bool"] = torch.tensor([True, False])
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 3)
    return state


def checkpoint():
    """What training scripts save: weights among other things; parameters; two names of one."""
    layer = torch.nn.utils.weight_norm(torch.nn.Conv1d(2, 3, 2))
    shared = torch.tensor([1.0, 2.0])
    return {"epoch": 7, "name": "caf\u00e9", "rate": 0.25, "none": None, "done": True, "big": 2**40,
            "model": collections.OrderedDict(layer.named_parameters()),
            "lists": [shared, (shared, "text", -5)], 3: shared}


def entries(value, path=""):
    if isinstance(value, torch.Tensor):
        yield path, value.detach()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from entries(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from entries(item, f"{path}.{index}" if path else str(index))


def json_of(path, tensor):
    kinds = {torch.float16: "float32", torch.bool: "uint8", torch.int32: "int64",
             torch.int16: "int64", torch.int8: "int64"}
    dtype = kinds.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
    values = ["inf" if value == float("inf") else value
              for value in tensor.double().flatten().tolist()]
    return {"name": path, "dtype": dtype, "shape": list(tensor.shape), "data": values}


def main():
    torch.manual_seed(3)
    files = {"torch_plain.pt": plain(), "torch_checkpoint.pt": checkpoint()}
    expected = {}
    for name, value in files.items():
        torch.save(value, FOLDER / name)
        expected[name] = [json_of(path, tensor) for path, tensor in entries(value)]
    torch.save(torch.nn.Linear(2, 2), FOLDER / "torch_module.pt")
    torch.save({"a": torch.ones(2)}, FOLDER / "torch_legacy.pt",
               _use_new_zipfile_serialization=False)
    torch.save({"a": torch.ones(1).expand(1000)}, FOLDER / "torch_expanded.pt")
    (FOLDER / "torch_files.json").write_text(json.dumps(expected, indent=0) + "\n")


if __name__ == "__main__":
    main()
