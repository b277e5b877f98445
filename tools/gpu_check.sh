#!/usr/bin/env bash
# Builds for the GPU of this machine and runs the tests on it; see --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
usage: tools/gpu_check.sh [OPTION...] [OUT]

Builds Warptape for the GPU that is here and checks on it
  - every test; those of products once more with cuBLASLt and cuDNN wherever they can
    serve, and without them,
  - the kernels' tests under compute-sanitizer: memcheck and racecheck,
  - training: against the CPU's (tools/compare_devices.py), and SimpleCNN on the digits,
and measures training steps (four batch sizes, with our kernels, with the libraries, as
--gpu-libraries auto chooses, and in TF32), the kernels (warptape bench kernels; also by
Nsight Compute, where ncu is there), and PyTorch where python3 has it
(tools/bench_vs_pytorch.py).

Needs an NVIDIA GPU with its driver, a CUDA toolkit (13.0 or later), g++, CMake and
python3, but no network: libraries that are not installed come from .bundle/, which
`tools/setup.sh --bundle` fills elsewhere. cuDNN is found in python3's packages too.

Writes to OUT (build/gpu_check) report.md and report.json with a row per stage: passed,
failed, or not run and why; logs.tar.gz; and binaries.tar.gz, the stripped programs.
The first three are complete after every stage, so that a check that is cut off has
reported what it got to. Exit status: 0 when no stage failed. Everything together takes
7 minutes at most on 16 cores.

  --stages LIST   only these stages, separated by commas: tests, libraries_on,
                  libraries_off, memcheck, racecheck, devices, training, step, kernels,
                  ncu, pytorch; what they need (the build) runs in any case
  --build FOLDER  build there (build/gpu)
  --binaries FILE a binaries.tar.gz of an earlier check, in place of a build: for a
                  second look at the same programs, or a machine that is paid by the
                  minute. Same repository path, same GPU architecture
  --patience N    N times as long, for machines with fewer than 16 cores
  --dry-run       without a GPU: builds for sm_90, and runs the tests that look at
                  sources and machine code only
  --bundle-only   take libraries from .bundle/ even where they are installed
  --target NAME   build this target only, and run nothing but tests
  --tests REGEX   run only the tests of ctest whose names match
  --help          print this
TEXT
}

# Seconds that a stage may take, and all of them.
toolkit_limit=30
configure_limit=60
build_limit=150
info_limit=30
checks_limit=180 # tests, sanitizers and training, which run side by side
step_limit=60
kernels_limit=60
ncu_limit=60
pytorch_limit=145
total_limit=410

all_stages=(tests libraries_on libraries_off memcheck racecheck devices training step kernels ncu pytorch)
stages_wanted=()
build=
binaries=
dry_run=no
bundle_only=no
patience=1
target=
tests=
out=
while [[ $# -gt 0 ]]; do
  case "$1" in
    --dry-run) dry_run=yes ;;
    --bundle-only) bundle_only=yes ;;
    --patience | --target | --tests | --stages | --build | --binaries)
      if [[ $# -lt 2 || ($1 == --patience && ! $2 =~ ^[1-9][0-9]?$) ]]; then
        usage >&2
        exit 2
      fi
      case "$1" in
        --patience) patience="$2" ;;
        --target) target="$2" ;;
        --tests) tests="$2" ;;
        --stages) IFS=, read -ra stages_wanted <<<"$2" ;;
        --build) build="$2" ;;
        --binaries) binaries="$2" ;;
      esac
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
for name in "${stages_wanted[@]}"; do
  if [[ " ${all_stages[*]} " != *" $name "* ]]; then
    echo "gpu_check: --stages: got $name, wanted some of ${all_stages[*]}" >&2
    exit 2
  fi
done
if [[ -n $binaries && ! -f $binaries ]]; then
  echo "gpu_check: --binaries: $binaries is not there" >&2
  exit 2
fi
out="${out:-build/gpu_check}"
if [[ -z $build ]]; then
  build=build/gpu
  if [[ $dry_run == yes ]]; then build=build/gpu_dry_run; fi
fi

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

