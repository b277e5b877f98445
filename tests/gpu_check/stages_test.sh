#!/usr/bin/env bash
# The stages of tools/gpu_check.sh that measure, with a fake GPU, a fake ncu and a fake program in place
# of a build: what is asked of them, and what becomes of their words in the report.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root="$PWD"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

fail() {
  echo "stages_test: $*" >&2
  exit 1
}

fake() { # FILE - a program with the text on standard input
  mkdir -p "$(dirname "$1")"
  cat >"$1"
  chmod +x "$1"
}

fake "$folder/bin/nvidia-smi" <<'FAKE'
#!/bin/sh
echo "9.0, 580.1, Fake H200"
FAKE
fake "$folder/bin/ncu" <<FAKE
#!/usr/bin/env bash
[[ " \$* " == *" --clock-control none "* ]] || exit 3
while [[ \$# -gt 0 && \$1 != bench ]]; do
  if [[ \$1 == --log-file ]]; then log="\$2"; fi
  shift
done
[[ " \$* " == *" --batch-size 512 "*" --gpu-libraries off "* ]] || exit 4
if [[ -n \${FAKE_NCU_REFUSED:-} ]]; then
  echo "==ERROR== ERR_NVGPUCTRPERM - no permission" >"\$log"
  exit 1
fi
cp "$root/tests/gpu_check/ncu_sample.csv" "\$log"
FAKE
fake "$folder/packed/warptape" <<'FAKE'
#!/usr/bin/env bash
words=" $* "
batch="$(sed -n 's/.*--batch-size \([0-9]*\).*/\1/p' <<<"$words")"
libraries="$(sed -n 's/.*--gpu-libraries \([a-z]*\).*/\1/p' <<<"$words")"
precision=float32
if [[ $words == *" --tf32 "* ]]; then precision=tf32; fi
case "$1 ${2:-}" in
  "info ") printf 'warptape 0\ncuBLASLt 13.1\ncuDNN absent\n' ;;
  "bench step")
    if [[ $words == *" --json "* ]]; then
      printf '{"batch_size": %s, "precision": "%s",\n "gpu_libraries": "%s", "median_ms": 1.5,' "$batch" "$precision" "$libraries"
      printf '"min_ms": 1, "max_ms": 2, "samples_per_second": 3, "peak_tensors_mb": 4}\n'
    else
      printf 'simple_cnn training step, batch %s, %s, SGD with momentum, on cuda:0\n  median\n' "$batch" "$precision"
      printf '   0.1 ms  an op\n  who served which product\n  ours  gemm\n'
    fi
    ;;
  "bench kernels")
    while [[ $1 != --json ]]; do shift; done
    printf '{\n  "copy_gb_per_s": 4000.5,\n  "results": []\n}\n' >"$2"
    ;;
  *) exit 9 ;;
esac
FAKE
printf 'commit: abc\narchitecture: 90\ntoolkit: a toolkit\nfolder: %s\n' "$folder/build" >"$folder/packed/binaries.txt"
tar -C "$folder/packed" -czf "$folder/binaries.tar.gz" .

check() { # OPTION... - its status is that of the check
  PATH="$folder/bin:$PATH" tools/gpu_check.sh --build "$folder/build" --binaries "$folder/binaries.tar.gz" "$@" "$folder/out" \
    >"$folder/printed" 2>&1
}
check --stages step,kernels,ncu || fail "the check failed: $(cat "$folder/printed")"
python3 - "$folder/out" <<'PYTHON'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
assert {path.name for path in folder.iterdir()} == {"report.md", "report.json", "logs.tar.gz"}
report = json.loads((folder / "report.json").read_text())
stages = {stage["stage"]: stage for stage in report["stages"]}
assert list(stages) == ["gpu", "binaries", "info", "step", "kernels", "ncu"], list(stages)
for stage in stages.values():
    assert stage["result"] == "passed", stage
assert report["gpu"] == "Fake H200" and report["commit"] == "abc", report
assert report["toolkit"] == "a toolkit", report
steps = {(s["batch_size"], s["precision"], s["gpu_libraries"]) for s in report["step"]}
assert steps == {(batch, precision, mode) for batch in (16, 128, 512, 4096)
                 for precision, mode in (("float32", "off"), ("float32", "auto"), ("float32", "on"),
                                         ("tf32", "auto"), ("tf32", "on"))}, steps
assert "float32 off 1.500 ms, float32 auto" in stages["step"]["detail"], stages["step"]
assert [launch["blocks"] for launch in report["ncu"]] == [33, 1024, 538], report["ncu"]
assert stages["ncu"]["detail"].startswith("3 launches, 0.55 ms"), stages["ncu"]
assert report["kernels"]["copy_gb_per_s"] == 4000.5
text = (folder / "report.md").read_text()
for line in ("| ncu | passed |", "\n| 527.2 | 74.6 | 3 | 75 | 25 | 128 | 1024 | 256 | `matrix::",
             "\n  4096 tf32      on              1.500", "who served which product", "programs of an earlier check"):
    assert line in text, (line, text)
assert "an op" not in text, "times of a profiled step"
PYTHON

FAKE_NCU_REFUSED=1 check --stages ncu || fail "ncu that may not count is no failure: $(cat "$folder/printed")"
grep -q '^| ncu | not run | .*ERR_NVGPUCTRPERM' "$folder/out/report.md" || fail "ncu's refusal is not told"
if grep -q '^| step |' "$folder/out/report.md"; then fail "a stage ran that was not wanted"; fi

if check --stages step,nothing; then fail "--stages nothing passed"; fi
grep -q 'got nothing, wanted some of tests' "$folder/printed" || fail "--stages does not say what is wrong"
sed -i 's/architecture: 90/architecture: 80/' "$folder/packed/binaries.txt"
tar -C "$folder/packed" -czf "$folder/binaries.tar.gz" .
if check --stages step; then fail "binaries for another GPU passed"; fi
grep -q '^| binaries | failed | .*made for architecture 80, wanted 90' "$folder/out/report.md" || fail "the architecture is not told"
grep -q '^| step | not run | .*cannot be used' "$folder/out/report.md" || fail "a step ran with other binaries"
echo "stages_test: passed"
