#!/usr/bin/env python3
"""Checks that rooms include only what stands to their left:

    core <- kernels <- layers <- {models, training} <- tools      (tests include anything)

and, within core, simt <- device <- the rest. The emulator sees core's vocabulary, seam and errors; it is seen by
the headers that take its half in, and by tools. What only tests need lies in tests/support, which nothing here
includes, and reaches in by the seams listed below. Headers, warptape.h with all of them, do without fmt, which whoever
includes them would have to compile. Also that headers begin with `#pragma once`,
and that who asks for a macro of core/simt/build.h or core/device/has_gpu.h includes it. Run from anywhere;
prints every offence and exits with 1 if there is one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAY_INCLUDE = {
    "core": {"core"},
    "emulator": {"core", "emulator"},
    "kernels": {"core", "kernels"},
    "layers": {"core", "kernels", "layers"},
    "models": {"core", "kernels", "layers", "models"},
    "training": {"core", "kernels", "layers", "models", "training"},
    "tools": {"core", "emulator", "kernels", "layers", "models", "training", "tools"},
    "warptape.h": {"core", "kernels", "layers", "models", "training"},
    "examples": {"core", "kernels", "layers", "models", "training", "examples", "warptape.h"},
}
# core/simt and core/device know of the rest of core only how to report an error.
ERRORS = ("core/error.h", "core/check.h")
WITHIN_CORE = {
    "core/simt/": ("core/simt/", *ERRORS),
    "core/device/": ("core/device/", "core/simt/", *ERRORS),
    "emulator/": ("emulator/", "core/device/", "core/simt/", *ERRORS),
}
# One half of what these headers declare is the emulator's.
TAKE_THE_EMULATOR_IN = {
    "core/simt/simt.h",
    "core/simt/memory.h",
    "core/simt/tensor_core.h",
    "core/device/launch.h",
}

# Where tests reach into the libraries: who else took part would be a product made of test machinery.
SEAMS_OF_TESTS = {
    "core/allocation_hooks.h": {"core/deferred.cpp", "core/storage.cpp", "core/tensor.cpp"},
}

# What formats messages is for .cpp files alone. Nobody includes headers of tools but tools.
FORMATTING = {"core/check.h", "training/file.h", "training/text_lines.h"}
FREE_OF_FMT = set(MAY_INCLUDE) - {"tools"}


def offences(path: pathlib.Path) -> list[str]:
    relative = path.relative_to(ROOT)
    text = path.read_text()
    found = []
    if path.suffix == ".h" and not text.startswith("#pragma once"):
        found.append(f"{relative}: does not begin with #pragma once")
    is_header = path.suffix in {".h", ".cuh", ".cu"} and relative.parts[0] in FREE_OF_FMT
    for number, line in enumerate(text.splitlines(), 1):
        asked = re.match(r' *# *include *[<"]([^>"]+)[>"]', line)
        if is_header and asked and str(relative) not in FORMATTING:
            if asked.group(1).startswith("fmt/") or asked.group(1) in FORMATTING:
                found.append(f"{relative}:{number}: only .cpp files may include {asked.group(1)}")
        match = re.match(r'#include "([^"]+)"', line)
        if not match:
            continue
        target = match.group(1)
        if target.startswith("emulator/") and str(relative) in TAKE_THE_EMULATOR_IN:
            continue
        if str(relative) not in SEAMS_OF_TESTS.get(target, {str(relative)}):
            found.append(f"{relative}:{number}: only tests may use {target}")
        room = target.split("/")[0]
        if room not in MAY_INCLUDE[relative.parts[0]]:
            found.append(f"{relative}:{number}: {relative.parts[0]} may not include {target}")
        for folder, allowed in WITHIN_CORE.items():
            if str(relative).startswith(folder) and not target.startswith(allowed):
                found.append(f"{relative}:{number}: {folder} may not include {target}")
    return found


DEFINED_BY = {
    "core/simt/build.h": r"SIMT|SIMT_PROFILE",
    "core/device/has_gpu.h": r"HAS_GPU",
}


def undefined_macros(path: pathlib.Path) -> list[str]:
    text = path.read_text()
    found = []
    for header, macros in DEFINED_BY.items():
        asks = re.search(rf"^(?!\s*//).*\bWARPTAPE_({macros})\b", text, re.MULTILINE)
        if asks and f'#include "{header}"' not in text[: asks.start()]:
            found.append(f"{path.relative_to(ROOT)}: WARPTAPE_{asks.group(1)} is undefined before {header}")
    return found


def sources(room: str) -> list[pathlib.Path]:
    return [
        path
        for path in sorted((ROOT / room).rglob("*"))
        if path.suffix in {".h", ".cpp", ".cu", ".cuh"}
    ]


def main() -> int:
    files = [path for room in MAY_INCLUDE for path in sources(room)] + [ROOT / "warptape.h"]
    if not files:
        print("no source files found")
        return 1
    found = [offence for path in files for offence in offences(path)]
    found += [offence for path in files + sources("tests") for offence in undefined_macros(path)]
    print("\n".join(found) if found else f"{len(files)} files include only what they may")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
