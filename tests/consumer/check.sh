#!/usr/bin/env bash
# check.sh FOLDER BUILD - the user's project beside this file is built in FOLDER and run, with Warptape as
# both ways bring it: installed from BUILD, a build folder of ours with tests and program (and device cuda,
# real or emulated), and from its source by FetchContent, for the CPU. It gets no flag, build type or
# program of ours that it did not ask for, and nothing of an installation leads back to our folders.
set -euo pipefail
mkdir -p "$1"
folder="$(cd "$1" && pwd)"
build="$(cd "$2" && pwd)"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"

fail() {
  echo "consumer: $*" >&2
  exit 1
}
# refused WORDS OPTION... - configuring the project must fail, and say this
refused() {
  rm -rf "$folder/refused"
  if configure "$folder/refused" "${@:2}" >"$folder/refused.log" 2>&1; then fail "not refused: ${*:2}"; fi
  tr '\n' ' ' <"$folder/refused.log" | tr -s ' ' | grep -qF "$1" || fail "no word of \"$1\": $(cat "$folder/refused.log")"
}

awk '/^```cpp$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$root/README.md" >"$folder/example.cpp"
[[ -s $folder/example.cpp ]] || fail "README.md has no C++ block"
unset CXXFLAGS
configure() {
  cmake -S "$here" -B "$@" -G Ninja -DEXAMPLE="$folder/example.cpp" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
}
run_project() { # FOLDER
  "$1/example" | tee "$folder/output"
  grep -q '^loss ' "$folder/output" || fail "README's example printed no loss"
  "$1/mine" | tee "$folder/output"
  "$1/my_ops_cases" --gtest_brief=1
}
check_flags() { # FOLDER
  local commands flag
  commands="$(grep -A 1 -B 2 'second_file.cpp' "$1/compile_commands.json" | grep '"command"')"
  for flag in -Wall -Wextra -ffp-contract -O3 "$root/.deps" nlohmann CLI; do
    if [[ $commands == *" $flag"* ]]; then fail "the project's own files are compiled with $flag: $commands"; fi
  done
  [[ $commands == *-std=*20* ]] || fail "the project's own files are not compiled as C++20: $commands"
}

# Installed, twice into one folder with a space in its name. What is found there needs no other folder.
prefix="$folder/an installation"
rm -rf "$prefix" "$folder/found" "$folder/staged"
cmake --install "$build" --prefix "$prefix" >/dev/null
cmake --install "$build" --prefix "$prefix" >/dev/null
if grep -rlF -e "$root/" -e "$build" "$prefix"/lib*/cmake "$prefix/include"; then fail "the package names our folders"; fi
gpu="$(sed -n 's/^WARPTAPE_GPU:STRING=//p' "$build/CMakeCache.txt")"
components="cpu;testing"
if [[ $gpu != off ]]; then components+=";cuda"; fi
found=(-DCMAKE_PREFIX_PATH="$prefix")
configure "$folder/found" "${found[@]}" -DWARPTAPE_VERSION=0.1 -DWARPTAPE_COMPONENTS="$components" -DCMAKE_BUILD_TYPE=Debug
check_flags "$folder/found"
cmake --build "$folder/found"
run_project "$folder/found"
if [[ $gpu == simt ]]; then
  "$folder/found/my_ops_cases" --gtest_list_tests >"$folder/cases"
  grep -q '_cuda$' "$folder/cases" || fail "no case of the project's op runs on cuda"
  grep -q 'measured_softsign$' "$folder/cases" || fail "the kernels of the project's op are not measured"
  grep -q '^cuda' "$folder/output" || fail "the project's model did not run on cuda"
fi
# An installed program, and a program of the project, find their libraries in the installation or the system.
(cd / && "$prefix/bin/warptape" info >"$folder/output") || fail "the installed program does not run"
for program in "$prefix/bin/warptape" "$folder/found/mine"; do
  if readelf -d "$program" | grep -E 'R(UN)?PATH' | grep -F "$root/.deps"; then fail "$program looks into .deps"; fi
  if ldd "$program" | grep 'not found'; then fail "$program lacks a library"; fi
done
DESTDIR="$folder/staged" cmake --install "$build" --prefix /usr >/dev/null
compgen -G "$folder/staged/usr/lib*/cmake/warptape/warptapeConfig.cmake" >/dev/null || fail "DESTDIR is not heeded"
rm -rf "$folder/staged"

refused "wanted some of cpu, cuda, testing" "${found[@]}" -DWARPTAPE_COMPONENTS=tpu
refused "0.2" "${found[@]}" -DWARPTAPE_VERSION=0.2 -DWARPTAPE_COMPONENTS=cpu
refused "warptape" -DCMAKE_PREFIX_PATH="$folder/nothing" -DWARPTAPE_COMPONENTS=cpu
mv "$prefix"/lib*/cmake/warptape/warptapeTestingTargets.cmake "$folder"
refused "component testing: the installation" "${found[@]}" -DWARPTAPE_COMPONENTS=testing
if [[ $gpu != off ]]; then
  sed -i "s/^set(warptape_GPU .*/set(warptape_GPU off)/" "$prefix"/lib*/cmake/warptape/warptapeConfig.cmake
  refused "component cuda: the installation" "${found[@]}" -DWARPTAPE_COMPONENTS=cuda
fi

# From source. Without a build type it stays so. The folder lies as deep as those of the presets: where
# paths are seen from there (ccache), files of ours have been compiled before.
release="$folder-release"
fetched=(-DWARPTAPE_SOURCE="$root" -DWARPTAPE_TESTING=ON)
rm -rf "$folder/plain"
configure "$folder/plain" "${fetched[@]}" | tee "$folder/configure.log"
grep -q 'nothing is optimised' "$folder/configure.log" || fail "no word of the missing build type"
grep -q '^CMAKE_BUILD_TYPE:[A-Z]*=$' "$folder/plain/CMakeCache.txt" || fail "the build type of the project was set"
check_flags "$folder/plain"
configure "$release" "${fetched[@]}" -DCMAKE_BUILD_TYPE=Release
cmake --build "$release"
if find "$release" -name warptape -type f | grep .; then fail "the program was built, unasked"; fi
run_project "$release"
echo "consumer: passed"
