#!/usr/bin/env python3
"""Checks the machine code of CUDA kernels: object files, archives, programs or cubins.

usage: machine_code.py [--cuobjdump PATH] [--toolkit FOLDER] [--expect-faults] FILE...

Every kernel must use no stack and no local memory and no floating-point atomics (their order, and
with it the sum, differs from run to run); the kernels named in REQUIRED must have the instructions
that stand there. One line per kernel and architecture with its faults below it; from sm_90 on shared
memory counts the kilobyte that is reserved for each block. Exit status: 0 all is well, 1 faults, 77 not
run for want of a disassembler.

--expect-faults is the test of this script: a kernel named planted_REASON must be rejected for that
reason and no other, and one named clean_... must pass.
"""
import argparse
import collections
import concurrent.futures
import functools
import glob
import itertools
import os
import re
import shutil
import subprocess
import sys

NOT_RUN = 77

LOAD_16 = r"LDG\.E\S*\.(128|256)\S*"
STORE_16 = r"STG\.E\S*\.(128|256)\S*"
STORE_8 = r"STG\.E\S*\.64\S*"

LOADS = ("16-byte load", LOAD_16, 1)
STORES = ("16-byte store", STORE_16, 1)

# Regular expression of the demangled name -> what such a kernel must have: (what, instruction, at least).
# Every line must match a kernel, else it has been forgotten here.
REQUIRED = [
    (r"\bweight_norm_(forward|backward)(_chunks)?<(?!float, [\w:]*bfloat16)", [LOADS, STORES]),
    # A pack of floats is 8 bytes of bfloat16; so is 1 / ||v||, which has one store per way to own a row.
    (r"\bweight_norm_forward<float, [\w:]*bfloat16>", [LOADS, ("8-byte store", STORE_8, 9)]),
    (r"\bweight_norm_forward_chunks<float, [\w:]*bfloat16>", [LOADS, ("8-byte store", STORE_8, 5)]),
    (r"\bweight_norm_chunk_\w+<", [LOADS]),
    (r"\boptimizer_detail::(optimizer_step|normalizing_step|constrained_step|scale)<", [LOADS, STORES]),
    (r"\boptimizer_detail::gradient_norm<", [LOADS]),
    # The first number is the elements of an access; with 1 they are the kernels for odd shapes.
    (r"\belementwise::kernel<(?!1,)\d+,", [LOADS, STORES]),
    (r"\bmixed::kernel<(?!1,)\d+,", [LOADS]),
    (r"\blosses::sum_kernel<(?!1,)\d+,", [LOADS]),
    (r"\blosses::(each|gradient)_kernel<(?!1,)\d+,", [LOADS, STORES]),
    (r"\bplace_kernel<(?!1,)\d+,", [LOADS, STORES]),
    (r"\bplace_masked_kernel<(?!1,)\d+,", [LOADS, STORES]),
    (r"\bmask_gradient_kernel<(?!1,)\d+,", [LOADS, STORES]),
    (r"\breduce::(rows|columns)_kernel<(?!1,)\d+,", [LOADS]),
    (r"\brows::staged_kernel<", [LOADS, STORES]),
    (r"\brows::(team|columns)_kernel<(?!1,)\d+,", [LOADS, STORES]),
    (r"\bnormalize::(column|run)_sums<(?!1,)\d+,", [LOADS]),
    (r"\bnormalize::apply_to_(columns|runs)<(?!1,)\d+,", [LOADS, STORES]),
    (r"\bdropout_(channels_last_)?kernel<(?!1,)\d+,", [LOADS, STORES]),
    (r"\btranspose::kernel<[\w ]+, (?!1>)\d+>", [LOADS, STORES]),
    (r"\bmatrix::fma_kernel<.*, [24]>", [LOADS, STORES]),
    (r"\bmatrix::mma_kernel<.*, [48]>", [("asynchronous 16-byte copy", r"LDGSTS\S*\.128\S*", 1),
                                         STORES]),
    (r"\bdepthwise::\w+_kernel<(?!1,)\d+,", [LOADS, STORES]),
    (r"\bpool::\w+_(forward|backward)<(?!1,)\d+,", [LOADS, STORES]),
    (r"\bcast_kernel<(float|double), (float|double)>", [LOADS, STORES]),
    (r"\bimage_batch_kernel<[\w ]+, (?!1,)\d+, (true|1)>", [LOADS, STORES]),
]
# At most this many registers, so that 32 warps fit on an SM (65,536 registers): what a kernel that waits
# for memory needs to keep enough loads under way. Kernels that wait for arithmetic do with 16 warps.
MOST_REGISTERS = 64
ARITHMETIC_KERNELS = [
    # 128 sums of a thread, and two of each fragment; so a multiprocessor has 8 warps.
    (r"\bmatrix::mma_kernel<", 255),
    (r"\bmatrix::fma_kernel<", 128),
    (r"\bimage_batch_kernel<[\w:]*bfloat16, 8,", 128),  # of 8 elements, see below
    (r"\bimage_batch_kernel<", 80),  # in double; 24 warps
    # A pack of bfloat16 is 8 elements, which are floats (in sums doubles) in registers: 16 or 24 warps.
    (r"\brows::columns_kernel<8,.*bfloat16>", 128),
    # A row of weight norm, and a rule: 24 warps, each with packs of three or four tensors under way.
    (r"\boptimizer_detail::normalizing_step<", 80),
    # Squares before and behind a rule, in three sums of doubles each: 16 warps; 24 of bfloat16.
    (r"\boptimizer_detail::constrained_step<double", 96),
    (r"\boptimizer_detail::constrained_step<[\w:]*bfloat16", 80),
    # From sm_100 on: 64 of them would be spills.
    (r"\boptimizer_detail::(optimizer_step|gradient_norm)<(double|[\w:]*bfloat16)", 80),
    # Pairs of sums in double, and numbers of each column.
    (r"\bnormalize::(column|run)_sums<", 128),
    (r"\bnormalize::apply_to_columns<8,", 128),
    (r"\bnormalize::apply_to_\w+<2,.*NormalizeGradient<double>", 80),
    (r"\brows::columns_kernel<[24],.*\bLayerNorm", 80),
    (r"\breduce::columns_kernel<8,.*\bArgmax\b", 128),
    (r"\breduce::columns_kernel<8,", 80),
    (r"\bpool::avg_forward<8,", 128),
    (r"\bpool::max_forward<8,", 80),
]
# Regular expression of the name -> (what, instruction, by what, instruction, at least so many for one):
# how much arithmetic a load from shared memory feeds. Wide tiles of floats: 4 elements a load.
FLOAT_PACKS = r"\bmatrix::fma_kernel<.*<float, float>, {}, 4>"
PASS_PACKS = r"\bmatrix::fma_kernel<.*Pass<float>, {}, 4>"
RATIOS = [
    (FLOAT_PACKS.format("2, 2"), "multiplications", r"FFMA\S*", "16-byte loads from shared memory", r"LDS\S*\.128\S*", 16),
    (FLOAT_PACKS.format("2, 1"), "multiplications", r"FFMA\S*", "16-byte loads from shared memory", r"LDS\S*\.128\S*", 10),
    (FLOAT_PACKS.format("1, 1"), "multiplications", r"FFMA\S*", "16-byte loads from shared memory", r"LDS\S*\.128\S*", 8),
    # The same loops; a pass's epilogue loads its slabs once more, 4 packs each.
    (PASS_PACKS.format("2, 1"), "multiplications", r"FFMA\S*", "16-byte loads from shared memory", r"LDS\S*\.128\S*", 8),
    (PASS_PACKS.format("1, 1"), "multiplications", r"FFMA\S*", "16-byte loads from shared memory", r"LDS\S*\.128\S*", 6.4),
]
# The same within the loop that has all of that arithmetic: the first fragments are loaded ahead of it.
# A warp has 64 x 64 results. Fragments of TF32 along the rows come by 16 bytes, not by ldmatrix.
LOOP_RATIOS = [
    (r"\bmatrix::mma_kernel<", "matrix instructions", r"HMMA\S*", "loads of fragments", r"LDSM\S*|LDS\.128\S*", 4),
]
# Regular expression of the name -> operands that every wait for asynchronous copies must have: the newest
# two groups of copies stay in flight.
WAITS = [(r"\bmatrix::mma_kernel<", ["SB0", "0x2"])]
# The same for the kernels of --expect-faults.
PLANTED_REQUIRED = [(r"\bplanted_scalar\b|\bclean_vector\b", [LOADS, STORES])]