mkdir -p "$out" "$build"
out="$(cd "$out" && pwd)"
build="$(cd "$build" && pwd)"
work="$build/gpu_check" # logs, and what stages leave for the report
mkdir -p "$work"
rm -f "$work"/*.* "$out"/{report.md,report.json,logs.tar.gz,binaries.tar.gz} # of an earlier check
jobs="$(nproc)"

# --- the report -----------------------------------------------------------------------------------

stages=()   # names
results=()  # passed, failed, not run
details=()  # one line each
durations=()
failures=() # of failed ones, lines about what failed

json_string() { # TEXT as a JSON string, on one line
  local text="${1//$'\n'/ }"
  text="${text//$'\t'/ }"
  text="$(tr -d '\000-\037' <<<"$text")"
  text="${text//\\/\\\\}"
  printf '"%s"' "${text//\"/\\\"}"
}

json_object() { # of standard input's lines, each a name and its value
  local name value separator=
  printf '{'
  while read -r name value; do
    printf '%s%s: %s' "$separator" "$(json_string "$name")" "$(json_string "$value")"
    separator=', '
  done
  printf '}'
}

json_lines() { # TEXT as an array of its lines
  local line separator=
  printf '['
  while read -r line; do
    if [[ -n $line ]]; then printf '%s%s' "$separator" "$(json_string "$line")" && separator=', '; fi
  done <<<"$1"
  printf ']'
}

write_report() {
  local i name date separator=
  date="$(date -u '+%Y-%m-%d %H:%M UTC')"
  {
    echo "# GPU check"
    echo
    if [[ $dry_run == yes ]]; then echo "A dry run, without a GPU: nothing here was seen on one." && echo; fi
    echo "- GPU: $gpu_name (sm_$architecture), driver ${gpu_driver:-none}"
    echo "- Toolkit: ${toolkit:-not looked for yet}"
    echo "- Commit: $commit${binaries:+, programs of an earlier check}"
    echo "- Date: $date"
    echo
    echo "| stage | result | seconds | |"
    echo "|---|---|---|---|"
    for i in "${!stages[@]}"; do
      echo "| ${stages[i]} | ${results[i]} | ${durations[i]} | ${details[i]//|/\\|} |"
    done
    for i in "${!stages[@]}"; do
      if [[ -n ${failures[i]} ]]; then
        printf '\n## What failed: %s\n\n```\n' "${stages[i]}"
        printf '%s\n' "${failures[i]}" '```'
      fi
    done
    for name in info training step kernels ncu pytorch; do
      if [[ " ${stages[*]} " == *" $name "* && -s $work/$name.log ]]; then
        printf '\n## %s\n\n' "$name"
        # A table of Markdown as it is, other text as it was printed.
        if [[ $name == ncu ]]; then
          grep -v '^detail: ' "$work/$name.log" || true
        else
          printf '```\n'
          cat "$work/$name.log"
          echo '```'
        fi
      fi
    done
  } >"$out/report.md.part"
  mv "$out/report.md.part" "$out/report.md"
  {
    printf '{"dry_run": %s, "gpu": %s, "architecture": %s, "driver": %s, "toolkit": %s, "commit": %s, "date": "%s",\n' \
      "$([[ $dry_run == yes ]] && echo true || echo false)" "$(json_string "$gpu_name")" "$architecture" \
      "$(json_string "$gpu_driver")" "$(json_string "${toolkit:-}")" "$(json_string "$commit")" "$date"
    printf ' "info": %s,\n "stages": [' "$(grep -v '^detail: ' "$work/info.log" 2>/dev/null | json_object)"
    for i in "${!stages[@]}"; do
      printf '%s\n  {"stage": %s, "result": %s, "seconds": %s, "detail": %s, "failures": %s}' "$separator" \
        "$(json_string "${stages[i]}")" "$(json_string "${results[i]}")" "${durations[i]}" \
        "$(json_string "${details[i]}")" "$(json_lines "${failures[i]}")"
      separator=,
    done
    printf '\n]'
    for name in step kernels ncu pytorch; do
      if [[ -s $work/$name.json ]]; then printf ',\n"%s": %s' "$name" "$(cat "$work/$name.json")"; fi
    done
    printf '}\n'
  } >"$out/report.json.part"
  mv "$out/report.json.part" "$out/report.json"
  tar -C "$work" -czf "$out/logs.tar.gz.part" . && mv "$out/logs.tar.gz.part" "$out/logs.tar.gz"
}

# row STAGE RESULT SECONDS DETAIL [FAILURES]
row() {
  stages+=("$1")
  results+=("$2")
  durations+=("$3")
  details+=("$4")
  failures+=("${5:-}")
  echo "gpu_check: $1: $2${4:+ ($4)}, $3 s"
  write_report
}

wanted() { # NAME - whether --stages leaves it
  [[ ${#stages_wanted[@]} -eq 0 || " ${stages_wanted[*]} " == *" $1 "* || " ${all_stages[*]} " != *" $1 "* ]]
}

# begin NAME LIMIT COMMAND... - starts it in the background, with its output in the folder of logs.
# finish waits for all that was begun and adds a row for each as it ends. Exit status 77: it was not
# run; its last line "detail: ..." goes into the row. Stages after a failed build are not run.
declare -A names=() starts=() limits=() # by process
blocked=
begin() {
  local name="$1" limit=$(($2 * patience)) left=$((total_limit * patience - SECONDS))
  shift 2
  wanted "$name" || return 0
  if [[ -n $blocked ]]; then
    row "$name" "not run" 0 "$blocked"
    return
  elif [[ $left -lt 5 ]]; then
    row "$name" "not run" 0 "no time was left"
    return
  fi
  if [[ $limit -gt $left ]]; then limit=$left; fi
  echo "gpu_check: $name..."
  # A shell of its own, so that the limit holds for functions.
  timeout --kill-after=5 "$limit" bash -euo pipefail -c 'source tools/gpu_check_stages.sh; "$@"' stage "$@" \
    >"$work/$name.log" 2>&1 </dev/null &
  names[$!]="$name"
  starts[$!]=$SECONDS
  limits[$!]="$limit"
}

finish() {
  local pid status
  while [[ ${#names[@]} -gt 0 ]]; do
    for pid in "${!names[@]}"; do
      if ! kill -0 "$pid" 2>/dev/null; then
        status=0
        wait "$pid" || status=$?
        finished "${names[$pid]}" $((SECONDS - starts[$pid])) "${limits[$pid]}" "$status"
        unset "names[$pid]"
      fi
    done
    sleep 0.2
  done
}
trap 'for pid in "${!names[@]}"; do kill "$pid" 2>/dev/null || true; done' EXIT

finished() { # NAME SECONDS LIMIT STATUS
  local log="$work/$1.log" detail
  detail="$(sed -n 's/^detail: //p' "$log" | tail -n 1)"
  case $4 in
    0) row "$1" passed "$2" "$detail" ;;
    77) row "$1" "not run" "$2" "$detail" ;;
    124 | 137)
      detail="$(grep -cE '\[       OK \]| Passed ' "$log" || true)"
      row "$1" failed "$2" "stopped at its limit of $3 s; tests that had passed: $detail" "$(what_failed "$log")"
      ;;
    *) row "$1" failed "$2" "${detail:-$(tail -n 1 "$log")}" "$(what_failed "$log")" ;;
  esac
}

stage() { # NAME LIMIT COMMAND... - alone; fails unless it passed
  wanted "$1" || return 0
  begin "$@"
  finish
  [[ ${results[${#results[@]} - 1]} == passed ]]
}

commit="$(git -c safe.directory="$PWD" describe --always --dirty=", with changes" 2>/dev/null || echo unknown)"
toolkit=

# What tools/gpu_check_stages.sh reads.
export build architecture jobs patience target tests dry_run bundle_only out work binaries commit
source tools/gpu_check_stages.sh

# --- the stages -----------------------------------------------------------------------------------

if [[ $dry_run == yes ]]; then row gpu "not run" 0 "a dry run"; else row gpu passed 0 "$gpu_name"; fi
if [[ -n $binaries ]]; then
  stage binaries $configure_limit unpack_binaries || blocked="the binaries cannot be used"
  if [[ -z $blocked ]]; then
    commit="$(sed -n 's/^commit: //p' "$build/binaries.txt")"
    toolkit="$(sed -n 's/^toolkit: //p' "$build/binaries.txt")"
  fi
else
  stage toolkit $toolkit_limit find_toolkit || blocked="there is no toolkit"
  toolkit="${details[${#details[@]} - 1]}"
  export toolkit
  stage configure $configure_limit configure || blocked="${blocked:-configuring failed}"
  stage build $build_limit compile || blocked="${blocked:-the build failed}"
fi
if [[ $dry_run == yes || -n $target ]]; then
  if [[ -z $binaries ]]; then stage binaries $checks_limit pack_binaries || true; fi
  stage tests $checks_limit run_tests || true
  blocked="${blocked:-$([[ $dry_run == yes ]] && echo "no GPU" || echo "only $target was built")}"
fi
stage info $info_limit info || blocked="${blocked:-warptape info failed}"
# What checks runs side by side, what measures alone.
if [[ -z $binaries && " ${stages[*]} " != *" binaries "* ]]; then begin binaries $checks_limit pack_binaries; fi
if [[ " ${stages[*]} " != *" tests "* ]]; then begin tests $checks_limit run_tests; fi
begin racecheck $checks_limit racecheck
begin memcheck $checks_limit memcheck
begin libraries_on $checks_limit run_product_tests on
begin libraries_off $checks_limit run_product_tests off
begin devices $checks_limit devices
begin training $checks_limit training
if wanted pytorch; then begin pytorch_compile $checks_limit pytorch_compile; fi
finish
stage step $step_limit step || true
stage kernels $kernels_limit kernels || true
stage ncu $ncu_limit ncu_step || true
stage pytorch $pytorch_limit pytorch || true

write_report
echo
failed=0
for i in "${!stages[@]}"; do
  printf '%-24s %-8s %5s s  %s\n' "${stages[i]}" "${results[i]}" "${durations[i]}" "${details[i]}"
  if [[ ${results[i]} == failed ]]; then failed=$((failed + 1)); fi
done
echo "gpu_check: $failed of ${#results[@]} stages failed; $out/report.md"
[[ $failed -eq 0 ]]
