#!/usr/bin/env bash
# Builds for the GPU of this machine and runs the tests on it; see --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
usage: tools/gpu_check.sh [--dry-run] [--target NAME] [--tests REGEX] [OUT]

Builds Warptape for the GPU that is here, runs the tests on it, compares training
with the CPU's (tools/compare_devices.py), and runs the op tests again under
compute-sanitizer. Needs an NVIDIA GPU with its driver, a CUDA toolkit
(13.0 or later), g++, CMake and python3, but no network: libraries that are not
installed come from .bundle/, which `tools/setup.sh --bundle` fills elsewhere.

Writes OUT/report.md and OUT/report.json (OUT: build/gpu_check) with a row per
stage: passed, failed, or not run and why. They are complete after every stage,
so that a check that is cut off has reported what it got to. A log per stage lies
beside them. Exit status: 0 when no stage failed.

  --dry-run       without a GPU: builds for sm_90, and runs the tests that look at
                  sources and machine code only
  --target NAME   build this target only
  --tests REGEX   run the tests of ctest whose names match
  --help          print this

Seconds that a stage may take, from the environment: WARPTAPE_BUILD_LIMIT (1200),
WARPTAPE_TESTS_LIMIT (900), WARPTAPE_DEVICES_LIMIT (600), WARPTAPE_MEMCHECK_LIMIT (600).
TEXT
}

build_limit="${WARPTAPE_BUILD_LIMIT:-1200}"
tests_limit="${WARPTAPE_TESTS_LIMIT:-900}"
memcheck_limit="${WARPTAPE_MEMCHECK_LIMIT:-600}"
devices_limit="${WARPTAPE_DEVICES_LIMIT:-600}"
build=build/gpu
memcheck_filter='op_*' # the case tables, which run on every device

dry_run=no
target=
tests=
out=
while [[ $# -gt 0 ]]; do
  case "$1" in
    --dry-run) dry_run=yes ;;
    --target | --tests)
      [[ $# -ge 2 ]] || {
        usage >&2
        exit 2
      }
      if [[ $1 == --target ]]; then target="$2"; else tests="$2"; fi
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*)
      usage >&2
      exit 2
      ;;
    *) out="$1" ;;
  esac
  shift
done
out="${out:-build/gpu_check}"

# --- the machine ----------------------------------------------------------------------------------

gpu_name=none
gpu_driver=
architecture=90
if [[ $dry_run == no ]]; then
  if ! command -v nvidia-smi >/dev/null; then
    echo "gpu_check: there is no GPU here (nvidia-smi is missing); --dry-run checks what can be checked without." >&2
    exit 1
  fi
  if ! line="$(nvidia-smi --query-gpu=compute_cap,driver_version,name --format=csv,noheader 2>&1)" || [[ -z $line ]]; then
    echo "gpu_check: there is no usable GPU here (nvidia-smi: ${line//$'\n'/ })." >&2
    exit 1
  fi
  # The first of several: one program runs on one device.
  IFS=, read -r architecture gpu_driver gpu_name <<<"$line"
  architecture="${architecture//[!0-9]/}"
  gpu_driver="${gpu_driver# }"
  gpu_name="${gpu_name# }"
fi

mkdir -p "$out"
out="$(cd "$out" && pwd)"
jobs="$(nproc)"

# --- the report -----------------------------------------------------------------------------------

stages=()   # names
results=()  # passed, failed, not run
details=()  # one line each
durations=()

json_string() { # TEXT as a JSON string, on one line
  local text="${1//$'\n'/ }"
  text="${text//$'\t'/ }"
  text="$(tr -d '\000-\037' <<<"$text")"
  text="${text//\\/\\\\}"
  printf '"%s"' "${text//\"/\\\"}"
}

