#!/usr/bin/env bash
# check.sh FOLDER - a user's project that takes Warptape by add_subdirectory, as README says, is built in
# FOLDER and runs README's example. It gets no flag, build type or program of ours that it did not ask for.
set -euo pipefail
mkdir -p "$1"
folder="$(cd "$1" && pwd)"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"

fail() {
  echo "consumer: $*" >&2
  exit 1
}

awk '/^```cpp$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$root/README.md" >"$folder/example.cpp"
[[ -s $folder/example.cpp ]] || fail "README.md has no C++ block"
unset CXXFLAGS
configure() {
  cmake -S "$here" -B "$@" -G Ninja -DWARPTAPE="$root" -DEXAMPLE="$folder/example.cpp" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
}

# Without a build type it stays so.
rm -rf "$folder/plain"
configure "$folder/plain" | tee "$folder/configure.log"
grep -q 'nothing is optimised' "$folder/configure.log" || fail "no word of the missing build type"
grep -q '^CMAKE_BUILD_TYPE:[A-Z]*=$' "$folder/plain/CMakeCache.txt" || fail "the build type of the project was set"
commands="$(grep -A 1 -B 2 'second_file.cpp' "$folder/plain/compile_commands.json" | grep '"command"')"
for flag in -Wall -Wextra -ffp-contract -O3; do
  if [[ $commands == *" $flag"* ]]; then fail "the project's own files are compiled with $flag: $commands"; fi
done
[[ $commands == *-std=*20* ]] || fail "the project's own files are not compiled as C++20: $commands"

configure "$folder/release" -DCMAKE_BUILD_TYPE=Release
cmake --build "$folder/release"
[[ ! -e $folder/release/warptape/warptape ]] || fail "the program was built, unasked"
"$folder/release/mine" | tee "$folder/output"
grep -q '^loss ' "$folder/output" || fail "README's example printed no loss"
