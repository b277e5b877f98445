#!/usr/bin/env python3
"""Tests of cmake/warptape_cuda_toolkit.cmake as a script: what it says of toolkits that are not whole, and
which one it takes. The toolkits are made of shell scripts.

usage: cuda_toolkit_test.py CMAKE
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CMAKE = sys.argv.pop(1)
MODULE = pathlib.Path(__file__).resolve().parent.parent / "cmake" / "warptape_cuda_toolkit.cmake"

NVCC = """\
#!/bin/sh
case "$*" in
  --version) echo "Cuda compilation tools, release {version}, V{version}.48" ;;
  *--dryrun*) echo '#$ TOP={top}' >&2; exit 1 ;;
  *) echo "cannot find cc1plus" >&2; echo "and more" >&2; exit {status} ;;
esac
"""
TOOL = """\
#!/bin/sh
echo "Cuda compilation tools, release {version}, V{version}.48"
"""


def write_script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def make_toolkit(top, version="13.0", status=0):
    """A whole toolkit, as far as anybody asks; its nvcc compiles with this exit status."""
    write_script(top / "bin/nvcc", NVCC.format(version=version, top=top, status=status))
    for tool in ["cudafe++", "ptxas", "fatbinary", "nvlink"]:
        write_script(top / "bin" / tool, TOOL.format(version=version))
    major, minor = version.split(".")
    for file, text in {"include/cuda_runtime_api.h": f"#define CUDART_VERSION  {major}0{minor}0\n",
                       "include/crt/host_config.h": "", "nvvm/bin/cicc": "", "nvvm/libdevice/bc": "",
                       "lib64/libcudart_static.a": ""}.items():
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        (top / file).write_text(text)


class CudaToolkit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        # A repository and a /usr/local/cuda of its own: what this machine has has no say.
        self.repository = pathlib.Path(os.path.realpath(folder.name))
        self.module = self.repository / "cmake" / MODULE.name
        self.module.parent.mkdir()
        self.module.write_text(MODULE.read_text().replace("/usr/local/cuda", f"{self.repository}/local"))
        self.site = self.repository / ".deps/venv/lib/python3.11/site-packages"
        self.top = self.repository / "site/nvidia/cu13"
        make_toolkit(self.top)

    def run_cmake(self, *options, script=None, **environment):
        """Exit status, and the output with its white space as single blanks."""
        kept = {name: value for name, value in os.environ.items()
                if name not in ("CUDACXX", "WARPTAPE_CUDA_ROOT")}
        result = subprocess.run([CMAKE, *options, "-P", script or self.module], env={**kept, **environment},
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return result.returncode, re.sub(r"\s+", " ", result.stdout)

    def expect_found(self, top, *options, **environment):
        status, output = self.run_cmake(*options, **environment)
        self.assertEqual(status, 0, output)
        self.assertIn(f"CUDA 13.0 in {top} ", output)

    def expect_refused(self, sentence, *options, **environment):
        status, output = self.run_cmake(*(options or [f"-DWARPTAPE_CUDA_ROOT={self.top}"]), **environment)
        self.assertEqual(status, 1, output)
        self.assertIn(sentence, output)

    def expect_unfit(self, problem, *options, **environment):
        self.expect_refused(f"No usable CUDA toolkit: {problem}; run tools/setup.sh --cuda, or name a whole "
                            "toolkit (13.0 or later) with -DWARPTAPE_CUDA_ROOT=FOLDER.", *options,
                            **environment)

    def test_a_whole_one_serves(self):
        self.expect_found(self.top, f"-DWARPTAPE_CUDA_ROOT={self.top}")

    def test_nvcc(self):
        self.expect_unfit("/nowhere/bin/nvcc is missing or does not run", "-DWARPTAPE_CUDA_ROOT=/nowhere")
        make_toolkit(self.top, version="12.8")
        self.expect_unfit(f"{self.top}/bin/nvcc is of CUDA 12.8, older than 13.0")
        write_script(self.top / "bin/nvcc", TOOL.format(version="13.0"))
        self.expect_unfit(f"{self.top}/bin/nvcc does not say where its toolkit is")
        make_toolkit(self.top, status=1)
        self.expect_unfit(
            f"nvcc 13.0 in {self.top} cannot compile a small kernel (cannot find cc1plus)")

    def test_tools(self):
        for tool in ["cudafe++", "ptxas", "fatbinary", "nvlink"]:
            with self.subTest(tool):
                write_script(self.top / "bin" / tool, TOOL.format(version="13.1"))
                self.expect_unfit(f"{tool} is of CUDA 13.1 beside nvcc 13.0 in {self.top}")
                (self.top / "bin" / tool).unlink()
                self.expect_unfit(f"nvcc 13.0 in {self.top} has no {tool} that runs")
                make_toolkit(self.top)

    def test_headers(self):
        header = self.top / "include/cuda_runtime_api.h"
        header.write_text("#define CUDART_VERSION  13020\n")
        self.expect_unfit(f"the runtime's headers are of CUDA 13.2 beside nvcc 13.0 in {self.top}")
        header.unlink()
        self.expect_unfit(f"nvcc 13.0 in {self.top} has no cuda_runtime_api.h")

    def test_pieces(self):
        for piece in ["nvvm/bin/cicc", "nvvm/libdevice", "include/crt/host_config.h"]:
            with self.subTest(piece):
                shutil.move(self.top / piece, self.repository / "away")
                self.expect_unfit(f"nvcc 13.0 lacks {self.top}/{piece}")
                shutil.move(self.repository / "away", self.top / piece)

    def test_runtime(self):
        (self.top / "lib64/libcudart_static.a").unlink()
        self.expect_unfit(f"nvcc 13.0 in {self.top} has no runtime library (libcudart)")
        (self.top / "lib").mkdir()
        (self.top / "lib/libcudart.so.13").touch()  # as in wheels
        self.expect_found(self.top, f"-DWARPTAPE_CUDA_ROOT={self.top}")

    def test_wheels_beside(self):
        for wheel in ["nvidia_nvvm", "nvidia_cuda_crt"]:
            with self.subTest(wheel):
                information = self.repository / "site" / f"{wheel}-13.1.80.dist-info"
                information.mkdir()
                self.expect_unfit(f"{wheel} is of CUDA 13.1 beside nvcc 13.0 in {self.top}")
                information.rename(information.with_name(f"{wheel}-13.0.88.dist-info"))
                self.expect_found(self.top, f"-DWARPTAPE_CUDA_ROOT={self.top}")

    def test_who_names_one_gets_that_one(self):
        other = self.repository / "other"
        make_toolkit(other)
        root = f"-DWARPTAPE_CUDA_ROOT={other}"
        path = f"{self.top}/bin:{os.environ['PATH']}"
        self.expect_found(self.top, PATH=path)
        self.expect_found(other, PATH=path, WARPTAPE_CUDA_ROOT=str(other))
        self.expect_found(other, root, PATH=path, WARPTAPE_CUDA_ROOT=str(self.top))
        self.expect_found(self.top, root, CUDACXX=f"{self.top}/bin/nvcc -allow-unsupported-compiler")
        self.expect_found(self.top, root, f"-DCMAKE_CUDA_COMPILER={self.top}/bin/nvcc", CUDACXX="/nowhere")
        self.expect_unfit("/nowhere is missing or does not run", root, CUDACXX="/nowhere")
        self.expect_found(other, root, CUDACXX=" ")  # names none

    def test_wheels(self):
        self.expect_unfit("there is none of PyPI's in .deps/venv", "-DWARPTAPE_CUDA_ROOT=wheels")
        make_toolkit(self.site / "nvidia/cu13")
        self.expect_found(self.site / "nvidia/cu13", "-DWARPTAPE_CUDA_ROOT=wheels")

    def test_the_next_one_serves_where_none_is_named(self):
        places = [self.top, self.repository / "local", self.site / "nvidia/cu13"]
        path = f"{self.top}/bin:{os.environ['PATH']}"
        for place in places:
            make_toolkit(place)
        for place in places:
            self.expect_found(place, PATH=path)
            make_toolkit(place, version="12.8")
        problems = [f"{place}/bin/nvcc is of CUDA 12.8, older than 13.0" for place in places]
        self.expect_unfit(", and ".join(problems), "-DWARPTAPE_CUDA_ROOT=", PATH=path)

    def test_optional(self):
        script = self.repository / "optional.cmake"
        script.write_text(f'include({self.module})\nwarptape_find_cuda_toolkit(OPTIONAL)\n'
                          'message("nvcc: <${WARPTAPE_CUDA_NVCC}>")\n')
        self.assertEqual(self.run_cmake(script=script, CUDACXX="/nowhere"), (0, "nvcc: <> "))
        nvcc = f"{self.top}/bin/nvcc"
        self.assertEqual(self.run_cmake(script=script, CUDACXX=nvcc), (0, f"nvcc: <{nvcc}> "))

    def test_a_build_folder_stays_with_its_toolkit(self):
        other = self.repository / "other"
        make_toolkit(other)
        nvcc = f"{self.top}/bin/nvcc"
        configured = [f"-DCMAKE_CUDA_COMPILER={nvcc}", "-DWARPTAPE_CUDA_CONFIGURED_ROOT="]
        self.expect_found(self.top, *configured)
        (self.repository / "link").symlink_to(self.top)
        self.expect_found(self.top, *configured, f"-DWARPTAPE_CUDA_ROOT={self.repository}/link")
        refusal = (f"This build folder was configured with {nvcc}, not with WARPTAPE_CUDA_ROOT={other}: "
                   "delete the folder and configure again.")
        self.expect_refused(refusal, *configured, f"-DWARPTAPE_CUDA_ROOT={other}")
        self.expect_refused(refusal, *configured, WARPTAPE_CUDA_ROOT=str(other))
        # Who named both at first goes on.
        self.expect_found(self.top, configured[0], f"-DWARPTAPE_CUDA_CONFIGURED_ROOT={other}",
                          f"-DWARPTAPE_CUDA_ROOT={other}")


if __name__ == "__main__":
    unittest.main()