write_report() {
  local i separator=
  {
    echo "# GPU check"
    echo
    if [[ $dry_run == yes ]]; then echo "A dry run, without a GPU: nothing here was seen on one." && echo; fi
    echo "- GPU: $gpu_name (sm_$architecture), driver ${gpu_driver:-none}"
    echo "- Toolkit: ${toolkit:-not looked for yet}"
    echo "- Commit: $commit"
    echo "- Date: $(date -u '+%Y-%m-%d %H:%M UTC')"
    echo
    echo "| stage | result | seconds | |"
    echo "|---|---|---|---|"
    for i in "${!stages[@]}"; do
      echo "| ${stages[i]} | ${results[i]} | ${durations[i]} | ${details[i]//|/\\|} |"
    done
  } >"$out/report.md.part"
  mv "$out/report.md.part" "$out/report.md"
  {
    printf '{"dry_run": %s, "gpu": %s, "architecture": %s, "driver": %s, "toolkit": %s, "commit": %s,\n "stages": [' \
      "$([[ $dry_run == yes ]] && echo true || echo false)" "$(json_string "$gpu_name")" "$architecture" \
      "$(json_string "$gpu_driver")" "$(json_string "${toolkit:-}")" "$(json_string "$commit")"
    for i in "${!stages[@]}"; do
      printf '%s\n  {"stage": %s, "result": %s, "seconds": %s, "detail": %s}' "$separator" \
        "$(json_string "${stages[i]}")" "$(json_string "${results[i]}")" "${durations[i]}" \
        "$(json_string "${details[i]}")"
      separator=,
    done
    printf '\n]}\n'
  } >"$out/report.json.part"
  mv "$out/report.json.part" "$out/report.json"
}

# row STAGE RESULT SECONDS DETAIL
row() {
  stages+=("$1")
  results+=("$2")
  durations+=("$3")
  details+=("$4")
  echo "gpu_check: $1: $2${4:+ ($4)}, $3 s"
  write_report
}

# stage NAME LIMIT COMMAND... - runs it, with its output in OUT/NAME.log, and adds its row. The
# command's last line "detail: ..." goes into the row. Stages after a failed build are not run.
blocked=
stage() {
  local name="$1" limit="$2" start=$SECONDS status=0 detail log="$out/$1.log"
  shift 2
  if [[ -n $blocked ]]; then
    row "$name" "not run" 0 "$blocked"
    return 1
  fi
  echo "gpu_check: $name..."
  # A shell of its own, so that the limit holds for functions too.
  timeout --kill-after=10 "$limit" bash -c "$(declare -f "$1"); set -euo pipefail; \"\$@\"" stage "$@" \
    >"$log" 2>&1 </dev/null || status=$?
  detail="$(sed -n 's/^detail: //p' "$log" | tail -n 1)"
  case $status in
    0) row "$name" passed $((SECONDS - start)) "$detail" ;;
    77) row "$name" "not run" $((SECONDS - start)) "$detail" ;;
    124 | 137)
      row "$name" failed $((SECONDS - start)) "stopped at its limit of $limit s"
      return 1
      ;;
    *)
      row "$name" failed $((SECONDS - start)) "${detail:-$(tail -n 1 "$log")}"
      return 1
      ;;
  esac
}

# Functions that stages run stand alone: they see exported variables and nothing else of this script.
export build architecture jobs target tests dry_run memcheck_filter
commit="$(git -c safe.directory="$PWD" rev-parse --short HEAD 2>/dev/null || echo unknown)"
toolkit=

find_toolkit() {
  if ! text="$(cmake -P cmake/warptape_cuda_toolkit.cmake 2>&1)"; then
    echo "$text"
    echo "detail: $(grep '^No usable' <<<"$text")"
    return 1
  fi
  echo "detail: ${text#-- }"
}

