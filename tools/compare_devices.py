#!/usr/bin/env python3
"""Checks that SimpleCNN trains on a GPU to what it trains to on the CPU.

Runs start from the same weights (one float32 checkpoint per seed) and see the same batches of a
small data set in the format of CIFAR-10, by SGD with momentum. The reference is the CPU in float64.

Bounds:
  float64  losses and gradient norms of all steps: at most 1e-9 relative, data kept on the device
           or brought batch by batch; a checkpoint of one device goes on on the other as on its own
  float32  first loss of each seed: at most 1e-5 relative; last loss: median error over the seeds at
           most three times that of the CPU in float32, or three times what float32 sums give: a
           CPU without oneDNN adds in float64. A sum of n terms is off by about sqrt(n) roundings
           (2^-24) of its terms; a step's longest one, of a pixel per term, is that of the gradient
           of conv1's weight
  both     the same run twice: the same bytes in steps.csv and last.safetensors

Needs python3 alone. Prints a table; the exit status is 1 if a bound fails. Examples:

  python3 tools/compare_devices.py --warptape build/gpu/warptape
  python3 tools/compare_devices.py --warptape build/simt/warptape --image-size 8 --seeds 3 --steps 6
(the second one on the emulated device, which is slow)
"""

import argparse
import concurrent.futures
import csv
import itertools
import math
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

TRAIN_IMAGES, TEST_IMAGES = 64, 4
FLOAT64_BOUND, FIRST_LOSS_BOUND, LAST_LOSS_FACTOR = 1e-9, 1e-5, 3.0
ROUNDING = 2.0 ** -24


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warptape", default="build/cuda/warptape", help="the program")
    parser.add_argument("--seeds", type=int, default=10, help="runs in float32 [10]")
    parser.add_argument("--steps", type=int, default=20, help="per run [20]")
    parser.add_argument("--batch-size", type=int, default=16, help="[16]")
    parser.add_argument("--image-size", type=int, default=32, help="[32]")
    parser.add_argument("--jobs", type=int, default=1, help="seeds that run side by side [1]")
    arguments = parser.parse_args()
    if min(arguments.seeds, arguments.steps, arguments.batch_size, arguments.jobs) < 1:
        parser.error("--seeds, --steps, --batch-size and --jobs: wanted 1 or more")
    if arguments.steps < 2:
        parser.error("--steps: wanted 2 or more")
    return arguments


def write_data(folder):
    """Images that are bright in a band by their class, with noise."""
    generator = random.Random(1)

    def record(label):
        pixels = [min(255, generator.randrange(60) + (150 if i % 1024 // 103 == label else 0))
                  for i in range(3072)]
        return bytes([label] + pixels)

    folder.mkdir()
    train = b"".join(record(i % 10) for i in range(TRAIN_IMAGES))
    (folder / "data_batch_1.bin").write_bytes(train)
    (folder / "test_batch.bin").write_bytes(b"".join(record(i) for i in range(TEST_IMAGES)))


class Trainer:
    """Runs `warptape train` in a folder for temporary files."""

    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.numbers = itertools.count(1)
        write_data(folder / "data")

    def train(self, device, dtype, seed, init=None, steps=None, lr="0.01", options=()):
        """The folder of a finished run."""
        out = self.folder / f"run{next(self.numbers)}"
        command = [self.arguments.warptape, "train", "simple_cnn", "--device", device,
                   "--dtype", dtype, "--seed", str(seed), "--data", self.folder / "data",
                   "--out", out, "--epochs", "1000000", "--optimizer", "sgd", "--momentum", "0.9",
                   "--lr", lr, "--max-steps", str(steps or self.arguments.steps),
                   "--batch-size", str(self.arguments.batch_size),
                   "--image-size", str(self.arguments.image_size), *options]
        if init:
            command += ["--init", init / "last.safetensors"]
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"{' '.join(str(word) for word in command)}\n"
                     f"ended with status {result.returncode}: {result.stderr.strip()}")
        return out


def column(run, name):
    with open(run / "steps.csv", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def relative(a, b):
    difference = abs(a - b) / abs(b) if b != 0 else abs(a)
    return difference if math.isfinite(difference) else math.inf


def largest_difference(run, reference):
    """Relative, of losses and gradient norms over all steps."""
    return max(relative(a, b) for name in ("loss", "gradient_norm")
               for a, b in zip(column(run, name), column(reference, name), strict=True))


def differing_files(run, other):
    return sum((run / name).read_bytes() != (other / name).read_bytes()
               for name in ("steps.csv", "last.safetensors"))


def last_loss_bound(arguments, losses):
    """Of the median over (float64's, the CPU's in float32, ...) losses of the seeds."""
    by_cpu = statistics.median(abs(cpu[-1] - exact[-1]) for exact, cpu, *_ in losses)
    longest_sum = arguments.batch_size * arguments.image_size ** 2
    by_sums = (math.sqrt(longest_sum) * ROUNDING *
               statistics.median(abs(exact[-1]) for exact, *_ in losses))
    return LAST_LOSS_FACTOR * max(by_cpu, by_sums)


def compare(trainer, arguments):
    """Yields (what, value, bound); a value must not exceed its bound."""
    def start_of(seed):
        return trainer.train("cpu", "float32", seed, steps=1, lr="0")

    first = start_of(0)
    reference = trainer.train("cpu", "float64", 0, first)
    for place in ("on", "off"):
        run = trainer.train("cuda", "float64", 0, first, options=["--data-on-device", place])
        yield (f"float64, data on the device {place}: largest difference of a step",
               largest_difference(run, reference), FLOAT64_BOUND)
    half = arguments.steps // 2
    by_cpu = trainer.train("cpu", "float64", 0, first, steps=half)
    by_cuda = trainer.train("cuda", "float64", 0, first, steps=half)
    wanted = trainer.train("cpu", "float64", 1, by_cpu, steps=half)
    for name, init, device in (("CPU to cuda", by_cpu, "cuda"), ("cuda to CPU", by_cuda, "cpu"),
                               ("cuda to cuda", by_cuda, "cuda")):
        run = trainer.train(device, "float64", 1, init, steps=half)
        yield (f"float64, checkpoint goes on, {name}: largest difference",
               largest_difference(run, wanted), FLOAT64_BOUND)

    def losses_of(seed):
        start = start_of(seed)
        return [column(trainer.train(device, dtype, seed, start), "loss")
                for device, dtype in (("cpu", "float64"), ("cpu", "float32"), ("cuda", "float32"))]

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        losses = list(pool.map(losses_of, range(arguments.seeds)))
    yield (f"float32, first loss: largest error of {arguments.seeds} seeds",
           max(relative(cuda[0], exact[0]) for exact, _, cuda in losses), FIRST_LOSS_BOUND)
    yield (f"float32, loss of step {arguments.steps}: median error",
           statistics.median(abs(cuda[-1] - exact[-1]) for exact, _, cuda in losses),
           last_loss_bound(arguments, losses))

    for dtype in ("float32", "float64"):
        runs = [trainer.train("cuda", dtype, 0, first) for _ in range(2)]
        yield (f"{dtype}, the same run twice: files that differ", differing_files(*runs), 0)


def main():
    arguments = parse_arguments()
    failed = 0
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for what, value, bound in compare(Trainer(arguments, pathlib.Path(folder)), arguments):
            count += 1
            failed += not value <= bound
            print(f"{what:<70} {value:10.3g}  at most {bound:9.3g}  "
                  f"{'ok' if value <= bound else 'FAILED'}", flush=True)
    print(f"{failed} of {count} bounds failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
