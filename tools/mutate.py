#!/usr/bin/env python3
"""Plants mistakes in a copy of the sources and says which of them no test notices."""

import argparse
import concurrent.futures
import dataclasses
import fnmatch
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools" / "mutations"))
import plant  # noqa: E402

DESCRIPTION = """\
Plants every mistake of tools/mutations/*.txt, each behind a switch, in a copy of the sources under
build/mutate, builds the copy once with preset simt (and simt-profile, where entries ask for it),
and runs the tests once per mistake with that one switched on (WARPTAPE_MUTATION names it): first
the suites that its entry names, then, where all of them pass, every other test. A mistake is
noticed when a test fails, the program ends by itself, or a test never ends. Prints a line per
mistake and the score; fails unless --least percent are noticed. docs/testing.md describes the
lists.
"""


@dataclasses.dataclass
class Result:
    mistake: plant.Mistake
    status: str  # noticed, NOT NOTICED, equivalent
    by: str = ""  # the first test that failed
    how: str = ""  # fails, ends the program, never ends
    stage: str = ""  # suites, all tests
    seconds: float = 0


class Tests:
    """The programs of a build: those with nearly all tests, and the other entries of ctest."""

    PROGRAMS = {"simt": ["tests/warptape_tests", "tests/warptape_cases"],
                "simt-profile": ["tests/emulator/profile/warptape_profile_tests"]}

    def __init__(self, build):
        self.build = build
        self.programs = [build / program for program in self.PROGRAMS[build.name]]
        self.seconds = {}  # per test, as it is
        self.of_program = {}  # its tests
        self.others = self._other_entries()

    def _other_entries(self):
        text = subprocess.run(["ctest", "--test-dir", self.build, "--show-only=json-v1"],
                              check=True, capture_output=True, text=True).stdout
        entries = []
        for test in json.loads(text)["tests"]:
            command = test.get("command", [""])
            environment = {}
            for entry in test["properties"]:
                if entry["name"] == "ENVIRONMENT":
                    environment = dict(pair.split("=", 1) for pair in entry["value"])
            ours = command[0].startswith(str(self.build)) and "engine_tests" not in command[0]
            if ours and (environment or command[0] not in map(str, self.programs)):
                entries.append((test["name"], command, environment))
        return entries

    def measure(self, folder):
        """Runs every test without a mistake; they must pass."""
        for program in self.programs:
            log = folder / f"as_it_is.{self.build.name}.{program.name}.log"
            code, text, _ = run([program], {}, log, 3000)
            passed = re.findall(r"\[       OK \] (\S+?)(?:, where .*)? \((\d+) ms\)", text)
            if code != 0 or not passed:
                raise SystemExit(f"the tests fail without any mistake: {log}")
            self.of_program[program] = [name for name, _ in passed]
            for name, milliseconds in passed:
                self.seconds[name] = int(milliseconds) / 1000
        for name, command, environment in self.others:
            code, _, seconds = run(command, environment, folder / f"{name}.log", 600)
            if code != 0:
                raise SystemExit(f"{name} fails without any mistake: {folder / (name + '.log')}")
            self.seconds[name] = seconds

    def limit(self, names):
        """Seconds after which tests are taken for an endless loop; two may share the cores."""
        return 30 + 10 * sum(self.seconds.get(name, 0) for name in names)

    def select(self, text):
        positive, _, negative = text.partition("-")
        def matches(name, patterns):
            return any(fnmatch.fnmatchcase(name, p) for p in patterns.split(":") if p)
        return [name for name in self.seconds
                if "." in name and matches(name, positive) and not matches(name, negative)]


running = set()
lock = threading.Lock()


def run(command, environment, log, limit):
    """(exit status, or None past the limit; output; seconds)"""
    begin = time.monotonic()
    with open(log, "wb") as file:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=file,
                                   stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        with lock:
            running.add(process)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with lock:
                running.discard(process)
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    return code, pathlib.Path(log).read_text(errors="replace"), time.monotonic() - begin


