#!/usr/bin/env bash
# Deletes every barrier of the kernels in turn, at run time, and says whether a test notices.
set -euo pipefail

usage() {
  cat <<'END'
usage: tools/mutate_barriers.sh [--program FILE...] [--filter TESTS] [--jobs N] [FILE...]

Finds the barriers (__syncthreads and its kind, __syncwarp, cp_async_wait) in FILE..., by default all
.cu and .cuh files of kernels/, core/ and examples/. Runs every test once to see which barriers it
executes; then, for each barrier, the tests that execute it, with that barrier doing nothing. Nothing is
recompiled. Prints "caught" or "NOT CAUGHT" for each and "N of N barriers"; fails unless all are caught. A
barrier that no test executes is not caught. One whose deletion changes nothing is redundant, or lacks a
test.

  --program FILE   tests built with preset simt-tsan; may be given more than once (default:
                   build/simt-tsan/tests/warptape_tests and warptape_cases)
  --filter TESTS   the tests to use, in GoogleTest's notation (default: enough of the
                   kernels' tests for every barrier)
  --jobs N         programs at a time (default: the number of cores)
END
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
programs=()
# Few tests that are enough for all sites: every one of them runs once more per site that it executes.
filter='op_weight_norm.*_cuda:op_sum.*_cuda:op_argmax.*_cuda:op_transpose.*_cuda:op_image_batch.*_cuda'
filter+=':GpuPrimitives.*:OptimizerCuda.*:StepTail.WritesNormalizedWeightsInAStep:StepTail.WritesRounded*:ConstrainedStep.TakesOneLaunchWhatever*:WeightNormLadder.*:RowsCuda.*:MatrixCore.Groups:Depthwise.*'
filter+=':WeightNormColumnsCuda.TheyStartAnywhere:op_mse_loss.several_blocks*_cuda:op_max_pool2d.rows*_cuda:MatrixCombinations.OfSumsBesideGemm:WeightNormCuda.ShortRows:WeightNormCuda.RowsOfAWarpAndMore'
filter+=':CrossEntropyCuda.BadLabels*:CrossEntropyCuda.Of*Geometries:CrossEntropyCuda.OfFewRows*:CrossEntropyCuda.OfMoreRows*'
filter+=':CrossEntropyCuda.OfMoreColumns*:CrossEntropyCuda.OfMoreItemsThanBlocksWithoutGradient'
filter+=':NormsCuda.ChunksGiveWhatTheCpuGives:MatrixPass.*:MatrixSplit.BranchesOfAGraph'
filter+=':ConvPoolCuda.TilesOfAnySizeGiveTheSame:ConvPoolCuda.RowByRow:ConvPoolCuda.ThePoolingSumsT*'
jobs=$(nproc)
files=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --help) usage; exit ;;
    --program) programs+=("$2"); shift ;;
    --filter) filter=$2; shift ;;
    --jobs) jobs=$2; shift ;;
    -*) usage >&2; exit 2 ;;
    *) files+=("$1") ;;
  esac
  shift
done
if [[ ${#programs[@]} -eq 0 ]]; then
  programs=(build/simt-tsan/tests/warptape_tests build/simt-tsan/tests/warptape_cases)
fi
for program in "${programs[@]}"; do
  if [[ ! -x $program ]]; then
    echo "$program is missing: cmake --preset simt-tsan && cmake --build --preset simt-tsan" >&2
    exit 2
  fi
done
if [[ ${#files[@]} -eq 0 ]]; then
  mapfile -t files < <(find kernels core examples -name '*.cu' -o -name '*.cuh' | sort)
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export work
# By default it sleeps for a second before the end of a program.
export TSAN_OPTIONS="halt_on_error=1 atexit_sleep_ms=0 ${TSAN_OPTIONS:-}"

# Prints "file:line" of every barrier in the files given. Comments do not count.
find_sites() {
  awk '{ sub(/\/\/.*/, "") }
       /(__syncthreads[a-z_]*|__syncwarp|cp_async_wait *<[^>]*>) *\(/ { print FILENAME ":" FNR }' "$@"
}

# Prints every test that the filter selects, as "PROGRAM Suite.Name".
list_tests() {
  local program
  for program in "${programs[@]}"; do
    "$program" --gtest_list_tests --gtest_filter="$filter" |
      awk -v program="$program" '/^[^ ]/ { suite = $1 } /^ / { print program, suite $1 }'
  done
}

# record "PROGRAM TEST" - runs a test as it is and notes the barriers that it executes, and the milliseconds
record() {
  local note program="${1% *}" test="${1##* }" start
  start=$(date +%s%3N)
  note="$work/record/$(md5sum <<<"$1" | cut -c1-32)"
  if ! WARPTAPE_SIMT_RECORD_BARRIERS="$note" timeout 900 \
    "$program" --gtest_filter="$test" &>"$note.log"; then
    cat "$note.log" >&2
    echo "$1 fails as it is" >&2
    return 255
  fi
  if [[ -f $note ]]; then
    sed "s|\$| $1 $(($(date +%s%3N) - start))|" "$note" >"$note.tests"
  fi
}

# mutate SITE - runs the tests that execute a barrier, without it, until one fails: the quickest three, then all
# others
mutate() {
  local tests part program status=0
  # Recorded paths are the compiler's; they end in ours.
  tests=$(awk -v site="$1" '{ at = length($1) - length(site) + 1 }
    at > 0 && substr($1, at) == site && (at == 1 || substr($1, at - 1, 1) == "/") { print $4, $2, $3 }' \
    "$work/executed" | sort -n | cut -d' ' -f2- | awk '!seen[$0]++')
  if [[ -z $tests ]]; then
    echo "NOT CAUGHT  $1  no test executes it"
    return
  fi
  for part in 1,3p '4,$p'; do
    while read -r program && [[ $status -eq 0 ]]; do
      WARPTAPE_SIMT_DELETE_BARRIER="$1" timeout 900 "$program" --gtest_fail_fast --gtest_filter="$(
        sed -n "$part" <<<"$tests" | awk -v program="$program" '$1 == program { print $2 }' |
          paste -sd:)" &>/dev/null || status=$?
    done < <(sed -n "$part" <<<"$tests" | cut -d' ' -f1 | sort -u)
  done
  case $status in
    0) echo "NOT CAUGHT  $1  all tests that execute it pass without it" ;;
    66) echo "caught      $1  ThreadSanitizer" ;;
    124) echo "NOT CAUGHT  $1  the tests took too long" ;;
    *) echo "caught      $1  a test fails" ;;
  esac
}
export -f record mutate

mkdir "$work/record"
find_sites "${files[@]}" >"$work/sites"
list_tests >"$work/tests"
if [[ ! -s $work/sites || ! -s $work/tests ]]; then
  echo "$(wc -l <"$work/sites") barriers and $(wc -l <"$work/tests") tests found" >&2
  exit 2
fi
echo "$(wc -l <"$work/sites") barriers, $(wc -l <"$work/tests") tests"
xargs -P "$jobs" -I{} bash -c 'record "$1"' _ {} <"$work/tests"
find "$work/record" -name '*.tests' -exec cat {} + >"$work/executed"
xargs -P "$jobs" -I{} bash -c 'mutate "$1"' _ {} <"$work/sites" | tee "$work/results"

caught=$(grep -c '^caught' "$work/results" || true)
total=$(wc -l <"$work/sites")
echo "$caught of $total barriers"
[[ $caught -eq $total ]]
