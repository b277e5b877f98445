# shellcheck shell=bash
# What the stages of tools/gpu_check.sh do; each runs in a shell of its own that has read this file,
# at the repository's root, with its variables in the environment:
: "${build:?}" "${architecture:?}" "${jobs:?}" "${patience:?}" "${dry_run:?}" "${bundle_only:?}" "${out:?}" "${work:?}" \
  "${commit:?}" "${target?}" "${tests?}" "${binaries?}"

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

# oneDNN travels packed; its programs find it where they were built.
unpack_onednn() {
  if [[ -f .bundle/onednn.tar.gz && ! -d $build/onednn ]]; then
    mkdir -p "$build/onednn"
    tar -C "$build/onednn" -xzf .bundle/onednn.tar.gz
  fi
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
  unpack_onednn
  if [[ -d $build/onednn ]]; then arguments+=("-Ddnnl_DIR=$build/onednn/lib/cmake/dnnl"); fi
  if ninja --version >/dev/null 2>&1; then arguments+=(-G Ninja); fi
  if [[ $bundle_only == yes ]]; then arguments+=("-DCMAKE_IGNORE_PATH=$(installed_libraries)"); fi
  if [[ $bundle_only == yes ]] || ! cmake "${arguments[@]}"; then
    mapfile -t bundled < <(bundled_libraries)
    if [[ ${#bundled[@]} -eq 0 ]]; then
      echo "detail: see configure.log; for missing libraries bring .bundle/ (tools/setup.sh --bundle)"
      return 1
    fi
    libraries=.bundle
    if ! cmake "${arguments[@]}" "${bundled[@]}"; then
      echo "detail: see configure.log"
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

# What a later check needs in place of a build: programs, stripped, and ctest's lists.
pack_binaries() {
  local folder="$build/packed" file
  rm -rf "$folder"
  while read -r file; do
    mkdir -p "$folder/$(dirname "$file")"
    if [[ $(basename "$file") == *.* ]]; then
      cp "$build/$file" "$folder/$file"
    else
      strip -o "$folder/$file" "$build/$file" 2>/dev/null || cp "$build/$file" "$folder/$file"
    fi
  done < <(cd "$build" && find . -name CMakeFiles -prune -o -path ./packed -prune -o -path ./onednn -prune -o -type f \
    \( -name CTestTestfile.cmake -o -name CMakeCache.txt -o -executable ! -name '*.so*' ! -name '*.sh' ! -name '*.py' \) -print)
  printf 'commit: %s\narchitecture: %s\ntoolkit: %s\nfolder: %s\n' \
    "$commit" "$architecture" "${toolkit:-}" "$build" >"$folder/binaries.txt"
  tar -C "$folder" -czf "$out/binaries.tar.gz.part" .
  mv "$out/binaries.tar.gz.part" "$out/binaries.tar.gz"
  rm -rf "$folder"
  echo "detail: $(du -sm "$out/binaries.tar.gz" | cut -f 1) MB in binaries.tar.gz"
}

unpack_binaries() {
  local name got wanted
  mkdir -p "$build"
  tar -C "$build" -xzf "$binaries"
  for name in architecture folder; do
    got="$(sed -n "s/^$name: //p" "$build/binaries.txt")"
    wanted="$architecture"
    if [[ $name == folder ]]; then wanted="$build"; fi
    if [[ $got != "$wanted" ]]; then
      echo "detail: made for $name $got, wanted $wanted"
      return 1
    fi
  done
  unpack_onednn
  echo "detail: of commit $(sed -n 's/^commit: //p' "$build/binaries.txt")"
}

info() {
  "$build/warptape" info
  echo "detail: $("$build/warptape" info | sed -n 's/^\(cuBLASLt\|cuDNN\)  */\1 /p' | paste -s -d ';')"
}

# run_ctest FOLDER JOBS OPTION... - one thread each: tests run side by side, and so do stages. Gradient
# checks take the samples that they take under sanitizers: each is a round trip to the GPU.
run_ctest() {
  local folder="$1" side_by_side="$2" status=0
  shift 2
  WARPTAPE_GRADIENT_SAMPLES=8 OMP_NUM_THREADS=1 ctest --test-dir "$folder" --no-tests=error \
    --output-on-failure -j "$side_by_side" --timeout $((100 * patience)) "$@" | tee "$folder/ctest.log" || status=$?
  echo "detail: $(grep -E 'tests passed' "$folder/ctest.log")," \
    "$(grep -c '(Skipped)' "$folder/ctest.log" || true) skipped"
  return $status
}

run_tests() {
  local options=()
  if [[ -n $tests ]]; then
    options+=(-R "$tests")
  elif [[ $dry_run == yes ]]; then
    options+=(-R '^(check_includes|machine_code.*)$')
  fi
  # Machine code is read from the libraries of a build.
  if [[ -n $binaries ]]; then options+=(-E '^machine_code'); fi
  run_ctest "$build" $((jobs / 2 + 1)) "${options[@]}"
}

# Ops that a library may serve, and what stands on them: wherever it can, or on our kernels alone.
# ctest keeps notes in its folder: here another one.
run_product_tests() {
  local mode="$1" folder="$build/libraries_$1"
  local options=(-R '^op\.(conv2d|matmul|linear)$|^models\.|\.CudaCommands$')
  if [[ -n $tests ]]; then options=(-R "$tests"); fi
  mkdir -p "$folder"
  echo "subdirs(\"$build\")" >"$folder/CTestTestfile.cmake"
  WARPTAPE_GPU_LIBRARIES="$mode" run_ctest "$folder" 2 "${options[@]}"
}

# find_program NAME FOLDER... - on PATH, beside nvcc, or in these folders.
find_program() {
  local name="$1" nvcc
  shift
  nvcc="$(sed -n 's/^CMAKE_CUDA_COMPILER:[A-Z]*=\(.*\)\/nvcc$/\1/p' "$build/CMakeCache.txt" 2>/dev/null || true)"
  PATH="$PATH:$nvcc:/usr/local/cuda/bin$(printf ':%s' "$@")" command -v "$name"
}

# The tests of all kernels: the case tables on cuda, and the kernels' own. Left out: those of whole
# training runs and commands, which run the same kernels and take minutes under a sanitizer, and those
# that launch no kernel of ours (memory, streams, cuBLASLt, cuDNN).
kernel_tests='op_*.*_cuda:*Cuda.*:MatrixCore.*:Depthwise.*:WeightNormLadder.*:GpuPrimitives.*:GpuLaunches.*'

# sanitize TOOL TESTS SHARDS OPTION... - these tests, on our kernels alone, in several processes of each
# program.
sanitize() {
  local tool="$1" filter="$2" shards="$3" sanitizer probe reason passed program shard pid pids=() status=0
  shift 3
  sanitizer="$(find_program compute-sanitizer || true)"
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
  # Few samples: it watches how kernels run, not what they compute. No cache: it knows the ends of what
  # the driver gave.
  export WARPTAPE_MEMORY_CACHE=0
  export WARPTAPE_GPU_LIBRARIES=off WARPTAPE_GRADIENT_SAMPLES=2 OMP_NUM_THREADS=1
  for program in warptape_cases warptape_tests; do
    for ((shard = 0; shard < shards; ++shard)); do
      (GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$shard "$sanitizer" --tool "$tool" --error-exitcode 9 "$@" \
        "$build/tests/$program" "--gtest_filter=$filter" 2>&1 | tee "$build/$tool.$program.$shard.log") &
      pids+=($!)
    done
  done
  for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
  passed="$(cat "$build/$tool".*.log | grep -c '^\[       OK \]' || true)"
  echo "detail: $passed tests passed;" \
    "$(cat "$build/$tool".*.log | sed -n 's/.*\(SUMMARY: .*\)/\1/p' | sort | uniq -c | tr -s ' ' | paste -s -d ',')"
  [[ $passed -gt 0 ]] || status=1
  return $status
}

memcheck() {
  sanitize memcheck "$kernel_tests" 2 --report-api-errors no
}

# Left out: ops whose threads share nothing.
racecheck() {
  local op pointwise=()
  for op in add sub mul div exp log relu dropout reshape flatten; do pointwise+=("op_$op.*"); done
  sanitize racecheck "$kernel_tests-$(IFS=: && echo "${pointwise[*]}")" 3
}

# Models train on the GPU to what they train to on the CPU: 30 short runs.
devices() {
  OMP_NUM_THREADS=1 python3 tools/compare_devices.py --warptape "$build/warptape" \
    --seeds 4 --steps 10 --batch-size 8 --jobs 4 | tee "$build/devices.log"
  echo "detail: $(tail -n 1 "$build/devices.log")"
}

# To at least 97.5 % of the test images.
training() {
  local accuracy
  rm -rf "$build/training"
  "$build/warptape" train simple_cnn --data data/digits --device cuda --out "${build#"$PWD/"}/training" | tee "$build/training.log"
  accuracy="$(sed -n 's/^best: .*test accuracy \([0-9.]*\) %.*/\1/p' "$build/training.log")"
  echo "detail: best test accuracy $accuracy %, wanted 97.5 %"
  awk -v accuracy="$accuracy" 'BEGIN { exit !(accuracy >= 97.5) }'
}

# One line of JSON per measured step. A batch of 4096 takes a while.
step() {
  local batch arguments steps
  rm -f "$work/step.json" "$work/step.lines"
  for batch in 16 128 512 4096; do
    steps=$((batch == 4096 ? 20 : 60))
    for arguments in "off" "auto" "on" "auto --tf32" "on --tf32"; do
      # shellcheck disable=SC2086
      "$build/warptape" bench step simple_cnn --device cuda --batch-size "$batch" --warmup 10 --steps "$steps" \
        --json --gpu-libraries $arguments | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)))' \
        >>"$work/step.lines"
    done
  done
  for arguments in "auto" "auto --tf32"; do
    # shellcheck disable=SC2086
    "$build/warptape" bench step simple_cnn --device cuda --batch-size 512 --warmup 3 --steps 10 --profile \
      --gpu-libraries $arguments | sed -n '/, SGD with momentum, on /p; /who served/,$p'
  done
  python3 - "$work" <<'PYTHON'
import json, pathlib, sys
work = pathlib.Path(sys.argv[1])
steps = [json.loads(line) for line in (work / "step.lines").read_text().splitlines()]
(work / "step.json").write_text(json.dumps(steps, indent=1) + "\n")
print(f"\n{'batch':>6} {'precision':<10}{'libraries':<10}{'median, ms':>11}{'min':>9}{'max':>9}"
      f"{'samples/s':>11}{'tensors, MiB':>14}")
for s in steps:
    print(f"{s['batch_size']:>6} {s['precision']:<10}{s['gpu_libraries']:<10}{s['median_ms']:>11.3f}"
          f"{s['min_ms']:>9.3f}{s['max_ms']:>9.3f}{s['samples_per_second']:>11.0f}"
          f"{s['peak_tensors_mb']:>14.0f}")
parts = [f"{s['precision']} {s['gpu_libraries']} {s['median_ms']:.3f} ms" for s in steps
         if s["batch_size"] == 512]
print("detail: batch 512: " + ", ".join(parts))
PYTHON
}

kernels() {
  "$build/warptape" bench kernels --device cuda --json "$work/kernels.json"
  echo "detail: $(sed -n 's/^ *"copy_gb_per_s": \([0-9]*\).*/a copy moves \1 GB\/s/p' "$work/kernels.json")"
}

# One training step by our kernels, as Nsight Compute sees each launch; clocks stay as they are.
ncu_step() {
  local ncu reason
  if ! ncu="$(find_program ncu /opt/nvidia/nsight-compute/*)"; then
    echo "detail: no ncu on PATH or beside nvcc"
    return 77
  fi
  if ! "$ncu" --csv --page raw --print-units base --clock-control none \
    --metrics "$(python3 tools/ncu_report.py --metrics)" --log-file "$work/ncu.csv" \
    "$build/warptape" bench step simple_cnn --device cuda --batch-size 512 --warmup 1 --steps 1 --gpu-libraries off \
    >"$work/ncu.out" 2>&1; then
    tail -n 5 "$work/ncu.out"
    reason="$(grep -h -m 1 -o 'ERR_NVGPUCTRPERM.*' "$work/ncu.csv" "$work/ncu.out" || true)"
    echo "detail: ${reason:-ncu failed: $(grep -h -m 1 '^==ERROR==' "$work/ncu.csv" || tail -n 1 "$work/ncu.out")}"
    if [[ -n $reason ]]; then return 77; fi # it may not count on this machine
    return 1
  fi
  python3 tools/ncu_report.py "$work/ncu.csv" --json "$work/ncu.json" | tee "$work/ncu.table"
  echo "detail: $(tail -n 1 "$work/ncu.table")"
}

# Fills PyTorch's cache of compiled kernels while the CPU is busy anyway.
pytorch_compile() {
  if ! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    echo "detail: no PyTorch with CUDA in python3"
    return 77
  fi
  local model precision pid pids=() status=0
  for model in simple_cnn tcn_c64; do
    for precision in fp32 bf16; do # tf32 compiles to what fp32 does
      python3 tools/bench_vs_pytorch.py --device cuda --steps 3 \
        --child "[[\"$model\", \"$precision\", \"compiled_graph\"]]" &
      pids+=($!)
    done
  done
  for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
  return $status
}

pytorch() {
  local reason
  if ! reason="$(python3 -c 'import torch; assert torch.cuda.is_available(), "it finds no GPU"' 2>&1)"; then
    echo "detail: no PyTorch with CUDA in python3: $(tail -n 1 <<<"$reason")"
    return 77
  fi
  # 121 s by the script's --dry-run: a best mode of PyTorch for each model and precision.
  python3 tools/bench_vs_pytorch.py --warptape "$build/warptape" --device cuda --rounds 1 --markdown \
    --model simple_cnn,tcn_c64 --precision fp32,tf32,bf16 \
    --only warptape,warptape_own,eager_graph,channels_last_graph,compiled_graph \
    --timeout $((80 * patience)) --budget $((140 * patience)) --json "$work/pytorch.json"
  echo "detail: $(python3 - "$work/pytorch.json" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
ratios = [f"{r['model']} {r['precision']} {r['implementation']} {r['ratio_to_warptape']:.2f}"
          for r in report["results"] if r["ratio_to_warptape"] and r["implementation"] != "Warptape"]
print("; ".join(["time / Warptape's"] + ratios + [f"{name} not run" for name in report["not_run"]]))
PYTHON
)"
}