def first_failure(text):
    """(test, what happened) of a program that did not pass."""
    failed = re.search(r"^\[  FAILED  \] ([^\s,]+)", text, re.MULTILINE)
    if failed:
        return failed.group(1), "fails"
    begun = re.findall(r"^\[ RUN      \] (\S+)", text, re.MULTILINE)
    return (begun[-1] if begun else "before the first test"), "ends the program"


def judge(mistake, tests, folder):
    """Runs the tests with one mistake."""
    begin = time.monotonic()
    environment = {"WARPTAPE_MUTATION": mistake.id}
    log = folder / f"{mistake.id}.log"

    def result(status, by="", how="", stage=""):
        return Result(mistake, status, by, how, stage, time.monotonic() - begin)

    suites = tests.select(mistake.tests)
    if not suites:
        raise SystemExit(f"{mistake.where}: [{mistake.id}]: no test matches {mistake.tests}")
    rest = [name for name in tests.select("*") if name not in set(suites)]
    for stage, names, patterns in (("suites", set(suites), mistake.tests),
                                   ("all tests", set(rest), f"*-{mistake.tests}")):
        for program in tests.programs:
            own = [name for name in tests.of_program[program] if name in names]
            if not own:
                continue
            code, text, _ = run([program, "--gtest_fail_fast", f"--gtest_filter={patterns}"],
                                environment, log, tests.limit(own))
            if code is None:
                begun = re.findall(r"^\[ RUN      \] (\S+)", text, re.MULTILINE)
                return result("noticed", begun[-1] if begun else "?", "never ends", stage)
            if code != 0:
                return result("noticed", *first_failure(text), stage)
    for name, command, entry_environment in tests.others:
        code, _, _ = run(command, {**environment, **entry_environment}, log, tests.limit([name]))
        if code != 0:
            return result("noticed", name, "never ends" if code is None else "fails", "all tests")
    return result("NOT NOTICED")


def build(mistakes, folder, presets, jobs):
    """Makes and compiles the copy with all mistakes."""
    tree = folder / "src"
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split("\n")
    plant.write_tree(mistakes, ROOT, tree, [file for file in files if file])
    if (ROOT / ".deps").exists() and not (tree / ".deps").exists():
        (tree / ".deps").symlink_to((ROOT / ".deps").resolve())
    for preset in presets:
        begin = time.monotonic()
        subprocess.run(["cmake", "--preset", preset], cwd=tree, check=True,
                       stdout=subprocess.DEVNULL)
        status = subprocess.run(["cmake", "--build", "--preset", preset, "-j", str(jobs), "--",
                                 "-k", "0"], cwd=tree, capture_output=True, text=True)
        if status.returncode != 0:
            errors = re.findall(".*(?:error:|FAILED:).*", status.stdout)
            raise SystemExit("\n".join(errors[:40]) + "\nthe mistakes do not compile")
        seconds = time.monotonic() - begin
        print(f"{len(mistakes)} mistakes planted, {preset} built in {seconds:.0f} s", flush=True)


def describe(result):
    line = f"{result.status:12} {result.mistake.id:44}"
    if result.status == "equivalent":
        return line + result.mistake.equivalent.replace("\n", " ")
    if result.by:
        line += f"{result.by} {result.how}"
        if result.stage != "suites":
            line += f" ({result.stage})"
    return f"{line}  {result.seconds:.0f} s"


