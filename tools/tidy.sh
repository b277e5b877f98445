#!/usr/bin/env bash
# Runs clang-tidy with the rules of .clang-tidy over all sources that preset simt compiles, kernels
# among them, or over those given.
#   cmake --preset simt && tools/tidy.sh [FILE...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tidy="$(command -v clang-tidy-14 || command -v clang-tidy || true)"
if [[ -z $tidy ]]; then
  echo "tidy: there is no clang-tidy (tools/setup.sh --dev installs it)" >&2
  exit 1
fi
commands=build/simt/compile_commands.json
if [[ ! -f $commands ]]; then
  echo "tidy: run cmake --preset simt first" >&2
  exit 1
fi
if [[ $# -gt 0 ]]; then
  files=("$@")
else
  mapfile -t files < <(sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' $commands | sort -u | grep -v /build/)
fi
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" "$tidy" -p build/simt --quiet
echo "tidy: ${#files[@]} files are clean"