# Reason -> what a fault's text must hold, for --expect-faults.
PLANTED = {
    "stack": "stack",
    "local": "local memory",
    "atomic": "floating-point atomic",
    "swap": "floating-point atomic",
    "scalar": "16-byte",
}

FLOAT_TYPE = re.compile(r"^B?F\d+(x\d+)?$")
ATOMIC = {"ATOM", "ATOMG", "ATOMS", "RED", "REDG", "REDS", "UBLKRED", "UTMAREDG"}
FLOAT_ARITHMETIC = re.compile(r"^(FADD|FMUL|FFMA|FMNMX|FSEL|DADD|DMUL|DFMA|HADD2|HMUL2|HFMA2|HMNMX2)\d?\b")
MOVE = re.compile(r"^(MOV|IMAD\.MOV|PRMT|SEL|LOP3|SHF)\b")


class Kernel:
    def __init__(self, name, architecture):
        self.name = name
        self.architecture = architecture
        self.resources = {}
        self.code = []  # (opcode with suffixes, [operands])
        self.addresses = []  # of each

    @functools.cached_property
    def opcodes(self):
        return collections.Counter(opcode for opcode, _ in self.code)

    def count(self, pattern):
        return sum(number for opcode, number in self.opcodes.items() if re.fullmatch(pattern, opcode))

    def loop_with(self, pattern):
        """Opcodes of the shortest loop that has all instructions of a pattern; None if there is none."""
        found = [at for (opcode, _), at in zip(self.code, self.addresses) if re.fullmatch(pattern, opcode)]
        loops = []
        for (opcode, operands), end in zip(self.code, self.addresses):
            target = re.search(r"0x([0-9a-f]+)$", operands[-1]) if operands and opcode.startswith("BRA") else None
            if target and found and int(target.group(1), 16) <= found[0] and found[-1] < end:
                loops.append((end - int(target.group(1), 16), int(target.group(1), 16), end))
        if not loops:
            return None
        _, begin, end = min(loops)
        return [opcode for (opcode, _), at in zip(self.code, self.addresses) if begin <= at <= end]


