# shellcheck shell=bash
# What the stages of tools/gpu_check.sh do; each runs in a shell of its own that has read this file,
# at the repository's root, with its variables in the environment:
: "${build:?}" "${architecture:?}" "${jobs:?}" "${patience:?}" "${dry_run:?}" "${bundle_only:?}" "${out:?}" "${target?}" "${tests?}"

# what_failed LOG - a few lines of a failed stage's log: tests that failed or did not end, faults that
# a sanitizer found, bounds that do not hold; of other logs the last lines.
what_failed() {
  local lines
  lines="$(awk '
    function say(text) {
      text = substr(text, 1, 200)
      if (!(text in said) && ++count <= 30) print text
      said[text]
    }
    /^\[ RUN      \]/ { running[$4] }
    /^\[       OK \]|^\[  SKIPPED \]|^\[  FAILED  \]/ { delete running[$4] }
    /^\[  FAILED  \] [^ ]+\./ { sub(",$", "", $4); say("failed: " $4) }
    /Test +#[0-9]+: .*\*\*\*/ && !/\*\*\*Skipped/ {
      sub(".*Test +#[0-9]+: ", ""); sub(" *[.]*[*][*][*]", ": "); sub(" +[0-9.]+ sec.*", ""); say($0)
    }
    /^========= [A-Z]/ && !/COMPUTE-SANITIZER|SUMMARY/ { say($0) }
    /^=========     at / { say($0) }
    / FAILED$/ { say($0) }
    END {
      for (test in running) say("did not end: " test)
      if (count > 30) print "and " count - 30 " more"
    }' "$1")"
  if [[ -n $lines ]]; then echo "$lines"; else tail -n 5 "$1"; fi
}

find_toolkit() {
  if ! text="$(cmake -P cmake/warptape_cuda_toolkit.cmake 2>&1)"; then
    echo "$text"
    echo "detail: $(grep '^No usable' <<<"$text")"
    return 1
  fi
  echo "detail: ${text#-- }"
}

# Options that name the CMake files of the libraries in .bundle/: their folder below the prefix
# differs by distribution.
bundled_libraries() {
  local file name
  while read -r file; do
    name="$(basename "$file" .cmake)"
    name="${name%Config}"
    echo "-D${name%-config}_DIR=$(dirname "$PWD/$file")"
  done < <(find .bundle -iname '*config.cmake' 2>/dev/null)
}

# Folders with the CMake files of libraries that are installed, separated by semicolons.
installed_libraries() {
  local folders=(/usr /lib) # which is a link to a folder of the first
  if [[ -d .deps ]]; then folders+=("$PWD/.deps"); fi
  find -H "${folders[@]}" -type d -path '*cmake*' \( -iname fmt -o -iname nlohmann_json -o -iname CLI11 \
    -o -iname GTest -o -iname dnnl \) | paste -s -d ';'
}

