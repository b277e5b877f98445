#!/usr/bin/env bash
# Installs what building Warptape needs and is missing; see --help.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.deps/venv"
onednn_wheel="onednn-devel-cpu-gomp==2023.2.0"
# One version everywhere: each release of clang-format lays out code a little differently.
clang_format_version="14.0.6"
# One release of CUDA, installed without dependencies: nvcc's own would bring an nvvm that is newer
# than its ptxas.
cuda_wheels=(nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
  nvidia-cuda-cupti==13.0.85 nvidia-nvtx==13.0.85)
# The version that cmake/warptape_gpu_libraries.cmake asks for; only its headers are used.
cudnn_frontend_wheel="nvidia-cudnn-frontend==1.32.0"
cudnn_wheel="nvidia-cudnn-cu13==9.19.0.56"
# The oldest ones on PyPI; they read the machine code of older releases too.
disassembler_wheels=(nvidia-cuda-cuobjdump==13.2.51 nvidia-cuda-nvdisasm==13.2.51)

usage() {
  cat <<'TEXT'
usage: tools/setup.sh [--dev] [--cuda] [--bundle]

Installs the missing ones of these on Debian 12+ or Ubuntu 22.04+, with apt-get
(through sudo when not root):
  g++ (>= 11), cmake (>= 3.22), ninja, git, python3, ca-certificates,
  the development packages of CLI11, nlohmann-json, fmt and GoogleTest.
Then oneDNN 3: the distribution's libdnnl-dev where that is version 3, else the
PyPI package onednn-devel-cpu-gomp in .deps/venv of this repository. Without
oneDNN the build still works, with slower reference loops.

  --dev     also install ccache, clang-tidy, chromium where Debian has it (270 MB), and
            clang-format 14 from PyPI in .deps/venv;
            with --cuda also a disassembler of GPU code (cuobjdump and nvdisasm)
  --cuda    also see to a CUDA toolkit (13.0 or later) for the preset cuda: where
            none is found on PATH or in /usr/local/cuda, PyPI's wheels of CUDA 13.0
            in .deps/venv (about 250 MB on disk). A GPU is not needed. Likewise to
            cuDNN, which is optional, and to cudnn-frontend, its headers for C++.
            WARPTAPE_CUDA_ROOT=wheels in the environment passes over installed
            toolkits; WARPTAPE_CUDA_ROOT=FOLDER names one.
  --bundle  instead of installing anything, fill .bundle/ with the libraries that
            the build needs, to be copied with the sources to a machine without a
            network (tools/gpu_check.sh uses it)
  --help    print this

Running it again is harmless, and quick when nothing is missing.
TEXT
}

say() { echo "setup: $*"; }
warn() { echo "setup: warning: $*" >&2; }
die() {
  echo "setup: $*" >&2
  exit 1
}

# What is needed: commands (command:package, satisfied by any copy on PATH) and packages.
commands=(g++:g++ cmake:cmake ninja:ninja-build git:git python3:python3)
packages=(ca-certificates libcli11-dev nlohmann-json3-dev libfmt-dev libgtest-dev)

dev=no
cuda=no
bundle=no
for arg in "$@"; do
  case "$arg" in
    --dev)
      dev=yes
      commands+=(ccache:ccache clang-tidy:clang-tidy)
      ;;
    --cuda) cuda=yes ;;
    --bundle) bundle=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  die "this system has no apt; please install with its own package manager: g++ (>= 11), cmake (>= 3.22)," \
    "ninja, git, python3, CLI11, nlohmann-json, fmt, GoogleTest and, if there is one, oneDNN 3."
fi

# --- apt ------------------------------------------------------------------------------------------

# How to become root: nothing to prefix (root), sudo, or not at all.
as_root=()
privileged=yes
if [[ $EUID -ne 0 ]]; then
  if command -v sudo >/dev/null; then as_root=(sudo); else privileged=no; fi
fi

# sudo drops the environment, so the proxies go through by name.
apt_environment=(DEBIAN_FRONTEND=noninteractive)
for name in http_proxy https_proxy no_proxy; do
  if [[ -n ${!name:-} ]]; then apt_environment+=("$name=${!name}"); fi
done