def find_cuobjdump(given, toolkit):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    candidates = [given] if given else [shutil.which("cuobjdump")]
    if not given:
        if toolkit:
            candidates.append(os.path.join(toolkit, "bin", "cuobjdump"))
        candidates += glob.glob(os.path.join(
            root, ".deps/venv/lib/python3*/site-packages/nvidia/cu13/bin/cuobjdump"))
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    return None


def run(command, folder=None):
    environment = dict(os.environ)
    if folder:  # cuobjdump runs nvdisasm, which lies beside it
        environment["PATH"] = folder + os.pathsep + environment.get("PATH", "")
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    # It says so, with an error status, where there is nothing to list.
    if result.returncode != 0 and "does not contain device code" not in result.stderr:
        sys.exit(f"{' '.join(command)}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def demangle(names):
    tool = shutil.which("c++filt") or shutil.which("cu++filt")
    if not tool or not names:
        return dict(zip(names, names))
    result = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True, check=True)
    return dict(zip(names, result.stdout.splitlines()))


def instruction(line):
    """(opcode, operands) of a line like "/*0080*/  @P0 LDG.E R3, desc[UR4][R2.64] ;", else None."""
    match = re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)\s*([^;]*);", line)
    if not match:
        return None
    return match.group(1), [operand.strip() for operand in match.group(2).split(",")]