def report(results, folder, seconds):
    """Prints the score and writes results.json; returns the percentage that was noticed."""
    counts = {status: sum(r.status == status for r in results)
              for status in ("noticed", "NOT NOTICED", "equivalent")}
    counted = counts["noticed"] + counts["NOT NOTICED"]
    percent = 100 * counts["noticed"] / max(counted, 1)
    missed = [r for r in results if r.status == "NOT NOTICED"]
    if missed:
        print("\nnot noticed:")
        for r in sorted(missed, key=lambda r: r.mistake.number):
            print(f"  {r.mistake.id} ({r.mistake.file}): {r.mistake.why}")
    print(f"\n{counts['noticed']} of {counted} mistakes noticed ({percent:.1f} %), "
          f"{counts['equivalent']} equivalent, in {seconds:.0f} s")
    rows = [{"id": r.mistake.id, "file": r.mistake.file, "why": r.mistake.why, "status": r.status,
             "by": r.by, "how": r.how, "stage": r.stage, "seconds": round(r.seconds, 1)}
            for r in sorted(results, key=lambda r: r.mistake.number)]
    text = json.dumps({"noticed": counts["noticed"], "not_noticed": counts["NOT NOTICED"],
                       "equivalent": counts["equivalent"], "percent": round(percent, 1),
                       "mistakes": rows}, indent=1)
    (folder / "results.json").write_text(text + "\n")
    print(f"details: {folder / 'results.json'}")
    return percent


def chosen(mistakes, only, presets):
    """The mistakes whose id matches one of the patterns, of these presets."""
    patterns = only.split(",") if only else ["*"]
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(m.id, pattern) for m in mistakes):
            raise SystemExit(f"--only {pattern}: no such mistake")
    return [m for m in mistakes if m.preset in presets.split(",")
            and any(fnmatch.fnmatchcase(m.id, p) for p in patterns)]


def arguments():
    parser = argparse.ArgumentParser(description=DESCRIPTION,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the mistakes and end")
    parser.add_argument("--check", action="store_true",
                        help="only see that each snippet is found once in the sources")
    parser.add_argument("--only", metavar="IDS", default="",
                        help="these alone: ids or patterns, with commas between")
    parser.add_argument("--presets", metavar="NAMES", default=",".join(plant.PRESETS),
                        help="mistakes that tests of these builds see (default: simt,simt-profile)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="programs at a time")
    parser.add_argument("--keep-going", action="store_true",
                        help="run the mistakes that are listed as equivalent too")
    parser.add_argument("--build", metavar="DIR", type=pathlib.Path,
                        default=ROOT / "build" / "mutate",
                        help="where the copy lies; one that is there is brought up to date")
    parser.add_argument("--no-build", action="store_true",
                        help="take the copy as it was built last")
    parser.add_argument("--least", type=float, default=95.0, metavar="PERCENT",
                        help="fail if fewer are noticed (default: 95)")
    return parser.parse_args()


def main():
    options = arguments()
    try:
        mistakes = plant.read_lists(ROOT / "tools" / "mutations")
        wanted = chosen(mistakes, options.only, options.presets)
        if options.list:
            for m in wanted:
                mark = " (equivalent)" if m.equivalent else ""
                print(f"{m.id:44} {m.file}: {m.why}{mark}".replace("\n", " "))
            return 0
        plant.plant(mistakes, ROOT)
        if options.check:
            print(f"{len(mistakes)} mistakes, each found once")
            return 0
    except plant.ListError as error:
        print(error, file=sys.stderr)
        return 2
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.pop("WARPTAPE_MUTATION", None)
    # Programs beside each other should not spin while they wait.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    folder = options.build.resolve()
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    presets = [preset for preset in plant.PRESETS if any(m.preset == preset for m in wanted)]
    if not options.no_build:
        build(mistakes, folder, presets, options.jobs)
    tests = {preset: Tests(folder / "src" / "build" / preset) for preset in presets}
    for of_preset in tests.values():
        of_preset.measure(folder / "logs")
    count = sum(len(of_preset.seconds) for of_preset in tests.values())
    print(f"{count} tests pass without a mistake", flush=True)
    begin = time.monotonic()
    results = []
    pending = []
    for m in wanted:
        if m.equivalent and not options.keep_going:
            results.append(Result(m, "equivalent"))
        else:
            pending.append(m)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        try:
            futures = [pool.submit(judge, m, tests[m.preset], folder / "logs") for m in pending]
            for future in concurrent.futures.as_completed(futures):
                results.append(future.result())
                print(describe(results[-1]), flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            with lock:
                for process in running:
                    os.killpg(process.pid, signal.SIGKILL)
            raise
    return 0 if report(results, folder, time.monotonic() - begin) >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
