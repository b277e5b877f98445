#!/usr/bin/env python3
"""Makes one program of the C++ blocks of docs/guide/*.md, or checks what pages quote.

    pages.py OUTPUT.cpp PAGE.md...       # writes the program, unless it would be the same
    pages.py --check-quotes PAGE.md...   # every block that quotes a file is there

What a fence says:

    ```cpp                    runs; it sees what the blocks before it in its section (##) and those of the page's
                              first section declare
    ```cpp throws             runs, and ends with an exception
    ```cpp PATH/FILE          quotes that file of the source, indentation apart; it is compiled there
    ```cpp not compiled: WHY  does not run
    ```text                   behind one that runs: what it printed, or the error that it ended with

A block that begins with a type or a function holds definitions, any other one statements. Places that
errors name, as in "(at train.cpp:12)", are not compared.
"""
import dataclasses
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFINITION = re.compile(r"(struct|class|enum|template) ?|[\w:<>,&* ]+[ &*]\w+\([^;{]*\) \{$")
HOISTED = re.compile(r"#include .*|using namespace warptape;")


@dataclasses.dataclass
class Block:
    kind: str  # what stands behind ```cpp
    line: int  # of its first line of code
    code: str
    output: str | None = None


def sections(page: pathlib.Path) -> list[list[Block]]:
    """The blocks of each section."""
    found: list[list[Block]] = [[]]
    lines = page.read_text().split("\n")
    last = None  # a block that nothing but empty lines has followed
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if line.startswith("```"):
            begin = number
            while number < len(lines) and lines[number] != "```":
                number += 1
            if number == len(lines):
                sys.exit(f"{page}:{begin}: a fence without an end")
            text = "".join(row + "\n" for row in lines[begin:number])
            number += 1
            words = line[3:].split(maxsplit=1)
            if words and words[0] == "cpp":
                last = Block(words[1] if len(words) > 1 else "", begin + 1, text)
                found[-1].append(last)
                continue
            if words == ["text"] and last is not None and last.kind in ("", "throws"):
                last.output = text
        elif line.startswith("## "):
            found.append([])
        elif not line:
            continue
        last = None
    return [section for section in found if section]


def check_kind(page: pathlib.Path, block: Block) -> None:
    if not re.fullmatch(r"|throws|[\w./]+/[\w.]+|not compiled: .+", block.kind):
        sys.exit(f"{page}:{block.line}: ```cpp {block.kind}: wanted nothing, throws, the path of a file, or "
                 "not compiled: WHY")
    if block.kind == "throws" and block.output is None:
        sys.exit(f"{page}:{block.line}: no ```text says what is thrown")


def is_definition(code: str) -> bool:
    for line in code.split("\n"):
        if line and not line.startswith("//"):
            return DEFINITION.match(line) is not None
    return False


def program(pages: list[pathlib.Path]) -> str:
    """A function per page: the first section, and in its scope a block for each of the others."""
    includes = {'#include "tests/guide/run_page.h"'}
    bodies: list[str] = []
    table: list[str] = []
    for page in pages:
        definitions: list[str] = []
        statements: list[str] = []
        for count, section in enumerate(sections(page)):
            defined: list[str] = []
            stated: list[str] = []
            for block in section:
                check_kind(page, block)
                if block.kind not in ("", "throws"):
                    continue
                includes.update(row for row in block.code.split("\n") if row.startswith("#include"))
                rows = "\n".join("" if HOISTED.fullmatch(row) else row for row in block.code.split("\n"))
                code = f'#line {block.line} "{page.relative_to(ROOT)}"\n{rows}'
                if not is_definition(rows):
                    stated.append(statements_of(page, block, code))
                elif block.kind or block.output is not None:
                    sys.exit(f"{page}:{block.line}: definitions print nothing")
                else:
                    defined.append(code)
            space = f"page_{page.stem}_{count}"
            if defined:
                definitions += [f"namespace {space} {{\n", *defined, f"}}  // namespace {space}\n"]
                stated.insert(0, f"using namespace {space};\n")
            if stated and statements:
                stated = ["{\n", *stated, "}\n"]
            statements += stated
        if statements:
            bodies.append("".join(definitions) + f"void page_{page.stem}() {{\n" + "".join(statements) + "}\n")
            table.append(f'      {{"{page.stem}", &page_{page.stem}}},\n')
    return ("// Generated by tests/guide/pages.py.\n" + "\n".join(sorted(includes)) + "\n\nusing namespace warptape;\n"
            + "\n" + "\n".join(bodies) + "\n#line 1 \"main of the guide\"\nint main(int argc, char** argv) {\n  return guide::run_pages(argc, argv, {\n"
            + "".join(table) + "  });\n}\n")


def statements_of(page: pathlib.Path, block: Block, code: str) -> str:
    name = f"block_{block.line}_"
    if block.kind == "throws":
        code = f"{name}.expect_error([&] {{\n{code}}});\n"
    wanted = "nullptr" if block.output is None else f'R"guide({block.output})guide"'
    return f'guide::Run {name}("{page.name}:{block.line}");\n{code}{name}.end({wanted});\n'


def check_quotes(pages: list[pathlib.Path]) -> int:
    failed = 0
    for page in pages:
        plain = len(re.findall(r"^```cpp$", page.read_text(), re.M))
        if page.parent.name != "guide" and plain > (page == ROOT / "README.md"):  # its one block is a program
            print(f"{page}: nobody compiles a block of it: quote a file (```cpp PATH/FILE)")
            failed = 1
        for name, code in re.findall(r"^```\w+ ([\w./]+/[\w.]+)\n(.*?)^```$", page.read_text(), re.M | re.S):
            source = ROOT / name
            if not source.is_file() or without_indentation(code.rstrip()) not in without_indentation(source.read_text()):
                print(f"{page}: a block is not in {name}:\n{code}")
                failed = 1
    return failed


def without_indentation(text: str) -> str:  # and without what continues a macro
    return "".join(line.rstrip("\\").strip() + "\n" for line in text.split("\n"))


def main() -> int:
    pages = [pathlib.Path(name).resolve() for name in sys.argv[2:]]
    if not pages:
        sys.exit(__doc__)
    if sys.argv[1] == "--check-quotes":
        return check_quotes(pages)
    output = pathlib.Path(sys.argv[1])
    text = program(pages)
    if not output.exists() or output.read_text() != text:
        output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
