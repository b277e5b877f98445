#!/usr/bin/env bash
# Fills .bundle/ and builds a small program with it by tools/gpu_check.sh, as on a machine with a CUDA
# toolkit where no library is installed. Needs a network, and no GPU.
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
  cat "$out"/logs/*.log >&2
  fail "gpu_check failed"
}

for package in fmt nlohmann_json CLI11 GTest; do
  grep -q "^${package}_DIR:.*=$PWD/.bundle/" $build/CMakeCache.txt || fail "$package is not that of .bundle"
done
if grep -q '^-- CPU backend: oneDNN' "$out/logs/configure.log"; then fail "oneDNN was not hidden"; fi
# Where there is cuDNN's own header, which .bundle does not have.
if grep -q '^-- cuDNN: /' "$out/logs/configure.log"; then
  grep -q "^-- cuDNN: .* in $PWD/.bundle/usr/include" "$out/logs/configure.log" ||
    fail "cudnn-frontend is not that of .bundle"
fi
ldd $build/tests/gpu_check/gpu_check_probe | grep -q "libfmt.* => $PWD/.bundle/" || fail "libfmt is not that of .bundle"
[[ "$($build/tests/gpu_check/gpu_check_probe)" == '{"registers":'* ]] || fail "the program does not run"

python3 - "$out" <<'PYTHON'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
report = json.loads((folder / "report.json").read_text())
stages = {stage["stage"]: stage for stage in report["stages"]}
assert report["dry_run"] is True, report
for name in ("toolkit", "configure", "build", "tests"):
    assert stages[name]["result"] == "passed", stages[name]
for name in ("memcheck", "racecheck", "devices", "training", "step", "kernels", "pytorch",
             "tests_without_libraries"):
    assert stages[name]["result"] == "not run" and stages[name]["detail"] == "no GPU", stages[name]
text = (folder / "report.md").read_text()
assert "A dry run, without a GPU" in text and "| build | passed |" in text, text
PYTHON
echo "dry_run: the libraries of .bundle/ suffice"
