#!/usr/bin/env bash
# Sets up, builds everything and runs the tests. Arguments go to ctest: tools/test.sh -R tensor
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh
cmake --preset cpu
cmake --build --preset cpu
ctest --preset cpu --no-tests=error --output-on-failure -j "$(nproc)" "$@"
