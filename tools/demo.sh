#!/usr/bin/env bash
# Sets up, builds and trains a small CNN on the digits that come with the repository.
# Arguments go to `warptape train simple_cnn`, for example: tools/demo.sh --epochs 2
# Relative paths in them count from the repository's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh
cmake --preset cpu
cmake --build --preset cpu --target warptape

# An --out among the arguments replaces the demo's own.
out="runs/demo-$(date +%Y%m%d-%H%M%S)"
arguments=()
while [[ $# -gt 0 ]]; do
  case "$1" in
    --out=*) out="${1#--out=}" ;;
    --out)
      out="${2:?--out needs a directory}"
      shift
      ;;
    *) arguments+=("$1") ;;
  esac
  shift
done

build/cpu/warptape train simple_cnn --out "$out" "${arguments[@]}"

for file in metrics.csv best.safetensors; do
  if [[ ! -s "$out/$file" ]]; then
    echo "demo: the training left no $out/$file" >&2
    exit 1
  fi
done
cat <<TEXT

Results (in $PWD):
  $out/metrics.csv         loss and accuracy of every epoch
  $out/best.safetensors    the best epoch's weights
Accuracy of these weights on the test digits, and the logits as an array for NumPy:
  build/cpu/warptape predict simple_cnn --checkpoint $out/best.safetensors --data data/digits --output logits.npy
TEXT