apt_get() {
  "${as_root[@]}" env "${apt_environment[@]}" \
    apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

# Fetches the package lists, once, before the first installation. One broken source among
# others is no reason to stop: the installation shows whether it matters.
updated=no
apt_update() {
  if [[ $updated == yes ]]; then return; fi
  updated=yes
  apt_get update || warn "apt-get update failed."
}

apt_install() {
  [[ $privileged == yes ]] || return 1
  apt_update
  apt_get install -y --no-install-recommends "$@"
}

installed() {
  [[ "$(dpkg-query -W -f='${db:Status-Status} ' "$1" 2>/dev/null)" == installed* ]]
}

# Debian's packages unpack anywhere, as their CMake files name everything relative to themselves.
fill_bundle() {
  local folder="$root/.bundle" package bundled=(libcli11-dev nlohmann-json3-dev libfmt-dev libgtest-dev)
  apt_update
  # The shared library of fmt is in a package named after its version.
  bundled+=("$(apt-cache depends libfmt-dev | sed -n 's/^ *Depends: \(libfmt[0-9].*\)/\1/p')")
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  for package in "${bundled[@]}"; do
    (cd "$work" && apt-get -qq -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root download "$package") || die "$package could not be fetched."
  done
  rm -rf "$folder"
  mkdir "$folder"
  for package in "$work"/*.deb; do dpkg-deb --extract "$package" "$folder"; done
  rm -rf "$folder"/usr/share/{doc,lintian,bug}
  if python3 -m venv "$work/venv" && "$work/venv/bin/python" -m pip download --quiet \
    --disable-pip-version-check --no-deps -d "$work" "$cudnn_frontend_wheel"; then
    python3 - "$work"/nvidia_cudnn_frontend-*.whl "$folder/usr" <<'PYTHON'
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith("include/")])
PYTHON
  else
    warn "$cudnn_frontend_wheel could not be fetched; a GPU build from .bundle will go without cuDNN."
  fi
  # Packed: 11 MB in place of 54 MB, of which the wheel has three copies.
  if "$work/venv/bin/python" -m pip download --quiet --disable-pip-version-check -d "$work" "$onednn_wheel" &&
    python3 - "$work/onednn" "$work"/onednn_*.whl <<'PYTHON'; then
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
for wheel in map(zipfile.ZipFile, sys.argv[2:]):
    for name in wheel.namelist():
        parts = pathlib.PurePosixPath(name).parts  # NAME.data/data/lib/libdnnl.so
        if len(parts) > 3 and parts[1] == "data" and parts[2] in ("lib", "include"):
            path = folder.joinpath(*parts[2:])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wheel.read(name))
PYTHON
    (
      cd "$work/onednn/lib"
      rm -f ./*.a libdnnl.so libdnnl.so.3
      strip libdnnl.so.3.*
      ln -s libdnnl.so.3.* libdnnl.so.3
      ln -s libdnnl.so.3 libdnnl.so
    )
    tar -C "$work/onednn" -czf "$folder/onednn.tar.gz" include lib
  else
    warn "$onednn_wheel could not be packed; a build from .bundle will use its slower reference loops."
  fi
  say "$(du -sh "$folder" | cut -f 1) in .bundle"
}

onednn_candidate() { # the version apt-get would install
  LC_ALL=C apt-cache policy libdnnl-dev | sed -n 's/^ *Candidate: //p'
}

if [[ $bundle == yes ]]; then
  fill_bundle
  exit 0
fi

missing=()
for entry in "${commands[@]}"; do
  command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
done
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done

if [[ ${#missing[@]} -gt 0 ]]; then
  if [[ $privileged == no ]]; then
    # In one go with what the oneDNN step below needs.
    if [[ "$(onednn_candidate)" == 3.* ]]; then missing+=(libdnnl-dev); else missing+=(python3-venv); fi
    die "please have an administrator run: apt-get update && apt-get install -y --no-install-recommends" \
      "${missing[*]}"
  fi
  say "installing ${missing[*]}"
  apt_install "${missing[@]}" || die "apt-get could not install: ${missing[*]}"
fi

# [pip_options=--no-deps] pypi_install NAME==VERSION... - into the virtual environment, which it makes if need be.
pypi_install() {
  if [[ ! -x "$venv/bin/python" ]]; then
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
      apt_install python3-venv || {
        warn "python3's module venv is missing; an administrator can install python3-venv."
        return 1
      }
    fi
    python3 -m venv "$venv" || return 1
  fi
  say "installing $* in .deps/venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check ${pip_options:+"$pip_options"} "$@"
}

# --- versions -------------------------------------------------------------------------------------

# require NAME FOUND NEEDED
require() {
  [[ "$(printf '%s\n' "$3" "$2" | sort -V | head -n 1)" == "$3" ]] || die "$1 $3 or later is needed, but this is $1 $2."
}
require g++ "$(g++ -dumpfullversion -dumpversion)" 11
require cmake "$(cmake --version | sed -n 's/^cmake version //p')" 3.22

# --- oneDNN ---------------------------------------------------------------------------------------

onednn_in_system() {
  [[ "$(dpkg-query -W -f='${db:Status-Status} ${Version}' libdnnl-dev 2>/dev/null)" == "installed 3."* ]]
}
onednn_in_venv() {
  [[ -f "$venv/lib/cmake/dnnl/dnnl-config.cmake" && -e "$venv/lib/libdnnl.so.3.2" ]]
}

# Ways to get oneDNN; each fails quietly enough for the next one to be tried.
install_onednn_from_apt() {
  [[ $privileged == yes ]] || return 1
  if [[ -z "$(onednn_candidate)" ]]; then apt_update; fi
  [[ "$(onednn_candidate)" == 3.* ]] || return 1
  say "installing libdnnl-dev"
  apt_install libdnnl-dev && onednn_in_system
}
install_onednn_from_pypi() {
  pypi_install "$onednn_wheel" && onednn_in_venv
}

if ! onednn_in_system && ! onednn_in_venv; then
  install_onednn_from_apt || install_onednn_from_pypi ||
    warn "oneDNN could not be installed; the build will use its slower reference loops."
fi

if [[ $dev == yes && "$("$venv/bin/clang-format" --version 2>/dev/null)" != *"$clang_format_version"* ]]; then
  pypi_install "clang-format==$clang_format_version" || die "clang-format could not be installed."
fi

# --- Chromium -------------------------------------------------------------------------------------

# It shows pages in a test, which goes without it elsewhere. Ubuntu's is a snap, and not for containers.
chromium_candidate() {
  LC_ALL=C apt-cache policy chromium | sed -n 's/^ *Candidate: //p'
}
if [[ $dev == yes && $privileged == yes ]] && ! command -v chromium >/dev/null; then
  if [[ -z "$(chromium_candidate)" ]]; then apt_update; fi
  if [[ "$(chromium_candidate)" == [0-9]* ]]; then
    say "installing chromium"
    apt_install chromium || warn "chromium could not be installed; pages are tested without being shown."
  fi
fi

# --- CUDA -----------------------------------------------------------------------------------------

# The build's own search, so that both agree: prints what it found, or fails and prints why not.
cuda_toolkit() {
  local text
  if text="$(cmake -P "$root/cmake/warptape_cuda_toolkit.cmake" 2>&1)"; then
    echo "${text#-- }"
  else
    grep '^No usable' <<<"$text" || echo "$text"
    return 1
  fi
}

# Whether cuobjdump is on PATH, in the folder "$1/bin", or in .deps/venv.
disassembler() {
  local folder
  command -v cuobjdump >/dev/null && return
  for folder in "$1" "$venv"/lib/python3*/site-packages/nvidia/cu13; do
    [[ ! -x "$folder/bin/cuobjdump" ]] || return 0
  done
  return 1
}

# Whether a package of .deps/venv or of python3 has the file $1.
python_package_has() {
  local site
  for site in "$venv"/lib/python3*/site-packages \
    $(python3 -c 'import sys; print(*[p for p in sys.path if p and " " not in p])'); do
    [[ ! -e "$site/$1" ]] || return 0
  done
  return 1
}

# Whether cuDNN's header is where the build looks for it; "$1" is the toolkit's folder.
cudnn_header() {
  local folder
  for folder in "$1"/include "$1"/targets/*/include /usr/include /usr/include/*-linux-gnu /usr/local/include; do
    [[ ! -e "$folder/cudnn.h" ]] || return 0
  done
  python_package_has nvidia/cudnn/include/cudnn.h
}

if [[ $cuda == yes ]]; then
  if ! found="$(cuda_toolkit)"; then
    if [[ ${CUDACXX:-} == *[![:space:]]* || ${WARPTAPE_CUDA_ROOT:-wheels} != wheels ]]; then
      die "the toolkit that CUDACXX or WARPTAPE_CUDA_ROOT names is refused. $found"
    fi
    pip_options=--no-deps pypi_install "${cuda_wheels[@]}" || die "CUDA's wheels could not be installed."
    found="$(cuda_toolkit)" || die "$found"
  fi
  say "$found"
  # Optional, as our own kernels serve without them.
  if ! python_package_has include/cudnn_frontend.h; then
    pip_options=--no-deps pypi_install "$cudnn_frontend_wheel" || warn "cudnn-frontend could not be installed."
  fi
  if ! cudnn_header "${found#* in }"; then
    pip_options=--no-deps pypi_install "$cudnn_wheel" || warn "cuDNN could not be installed."
  fi
  if [[ $dev == yes ]] && ! disassembler "${found#* in }"; then
    pip_options=--no-deps pypi_install "${disassembler_wheels[@]}" || die "cuobjdump and nvdisasm could not be installed."
  fi
fi

preset=cpu
if [[ $cuda == yes ]]; then preset=cuda; fi
say "ready; next: cmake --preset $preset && cmake --build --preset $preset"
