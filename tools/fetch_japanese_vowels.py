#!/usr/bin/env python3
"""Fetches JapaneseVowels (Kudo, Toyama & Shimbo 1999; UEA archive), 270 and 370 series of 12
channels, from the wheel of aeon 1.6.0 on PyPI, and puts the two .ts files into a folder."""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import zipfile

WHEEL = "aeon==1.6.0"
FILES = ["JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path, help="where the files go; made if it is not there")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary",
                        ":all:", "--dest", temporary, WHEEL], check=True)
        wheel, = pathlib.Path(temporary).glob("aeon-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            contents = {name: archive.read(f"aeon/datasets/data/JapaneseVowels/{name}") for name in FILES}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        print(folder / name)


if __name__ == "__main__":
    main()
