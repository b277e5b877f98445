#!/usr/bin/env python3
"""extract_blocks.py GUIDE.md FOLDER

Writes every block of the guide that begins with ```cpp FILE to FOLDER/FILE and prints the files' names.
A file whose text has not changed is left alone, so that it is not compiled again.
"""
import pathlib
import re
import sys


def main() -> int:
    guide, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    blocks = re.findall(r"^```cpp (\S+)\n(.*?)^```$", guide.read_text(), re.M | re.S)
    if not blocks:
        print(f"{guide}: no block begins with ```cpp FILE", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in blocks:
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    print("\n".join(name for name, _ in blocks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
