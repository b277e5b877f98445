#!/usr/bin/env bash
# Fills .bundle/ and builds a small program with it by tools/gpu_check.sh, as on a machine with a CUDA
# toolkit where no library is installed; runs it again from the packed binaries; and runs the stages that
# measure, with fakes. Needs a network, and no GPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
  echo "dry_run: $*" >&2
  exit 1
}

tools/setup.sh --bundle
size="$(du -sm .bundle | cut -f 1)"
[[ $size -lt 40 ]] || fail ".bundle has $size MB, wanted less than 40"

[[ -e .bundle/usr/include/cudnn_frontend_version.h ]] || fail ".bundle has no cudnn-frontend"

build=build/gpu_dry_run
rm -rf $build
out="$(mktemp -d)"
trap 'rm -rf "$out"' EXIT
tools/gpu_check.sh --dry-run --bundle-only --patience 4 --target gpu_check_probe --tests '^check_includes$' "$out" || {
  cat $build/gpu_check/*.log >&2
  fail "gpu_check failed"
}
tar -C "$out" -xzf "$out/logs.tar.gz" ./configure.log || fail "logs.tar.gz lacks configure.log"

for package in fmt nlohmann_json CLI11 GTest; do
  grep -q "^${package}_DIR:.*=$PWD/.bundle/" $build/CMakeCache.txt || fail "$package is not that of .bundle"
done
grep -q "^-- CPU backend: oneDNN .*($PWD/$build/onednn/" "$out/configure.log" || fail "oneDNN is not that of .bundle"
# Where there is cuDNN's own header, which .bundle does not have.
if grep -q '^-- cuDNN: /' "$out/configure.log"; then
  grep -q "^-- cuDNN: .* in $PWD/.bundle/usr/include" "$out/configure.log" ||
    fail "cudnn-frontend is not that of .bundle"
fi
# Not piped: grep -q would end ldd early, which counts as a failure.
grep -q "libfmt.* => $PWD/.bundle/" <<<"$(ldd $build/tests/gpu_check/gpu_check_probe)" || fail "libfmt is not that of .bundle"
[[ "$($build/tests/gpu_check/gpu_check_probe)" == '{"registers":'* ]] || fail "the program does not run"

python3 - "$out" <<'PYTHON'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
report = json.loads((folder / "report.json").read_text())
stages = {stage["stage"]: stage for stage in report["stages"]}
assert report["dry_run"] is True, report
for name in ("toolkit", "configure", "build", "binaries", "tests"):
    assert stages[name]["result"] == "passed", stages[name]
for name in ("memcheck", "racecheck", "devices", "training", "step", "kernels", "ncu", "pytorch",
             "libraries_on", "libraries_off"):
    assert stages[name]["result"] == "not run" and stages[name]["detail"] == "no GPU", stages[name]
text = (folder / "report.md").read_text()
assert "A dry run, without a GPU" in text and "| build | passed |" in text, text
PYTHON
# The programs alone, where they were built.
mv "$out/binaries.tar.gz" "$out/kept.tar.gz"
rm -rf $build
tools/gpu_check.sh --dry-run --binaries "$out/kept.tar.gz" --tests '^check_includes$' "$out" ||
  fail "gpu_check --binaries failed"
[[ "$($build/tests/gpu_check/gpu_check_probe)" == '{"registers":'* ]] || fail "the packed program does not run"
grep -q "programs of an earlier check" "$out/report.md" || fail "the report does not say whose programs these are"

bash tests/gpu_check/stages_test.sh
echo "dry_run: the libraries of .bundle/ suffice"
