#!/usr/bin/env bash
# What tools/gpu_check.sh reports of the logs of failed stages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export build=b architecture=90 jobs=1 patience=1 dry_run=no bundle_only=no out=o work=w commit=c target='' tests='' binaries=''
source tools/gpu_check_stages.sh

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
expect() { # WANTED - of the log on standard input
  local got
  cat >"$log"
  got="$(what_failed "$log")"
  if [[ $got != "$1" ]]; then
    printf 'what_failed: got\n%s\nwanted\n%s\nof\n' "$got" "$1"
    cat "$log"
    exit 1
  fi
}

expect 'core.Tape: Failed
failed: Tape.Records
failed: op_exp.row_cuda
core.Tensors: Exception: SegFault
op.conv2d: Timeout' <<'LOG'
    Start 1: core.Tape
1/5 Test  #1: core.Tape ........................***Failed    0.01 sec
[  FAILED  ] Tape.Records (3 ms)
[  FAILED  ] op_exp.row_cuda, where TypeParam = int
[  FAILED  ] 2 tests, listed below:
[  FAILED  ] Tape.Records
2/5 Test #12: core.Tensors .......***Exception: SegFault  0.30 sec
3/5 Test #14: op.conv2d ...........***Timeout  60.01 sec
4/5 Test #15: check_includes ...........***Skipped   0.01 sec
5/5 Test #16: op.exp .................   Passed   60.01 sec
LOG

expect '========= Invalid __global__ write of size 4 bytes
=========     at kernel(float*)+0x80 in a.cu:3
did not end: RowsCuda.ArgmaxInChunks' <<'LOG'
========= COMPUTE-SANITIZER
[ RUN      ] RowsCuda.SoftmaxAcrossMemory
[ RUN      ] RowsCuda.ArgmaxInChunks
========= Invalid __global__ write of size 4 bytes
=========     at kernel(float*)+0x80 in a.cu:3
=========     by thread (0,0,0) in block (0,0,0)
[       OK ] RowsCuda.SoftmaxAcrossMemory (2 ms)
========= ERROR SUMMARY: 1 error
LOG

expect 'float32, first loss: largest error   1  at most     1e-05  FAILED' <<'LOG'
float32, first loss: largest error   1  at most     1e-05  FAILED
float32, loss of step 20: median error   1e-07  at most     1e-06  ok
1 of 11 bounds failed
LOG

expect 'no rule
stopped' <<'LOG'
no rule
stopped
LOG
