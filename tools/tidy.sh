#!/usr/bin/env bash
# Runs clang-tidy with the rules of .clang-tidy over all sources, or over those given.
#   cmake --preset cpu && tools/tidy.sh [FILE...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tidy="$(command -v clang-tidy-14 || command -v clang-tidy || true)"
if [[ -z $tidy ]]; then
  echo "tidy: there is no clang-tidy (tools/setup.sh --dev installs it)" >&2
  exit 1
fi
if [[ ! -f build/cpu/compile_commands.json ]]; then
  echo "tidy: run cmake --preset cpu first" >&2
  exit 1
fi
if [[ $# -gt 0 ]]; then
  files=("$@")
else
  mapfile -t files < <(git ls-files -- '*.cpp')
fi
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" "$tidy" -p build/cpu --quiet
echo "tidy: ${#files[@]} files are clean"