configure() {
  local arguments=(-S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DWARPTAPE_GPU=cuda -DWARPTAPE_TESTS=ON
    "-DWARPTAPE_CUDA_ARCHITECTURES=$architecture-real") file name from=installed
  if ninja --version >/dev/null 2>&1; then arguments+=(-G Ninja); fi
  if ! cmake "${arguments[@]}"; then
    # The libraries' own CMake files by name: their folder below the prefix differs by distribution.
    while read -r file; do
      name="$(basename "$file" .cmake)"
      name="${name%Config}"
      arguments+=("-D${name%-config}_DIR=$(dirname "$PWD/$file")")
      from=".bundle"
    done < <(find .bundle -iname '*config.cmake' 2>/dev/null)
    if [[ $from == installed ]]; then
      echo "detail: see configure.log; for missing libraries bring .bundle/ (tools/setup.sh --bundle)"
      return 1
    fi
    cmake "${arguments[@]}"
  fi
  echo "detail: sm_$architecture, libraries: $from"
}

compile() {
  local arguments=(--build "$build" --parallel "$jobs")
  if [[ -n $target ]]; then arguments+=(--target "$target"); fi
  cmake "${arguments[@]}"
  echo "detail: with $jobs jobs${target:+, only $target}"
}

run_tests() {
  local arguments=(--test-dir "$build" --no-tests=error --output-on-failure -j 4 --timeout 300) status=0
  if [[ -n $tests ]]; then
    arguments+=(-R "$tests")
  elif [[ $dry_run == yes ]]; then
    arguments+=(-R '^(check_includes|ptxas_report|machine_code.*)$')
  fi
  ctest "${arguments[@]}" | tee "$build/ctest.log" || status=$?
  echo "detail: $(grep -E 'tests passed' "$build/ctest.log")," \
    "$(grep -c '(Skipped)' "$build/ctest.log" || true) skipped"
  return $status
}

memcheck() {
  local folder sanitizer
  folder="$(sed -n 's/^CMAKE_CUDA_COMPILER:[A-Z]*=\(.*\)\/nvcc$/\1/p' "$build/CMakeCache.txt")"
  sanitizer="$(PATH="$PATH:$folder" command -v compute-sanitizer || true)"
  if [[ $dry_run == yes ]]; then
    echo "detail: no GPU"
    return 77
  elif [[ -z $sanitizer ]]; then
    echo "detail: no compute-sanitizer on PATH or beside nvcc"
    return 77
  elif [[ ! -x $build/tests/warptape_tests ]]; then
    echo "detail: warptape_tests was not built"
    return 77
  fi
  "$sanitizer" --tool memcheck --error-exitcode 9 \
    "$build/tests/warptape_tests" --gtest_brief=1 "--gtest_filter=$memcheck_filter" | tee "$build/memcheck.log"
  echo "detail: $(grep -E 'ERROR SUMMARY' "$build/memcheck.log" | tail -n 1)"
}

# Models train on the GPU to what they train to on the CPU.
devices() {
  if [[ $dry_run == yes ]]; then
    echo "detail: no GPU"
    return 77
  elif [[ ! -x $build/warptape ]]; then
    echo "detail: warptape was not built"
    return 77
  fi
  python3 tools/compare_devices.py --warptape "$build/warptape" | tee "$build/devices.log"
  echo "detail: $(tail -n 1 "$build/devices.log")"
}

# --- the stages -----------------------------------------------------------------------------------

if [[ $dry_run == yes ]]; then row gpu "not run" 0 "a dry run"; else row gpu passed 0 "$gpu_name"; fi
stage toolkit 60 find_toolkit || blocked="there is no toolkit"
toolkit="${details[${#details[@]} - 1]}"
stage configure 300 configure || blocked="${blocked:-configuring failed}"
stage build "$build_limit" compile || blocked="${blocked:-the build failed}"
stage tests "$tests_limit" run_tests || true
stage devices "$devices_limit" devices || true
stage memcheck "$memcheck_limit" memcheck || true

write_report
failed=0
for result in "${results[@]}"; do
  if [[ $result == failed ]]; then failed=$((failed + 1)); fi
done
echo "gpu_check: $failed of ${#results[@]} stages failed; $out/report.md"
[[ $failed -eq 0 ]]