configure() {
  local arguments=(-S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DWARPTAPE_GPU=cuda -DWARPTAPE_TESTS=ON
    "-DWARPTAPE_CUDA_ARCHITECTURES=$architecture-real") libraries=installed bundled
  if ninja --version >/dev/null 2>&1; then arguments+=(-G Ninja); fi
  if [[ $bundle_only == yes ]]; then arguments+=("-DCMAKE_IGNORE_PATH=$(installed_libraries)"); fi
  if [[ $bundle_only == yes ]] || ! cmake "${arguments[@]}"; then
    mapfile -t bundled < <(bundled_libraries)
    if [[ ${#bundled[@]} -eq 0 ]]; then
      echo "detail: see logs/configure.log; for missing libraries bring .bundle/ (tools/setup.sh --bundle)"
      return 1
    fi
    libraries=.bundle
    if ! cmake "${arguments[@]}" "${bundled[@]}"; then
      echo "detail: see logs/configure.log"
      return 1
    fi
  fi
  echo "detail: sm_$architecture, libraries: $libraries"
}

compile() {
  local arguments=(--build "$build" --parallel "$jobs")
  if [[ -n $target ]]; then arguments+=(--target "$target"); fi
  cmake "${arguments[@]}"
  echo "detail: with $jobs jobs${target:+, only $target}"
}

info() {
  "$build/warptape" info
  echo "detail: $("$build/warptape" info | sed -n 's/^\(cuBLASLt\|cuDNN\)  */\1 /p' | paste -s -d ';')"
}

# run_ctest FOLDER OPTION... - OMP: tests run side by side, and so do stages.
run_ctest() {
  local folder="$1" status=0
  shift
  OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive ctest --test-dir "$folder" --no-tests=error \
    --output-on-failure -j $((jobs / 2 + 1)) --timeout $((60 * patience)) "$@" | tee "$folder/ctest.log" || status=$?
  echo "detail: $(grep -E 'tests passed' "$folder/ctest.log")," \
    "$(grep -c '(Skipped)' "$folder/ctest.log" || true) skipped"
  return $status
}

run_tests() {
  local options=()
  if [[ -n $tests ]]; then
    options+=(-R "$tests")
  elif [[ $dry_run == yes ]]; then
    options+=(-R '^(check_includes|ptxas_report|gpu_check_report|machine_code.*)$')
  fi
  run_ctest "$build" "${options[@]}"
}

# On our kernels alone; core knows no libraries. ctest keeps notes in its folder: here another one.
run_tests_without_libraries() {
  local options=(-E '^(core|check_includes|ptxas_report|gpu_check_report|machine_code)')
  if [[ -n $tests ]]; then options+=(-R "$tests"); fi
  mkdir -p "$build/without_libraries"
  echo "subdirs(\"$PWD/$build\")" >"$build/without_libraries/CTestTestfile.cmake"
  WARPTAPE_GPU_LIBRARIES=off run_ctest "$build/without_libraries" "${options[@]}"
}

# The tests of all kernels: the case tables on cuda, and the kernels' own. Left out: those of whole
# training runs and commands, which run the same kernels and take minutes under a sanitizer, and those
# that launch no kernel of ours (memory, streams, cuBLASLt, cuDNN).
kernel_tests='op_*.*_cuda:*Cuda.*:MatrixCore.*:Depthwise.*:WeightNormLadder.*:GpuPrimitives.*:GpuLaunches.*'

# sanitize TOOL OPTION... - the kernels' tests, on our kernels alone, in four processes.
sanitize() {
  local tool="$1" shards=4 folder sanitizer probe reason passed shard pid pids=() status=0
  shift
  folder="$(sed -n 's/^CMAKE_CUDA_COMPILER:[A-Z]*=\(.*\)\/nvcc$/\1/p' "$build/CMakeCache.txt")"
  sanitizer="$(PATH="$PATH:$folder" command -v compute-sanitizer || true)"
  if [[ -z $sanitizer ]]; then
    echo "detail: no compute-sanitizer on PATH or beside nvcc"
    return 77
  fi
  # Where it refuses the device, programs end at their first call, or see no device.
  probe="$("$sanitizer" --tool "$tool" "$build/tests/warptape_tests" \
    --gtest_filter=GpuPrimitives.AllFiniteSeesEveryElement 2>&1 || true)"
  reason="$(grep -m 1 -E 'Device not supported|error 999|\(999\)|^\[  SKIPPED \]' <<<"$probe" || true)"
  if [[ -n $reason && $probe != *"[       OK ]"* ]]; then
    echo "$probe"
    echo "detail: compute-sanitizer refuses this device: ${reason#========= }"
    return 77
  fi
  # Few samples: it watches how kernels run, not what they compute.
  export WARPTAPE_GPU_LIBRARIES=off WARPTAPE_GRADIENT_SAMPLES=8 OMP_NUM_THREADS=1
  for ((shard = 0; shard < shards; ++shard)); do
    (GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$shard "$sanitizer" --tool "$tool" --error-exitcode 9 "$@" \
      "$build/tests/warptape_tests" "--gtest_filter=$kernel_tests" 2>&1 | tee "$build/$tool.$shard.log") &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
  passed="$(cat "$build/$tool".?.log | grep -c '^\[       OK \]' || true)"
  echo "detail: $passed tests passed;" \
    "$(cat "$build/$tool".?.log | sed -n 's/.*\(SUMMARY: .*\)/\1/p' | sort | uniq -c | tr -s ' ' | paste -s -d ',')"
  [[ $passed -gt 0 ]] || status=1
  return $status
}

memcheck() {
  sanitize memcheck --report-api-errors no
}

racecheck() {
  sanitize racecheck
}

# Models train on the GPU to what they train to on the CPU: 54 short runs.
devices() {
  OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive python3 tools/compare_devices.py --warptape "$build/warptape" \
    --jobs 4 | tee "$build/devices.log"
  echo "detail: $(tail -n 1 "$build/devices.log")"
}

# To at least 97.5 % of the test images.
training() {
  local accuracy
  rm -rf "$build/training"
  "$build/warptape" train simple_cnn --data data/digits --device cuda --out "$build/training" | tee "$build/training.log"
  accuracy="$(sed -n 's/^best: .*test accuracy \([0-9.]*\) %.*/\1/p' "$build/training.log")"
  echo "detail: best test accuracy $accuracy %, wanted 97.5 %"
  awk -v accuracy="$accuracy" 'BEGIN { exit !(accuracy >= 97.5) }'
}

step() {
  local libraries text lines=
  for libraries in on off; do
    text="$("$build/warptape" bench step simple_cnn --device cuda --batch-size 512 --warmup 20 --steps 60 \
      --gpu-libraries "$libraries")"
    echo "$text"
    lines+="${lines:+; }libraries $libraries: $(sed -n 's/^ *\(median.*\)/\1/p' <<<"$text")"
  done
  echo "detail: $lines"
}

kernels() {
  "$build/warptape" bench kernels --device cuda --json "$out/kernels.json"
  echo "detail: $(sed -n 's/^ *"copy_gb_per_s": \([0-9]*\).*/a copy moves \1 GB\/s/p' "$out/kernels.json")"
}

pytorch() {
  local reason
  if ! reason="$(python3 -c 'import torch; assert torch.cuda.is_available(), "it finds no GPU"' 2>&1)"; then
    echo "detail: no PyTorch with CUDA in python3: $(tail -n 1 <<<"$reason")"
    return 77
  fi
  python3 tools/bench_vs_pytorch.py --warptape "$build/warptape" --device cuda --rounds 1 --markdown \
    --timeout $((50 * patience)) --json "$out/pytorch.json"
  echo "detail: $(python3 - "$out/pytorch.json" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
parts = [f"{r['implementation']} {r['median_ms']:.3f} ms" for r in report["results"]]
print(", ".join(parts + [f"{name} not run" for name in report["not_run"]]))
PYTHON
)"
}
