#!/usr/bin/env python3
"""Runs README's commands of the TCN, one after the other, at small size.

    readme_tcn_test.py WARPTAPE
"""
import pathlib
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LENGTH = 64  # pixels of the shipped digits
CLASSES = 10


def readme_commands() -> list[str]:
    """The lines of the block under the TCN's heading."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"^## Sequences: the TCN\n\n```\n(.*?)```", text, re.M | re.S)
    if found is None:
        sys.exit("README.md: no block of commands under `## Sequences: the TCN`")
    return found.group(1).splitlines()


def write_npy(path: pathlib.Path, values: list[float], shape: tuple) -> None:
    header = str({"descr": "<f4", "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                     struct.pack(f"<{len(values)}f", *values))


class ReadmeTcn(unittest.TestCase):
    def test_commands_run_in_turn(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "data").symlink_to(ROOT / "data")
            write_npy(folder / "X.npy", [i % 7 / 7 for i in range(2 * LENGTH)], (2, 1, LENGTH))
            (folder / "numbers.txt").write_text("".join(f"{i % 5}\n" for i in range(9)))
            outputs = {}
            for line in readme_commands():
                self.assertTrue(line.startswith("build/cpu/warptape "), line)
                line = line.replace("build/cpu/warptape", shlex.quote(PROGRAM))
                line = line.replace("--channels 25,25,25,25", "--channels 3,3")
                line = line.replace("--epochs 20", "--epochs 1 --device cpu")
                done = subprocess.run(["bash", "-c", line], cwd=folder, check=True, text=True,
                                      stdout=subprocess.PIPE)
                outputs[shlex.split(line)[1]] = done.stdout
            self.assertEqual(set(outputs), {"train", "inspect", "predict", "stream"})
            self.assertIn("receptive_field", outputs["train"])
            self.assertIn(f"{LENGTH}", outputs["inspect"])
            answers = (folder / "Y.npy").read_bytes()
            self.assertEqual(len(answers) % 64, 2 * CLASSES * 4 % 64)
            lines = outputs["stream"].splitlines()
            self.assertEqual(len(lines), 9)
            self.assertEqual(len(re.split(r"[ ,]+", lines[0].strip())), CLASSES)


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
