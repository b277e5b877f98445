#!/usr/bin/env python3
"""Checks that Warptape and PyTorch train SimpleCNN to the same weights.

For every seed, both start from the same random weights and see the same
batches of a small CIFAR-10 style data set: six steps of SGD with momentum.
The reference is PyTorch in float64 on the CPU. An error is the norm of the
difference over the norm of the reference, all tensors taken together.

Bounds, checked over all seeds:
  float64  logits and weights after six steps: at most 1e-9, logits also from
           checkpoints with parametrized or plain (already normalised) weights
  float32  logits: at most 1e-5; weights after six steps: median error at most
           three times that of PyTorch in float32

Needs PyTorch and NumPy. The exit status is 1 if a bound fails. Example:

  python3 tools/compare_with_pytorch.py --warptape build/cpu/warptape
"""

import argparse
import json
import math
import statistics
import struct
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import numpy as np
    import torch
    from torch import nn
except ImportError as error:
    sys.exit(f"compare_with_pytorch.py needs PyTorch and NumPy: {error}")

LEARNING_RATE, MOMENTUM = 0.01, 0.9
MEAN, STD = 0.5, 0.25
BATCH_SIZE, EPOCHS, TRAIN_IMAGES, TEST_IMAGES = 32, 2, 96, 32
FLOAT64_BOUND, FLOAT32_LOGITS_BOUND, FLOAT32_STEPS_FACTOR = 1e-9, 1e-5, 3.0
DTYPES = {"float32": (torch.float32, "F32"), "float64": (torch.float64, "F64")}


class SimpleCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.utils.weight_norm(nn.Conv2d(3, 64, 3, padding=1))
        self.conv2 = nn.utils.weight_norm(nn.Conv2d(64, 128, 3, padding=1))
        self.fc1 = nn.Linear(128 * 8 * 8, 256)
        self.fc2 = nn.Linear(256, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def write_safetensors(path, state, dtype):
    torch_dtype, name = DTYPES[dtype]
    header, blobs, offset = {}, [], 0
    for key, tensor in state.items():
        blob = tensor.to(torch_dtype).contiguous().numpy().tobytes()
        header[key] = {"dtype": name, "shape": list(tensor.shape),
                       "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path, dtype):
    """The tensors of a file as float64; all of them must be stored as dtype."""
    content = path.read_bytes()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    state = {}
    for key, entry in header.items():
        if entry["dtype"] != DTYPES[dtype][1]:
            raise ValueError(f"{path.name}: {key} is {entry['dtype']}, expected {dtype}")
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[start + begin:start + end], dtype)
        state[key] = torch.from_numpy(values.astype("float64")).reshape(entry["shape"])
    return state


def make_images(count, generator):
    """Noisy images, coarse patterns shared by the images of a class, and labels."""
    labels = torch.arange(count) % 10
    patterns = torch.randint(0, 156, (10, 3, 4, 4), generator=generator)
    patterns = patterns.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    noise = torch.randint(0, 100, (count, 3, 32, 32), generator=generator)
    return (patterns[labels] + noise).to(torch.uint8), labels


def write_cifar_batch(path, images, labels):
    records = torch.cat([labels.to(torch.uint8)[:, None], images.flatten(1)], dim=1)
    path.write_bytes(records.numpy().tobytes())


def normalise(images, dtype):
    return (images.to(DTYPES[dtype][0]) / 255 - MEAN) / STD


def train_with_pytorch(state, images, labels, dtype):
    """Logits of the first batch before training, and the weights after it, as float64."""
    model = SimpleCNN()
    model.load_state_dict(state)
    model.to(DTYPES[dtype][0])
    x = normalise(images, dtype)
    with torch.no_grad():
        logits = model(x[:BATCH_SIZE]).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    for _ in range(EPOCHS):
        for batch, target in zip(x.split(BATCH_SIZE), labels.split(BATCH_SIZE)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()
    return logits, {key: value.double() for key, value in model.state_dict().items()}


def as_parametrized(state):
    """The keys of torch.nn.utils.parametrizations.weight_norm."""
    names = {"weight_g": "parametrizations.weight.original0",
             "weight_v": "parametrizations.weight.original1"}
    result = {}
    for key, value in state.items():
        layer, name = key.split(".")
        result[f"{layer}.{names.get(name, name)}"] = value
    return result


def as_plain(state):
    """Checkpoint after torch.nn.utils.remove_weight_norm."""
    result = {key: value.double() for key, value in state.items() if "weight_" not in key}
    for layer in ("conv1", "conv2"):
        g, v = state[f"{layer}.weight_g"].double(), state[f"{layer}.weight_v"].double()
        result[f"{layer}.weight"] = g * v / v.flatten(1).norm(dim=1).reshape(g.shape)
    return result


def run(command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nfailed with exit status {result.returncode}:\n"
                 f"{result.stdout[-2000:]}{result.stderr[-2000:]}")


class Warptape:
    def __init__(self, program, device):
        self.program = program
        self.device = device

    def logits(self, folder, state, x, dtype):
        write_safetensors(folder / "predict.safetensors", state, dtype)
        np.save(folder / "X.npy", x.numpy())
        run([self.program, "predict", "simple_cnn",
             "--checkpoint", folder / "predict.safetensors", "--input", folder / "X.npy",
             "--output", folder / "Y.npy", "--device", self.device])
        logits = np.load(folder / "Y.npy")
        if logits.dtype != dtype:
            raise ValueError(f"Y.npy is {logits.dtype}, expected {dtype}")
        return torch.from_numpy(logits.astype("float64"))

    def train(self, folder, state, dtype):
        write_safetensors(folder / "init.safetensors", state, dtype)
        steps = EPOCHS * TRAIN_IMAGES // BATCH_SIZE
        run([self.program, "train", "simple_cnn", "--data", folder,
             "--init", folder / "init.safetensors", "--no-shuffle", "--epochs", EPOCHS,
             "--max-steps", steps, "--batch-size", BATCH_SIZE, "--optimizer", "sgd",
             "--lr", LEARNING_RATE, "--momentum", MOMENTUM, "--mean", MEAN, "--std", STD,
             "--dtype", dtype, "--out", folder / dtype, "--device", self.device])
        return read_safetensors(folder / dtype / "last.safetensors", dtype)


def relative_error(value, reference):
    """Of two tensors, or of two dictionaries of tensors with the same keys."""
    if isinstance(reference, dict):
        if value.keys() != reference.keys():
            raise ValueError(f"keys differ: {sorted(value.keys() ^ reference.keys())}")
        for key in reference:
            if value[key].shape != reference[key].shape:
                raise ValueError(f"{key} is {list(value[key].shape)}, "
                                 f"expected {list(reference[key].shape)}")
        value, reference = (torch.cat([state[key].flatten() for key in reference])
                            for state in (value, reference))
    error = ((value - reference).norm() / reference.norm()).item()
    return math.inf if math.isnan(error) else error


def compare(warptape, seed, folder):
    """The errors of one seed, by column of the table."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    state = SimpleCNN().state_dict()
    images, labels = make_images(TRAIN_IMAGES, generator)
    write_cifar_batch(folder / "data_batch_1.bin", images, labels)
    write_cifar_batch(folder / "test_batch.bin", *make_images(TEST_IMAGES, generator))

    logits, trained = train_with_pytorch(state, images, labels, "float64")
    _, trained_float32 = train_with_pytorch(state, images, labels, "float32")
    first = images[:BATCH_SIZE]

    def logits_error(checkpoint, dtype):
        return relative_error(
            warptape.logits(folder, checkpoint, normalise(first, dtype), dtype), logits)

    return {
        "f64 logits": logits_error(state, "float64"),
        "f64 parametrized": logits_error(as_parametrized(state), "float64"),
        "f64 plain": logits_error(as_plain(state), "float64"),
        "f64 steps": relative_error(warptape.train(folder, state, "float64"), trained),
        "f32 logits": logits_error(state, "float32"),
        "f32 steps": relative_error(warptape.train(folder, state, "float32"), trained),
        "PyTorch f32 steps": relative_error(trained_float32, trained),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warptape", required=True, type=Path, metavar="PROGRAM",
                        help="the warptape program, for example build/cpu/warptape")
    parser.add_argument("--seeds", type=int, default=10, metavar="N",
                        help="compare seeds 0 to N-1 (default 10)")
    parser.add_argument("--device", default="cpu",
                        help="device that Warptape runs on (default cpu)")
    arguments = parser.parse_args()
    if not arguments.warptape.is_file():
        parser.error(f"{arguments.warptape} does not exist; build Warptape first")
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*weight_norm.*")
    warptape = Warptape(arguments.warptape.resolve(), arguments.device)

    print(f"PyTorch {torch.__version__}, relative errors against its float64 results\n")
    rows = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append(compare(warptape, seed, Path(folder)))
            except (OSError, ValueError) as error:
                sys.exit(f"seed {seed}: {error}")
        if seed == 0:
            print("seed  " + "  ".join(rows[0]))
        print(f"{seed:4}  " + "  ".join(f"{error:{len(name)}.1e}"
                                        for name, error in rows[-1].items()), flush=True)

    def largest(name):
        return max(row[name] for row in rows)

    def median(name):
        return statistics.median(row[name] for row in rows)

    checks = [(f"largest {name}", largest(name), FLOAT64_BOUND)
              for name in rows[0] if name.startswith("f64")]
    checks.append(("largest f32 logits", largest("f32 logits"), FLOAT32_LOGITS_BOUND))
    checks.append(("median f32 steps", median("f32 steps"),
                   FLOAT32_STEPS_FACTOR * median("PyTorch f32 steps")))
    print()
    for name, error, bound in checks:
        print(f"{name:25}  {error:.1e}  bound {bound:.1e}  {'ok' if error <= bound else 'FAILED'}")
    return 0 if all(error <= bound for _, error, bound in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