def read_kernels(cuobjdump, path):
    """Kernels of a file by (mangled name, architecture). Functions that are not inlined show too."""
    folder = os.path.dirname(os.path.abspath(cuobjdump))
    kernels = {}
    architecture = ""
    kernel = None
    for line in run([cuobjdump, "--dump-resource-usage", path], folder).splitlines():
        if match := re.match(r"\s*arch = (\w+)", line):
            architecture = match.group(1)
        elif match := re.match(r"\s*Function (\S+):\s*$", line):
            kernel = kernels.setdefault((match.group(1), architecture),
                                        Kernel(match.group(1), architecture))
        elif kernel and "REG:" in line:
            kernel.resources = {key: int(value) for key, value in re.findall(r"([A-Z]+):(\d+)", line)}
            kernel = None
    for line in run([cuobjdump, "--dump-sass", path], folder).splitlines():
        if match := re.match(r"\s*code for (\w+)", line):
            architecture = match.group(1)
        elif match := re.match(r"\s*Function : (\S+)", line):
            kernel = kernels.setdefault((match.group(1), architecture),
                                        Kernel(match.group(1), architecture))
        elif kernel and (code := instruction(line)):
            kernel.code.append(code)
            kernel.addresses.append(int(re.search(r"/\*([0-9a-f]+)\*/", line).group(1), 16))
    return kernels


def comes_from_float(code, at, register, steps=3):
    """Whether floating-point arithmetic made what `register` holds at instruction `at`, perhaps
    moved or packed on the way."""
    for before in range(at - 1, max(-1, at - 24), -1):
        opcode, operands = code[before]
        if operands and operands[0] == register:
            if FLOAT_ARITHMETIC.match(opcode):
                # A product of zeros plus a number is how nvcc writes some integer constants.
                return {operand.lstrip("-") for operand in operands[1:3]} != {"RZ"}
            return steps > 0 and bool(MOVE.match(opcode)) and any(
                comes_from_float(code, before, source, steps - 1)
                for source in operands[1:] if re.fullmatch(r"R\d+", source))
    return False


def is_float_swap(code, at):
    """True for a compare-and-swap whose new value comes out of floating-point arithmetic: what nvcc
    makes of an atomicAdd for which there is no instruction (float in shared memory)."""
    opcode, operands = code[at]
    return ".CAS" in opcode and comes_from_float(code, at, re.sub(r"\.\w+$", "", operands[-1]))


def faults_of(kernel, demangled, required, used):
    faults = []
    if not kernel.code:
        return ["has no machine code in the listing"]
    if not kernel.resources:
        faults.append("its resource usage is not in the listing")
    most = next((registers for pattern, registers in ARITHMETIC_KERNELS if re.search(pattern, demangled)),
                MOST_REGISTERS)
    if kernel.resources.get("REG", 0) > most:
        faults.append(f"uses {kernel.resources['REG']} registers, at most {most} are wanted")
    if kernel.resources.get("STACK", 0):
        faults.append(f"uses {kernel.resources['STACK']} bytes of stack")
    if kernel.resources.get("LOCAL", 0):
        faults.append(f"uses {kernel.resources['LOCAL']} bytes of local memory")
    local = [opcode for opcode, _ in kernel.code if opcode.split(".")[0] in ("LDL", "STL")]
    if local:
        faults.append(f"has {len(local)} accesses to local memory ({', '.join(sorted(set(local)))})")
    for at, (opcode, _) in enumerate(kernel.code):
        parts = opcode.split(".")
        if parts[0] in ATOMIC and any(FLOAT_TYPE.match(part) for part in parts):
            faults.append(f"has a floating-point atomic ({opcode})")
        elif parts[0] in ATOMIC and is_float_swap(kernel.code, at):
            faults.append(f"has a floating-point atomic (a loop around {opcode})")
    for at, (pattern, needs) in enumerate(required):
        if re.search(pattern, demangled):
            used.add(at)
            for what, code, least in needs:
                found = kernel.count(code)
                if found < least:
                    faults.append(f"has {found} of at least {least} {what}s ({code})")
    for pattern, what, code, per, divisor, least in RATIOS:
        if re.search(pattern, demangled):
            found, loads = kernel.count(code), kernel.count(divisor)
            if loads == 0 or found < least * loads:
                faults.append(f"has {found} {what} for {loads} {per}, at least {least} for one are wanted")
    for pattern, what, code, per, divisor, least in LOOP_RATIOS:
        if re.search(pattern, demangled):
            loop = kernel.loop_with(code) or []
            found, loads = (sum(bool(re.fullmatch(one, opcode)) for opcode in loop) for one in (code, divisor))
            if loads == 0 or found < least * loads:
                faults.append(f"has {found} {what} for {loads} {per} in its loop, at least {least} for one are wanted")
    for pattern, operands in WAITS:
        if re.search(pattern, demangled):
            waits = [found for opcode, found in kernel.code if opcode.startswith("DEPBAR")]
            if not waits or any(found != operands for found in waits):
                faults.append(f"waits for copies by {waits or 'nothing'}, wanted {operands}")
    return list(dict.fromkeys(faults))


def judge_planted(demangled, faults):
    """What is wrong with the verdict on a kernel of the self-test, or None."""
    match = re.search(r"\b(planted|clean)_([a-z]+)", demangled)
    if not match:
        return "is neither planted_ nor clean_"
    if match.group(1) == "clean":
        return f"was rejected: {'; '.join(faults)}" if faults else None
    wanted = PLANTED.get(match.group(2))
    if wanted is None:
        return f"is planted for an unknown reason; known: {', '.join(PLANTED)}"
    if not faults:
        return "was not rejected"
    right = [fault for fault in faults if wanted in fault]
    # Local memory lies on the stack mostly, so those two come together.
    if not right or (right != faults and match.group(2) not in ("stack", "local")):
        return f"was rejected for: {'; '.join(faults)}"
    return None


def judge(cuobjdump, required, path):
    """Verdicts on a file's kernels by (mangled name, architecture): the demangled name, what it has in
    words, its faults, and which of the REQUIRED it matches. Without the code, which is millions of lines
    for all files."""
    kernels = read_kernels(cuobjdump, path)
    names = demangle(sorted({name for name, _ in kernels}))
    verdicts = {}
    for key, kernel in kernels.items():
        used = set()
        faults = faults_of(kernel, names[kernel.name], required, used)
        resources = kernel.resources
        verdicts[key] = names[kernel.name], (
            f"{resources.get('REG', '?')} registers, {resources.get('SHARED', '?')} B shared, "
            f"16-byte loads {kernel.count(LOAD_16)} of {kernel.count(r'LDG.*')}, "
            f"stores {kernel.count(STORE_16)} of {kernel.count(r'STG.*')}"), faults, used
    return verdicts


def main():
    parser = argparse.ArgumentParser(description="Checks the machine code of CUDA kernels.")
    parser.add_argument("--cuobjdump")
    parser.add_argument("--toolkit", help="the CUDA toolkit's folder")
    parser.add_argument("--expect-faults", action="store_true", help="the files hold planted kernels")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()

    cuobjdump = find_cuobjdump(options.cuobjdump, options.toolkit)
    folder = os.path.dirname(os.path.abspath(cuobjdump)) if cuobjdump else ""
    if not cuobjdump or not (shutil.which("nvdisasm", path=folder) or shutil.which("nvdisasm")):
        print(f"not run: no {'nvdisasm beside cuobjdump' if cuobjdump else 'cuobjdump'}; "
              "tools/setup.sh --dev --cuda installs both")
        return NOT_RUN

    required = PLANTED_REQUIRED if options.expect_faults else REQUIRED
    kernels = {}
    with concurrent.futures.ProcessPoolExecutor() as pool:  # a file takes seconds
        for found in pool.map(judge, itertools.repeat(cuobjdump), itertools.repeat(required), options.files):
            kernels.update(found)
    if not kernels:
        print(f"no kernels in {', '.join(options.files)}")
        return 1
    failed = 0
    used = set()
    for (_, architecture), (name, text, faults, matched) in sorted(kernels.items()):
        used |= matched
        print(f"{name} [{architecture}]: {text}")
        if options.expect_faults:
            wrong = judge_planted(name, faults)
            faults = [wrong] if wrong else []
        for fault in faults:
            print(f"  FAULT: {name} [{architecture}] {fault}")
        failed += bool(faults)
    for at, (pattern, _) in enumerate(required):
        if at not in used:
            print(f"  FAULT: no kernel matches {pattern!r}, which must have 16-byte accesses")
            failed += 1
    print(f"{len(kernels)} kernels, {failed} with faults")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
