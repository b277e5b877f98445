#!/usr/bin/env python3
"""Makes docs/guide/reference.md of the comments in the headers of ops and layers.

    tools/make_reference.py            # writes the page
    tools/make_reference.py --check    # says whether the page is what this would write

Ops are those of kernels/CMakeLists.txt and of the tables of kernels/pointwise and kernels/losses, layers' headers
those that warptape.h includes. Of a header it takes each declaration of its namespace with the comment above it. What directly follows
without a comment of its own belongs to the declaration before. Of a layer's class it takes options and constructors.
"""
import dataclasses
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/guide/reference.md"

# The caller's place, which callers leave to its default.
PLACE = re.compile(r",?\s*(const Site& site = Site::here\(\)"
                   r"|const char\* file = __builtin_FILE\(\),\s*int line = __builtin_LINE\(\))")
DECLARES = re.compile(r"([\w~]+)\s*\(")


@dataclasses.dataclass
class Item:
    comment: list[str]  # without slashes
    code: list[str]  # a declaration, as many lines as it has
    body: list[str]  # of a class: what stands in it
    is_apart: bool = False  # an empty line stands before it

    @property
    def text(self) -> str:
        return " ".join(self.code)

    @property
    def kind(self) -> str:
        return re.match(r"(?:template <.*?> )?(\w+)", self.text).group(1)

    @property
    def name(self) -> str:
        if self.kind in ("struct", "class", "enum"):
            return re.search(r"(?:struct|class) (\w+)", self.text).group(1)
        call = DECLARES.search(self.text)
        return call.group(1) if call else ""


def uncommented(line: str) -> str:
    return re.sub(r"^ *// ?", "", line)


def items(lines: list[str]) -> tuple[list[str], list[Item]]:
    """The comment of a file, and what it declares, at the indentation that these lines have."""
    about: list[str] = []
    found: list[Item] = []
    comment: list[str] = []
    is_apart = False
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if line.startswith("//"):
            comment.append(uncommented(line))
        elif not line or line.startswith("#include"):
            if comment and not found and not about:
                about = comment
            comment = []
            is_apart = True
        elif line == "namespace detail {":
            index = lines.index("}  // namespace detail", index) + 1
        elif line.startswith(("#", "namespace", "}", " ", "WARPTAPE", "public:", "protected:", "private:")):
            while line.endswith("\\"):
                line = lines[index]
                index += 1
        else:
            code = [line]
            while not re.search(r"[;{}]( *//.*)?$", line):
                line = lines[index]
                index += 1
                code.append(line)
            body: list[str] = []
            if line.endswith("{"):
                while not lines[index].startswith("}"):
                    body.append(lines[index])
                    index += 1
                index += 1
            code[-1] = code[-1].removesuffix("{").rstrip()
            found.append(Item(comment, code, body, is_apart))
            comment = []
            is_apart = False
    return about, found


def dedented(lines: list[str]) -> list[str]:
    return [line[2:] if line.startswith("  ") else line for line in lines]


def public(body: list[str]) -> list[str]:
    """Of the body of a class, what everybody sees."""
    result = []
    visible = True
    for line in body:
        label = re.match(r" (public|protected|private):", line)
        if label:
            visible = label.group(1) == "public"
        elif visible:
            result.append(line)
    return dedented(result)


def escaped(text: str) -> str:
    return re.sub(r"([*<])", r"\\\1", text)


def prose(comment: list[str]) -> list[str]:
    """A comment as Markdown: what is indented is a list, or code where an empty line stands before it."""
    result: list[str] = []
    in_code = False
    after_empty = True
    for line in comment:
        if not line:
            result.append("")
            after_empty, in_code = True, False
            continue
        indent = len(line) - len(line.lstrip())
        in_code = indent >= 2 and (in_code or (after_empty and re.search(r"[;{}]$|[;{] +//", line) is not None))
        if in_code:
            result.append("    " + line[2:])
        elif indent in (2, 3):
            aligned = re.fullmatch(r"(.*\S) {2,}(\S.*)", line.strip())
            result.append("- " + (f"`{aligned.group(1)}` {escaped(aligned.group(2))}" if aligned
                                  else escaped(line.strip())))
        elif indent > 3 or not result:
            result.append(("  " if indent else "") + escaped(line.strip()))
        else:
            if result[-1].startswith(("- ", "  ")):
                result.append("")
            result.append(escaped(line))
        after_empty = False
    return result


def ended(text: str) -> str:
    """With a semicolon, in front of a comment if it has one."""
    return text if re.search(r"[;}]( *//.*)?$", text) else re.sub(r" *(//.*)?$", lambda m: ";" + m.group(), text, count=1)


def declaration(item: Item) -> list[str]:
    text = PLACE.sub("", "\n".join(item.code)).removeprefix("inline ")
    if item.kind == "struct":
        body = item.body
        if any("(" in line.split("//")[0] for line in body):
            members = items(dedented(body))[1]
            body = ["  " + line for member in members for line in constructor_or_data(member, item.name)]
        return (text + " {\n" + "\n".join(body) + "\n};").split("\n")
    return ended(text).split("\n")


def constructor(text: str, name: str) -> str:
    """Up to the parenthesis that closes its arguments, on one line."""
    text = re.sub(r"\s+", " ", PLACE.sub("", re.sub(r"requires.*(?=explicit)", "", text, flags=re.S)))
    index = text.index(name + "(") + len(name)
    depth = 0
    while True:
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        index += 1
        if depth == 0:
            return text[:index] + ";"


def constructor_or_data(member: Item, name: str) -> list[str]:
    code = member.text.split("//")[0]
    if "(" not in code:
        return member.code
    made_of = re.match(rf"(explicit |constexpr )*{name}\(", code)
    return [] if not made_of or f"const {name}&" in code or "= default" in code else [constructor(code, name)]


def layer(item: Item) -> list[str]:
    """The options and constructors of a module, and its weights."""
    result = [item.text + " {"]
    for member in items(public(item.body))[1]:
        text = "\n".join(member.code)
        if member.kind == "struct" and member.name == "Options":
            result += ["  " + line for line in declaration(member)]
        elif re.search(rf"(^|explicit |> ){item.name}\(", member.text):
            if f"{item.name}(const {item.name}&" not in text and f"{item.name}&&" not in text:
                result.append("  " + constructor(text, item.name))
        elif re.match(r"(Weight|Parameter) ", text):
            result.append("  " + text)
    return [item.text + ";"] if len(result) == 1 else result + ["};"]


def is_layer(item: Item) -> bool:
    return item.kind == "class" and "<" not in item.text and bool(item.body) \
        and re.search(r": public (Module|Sequential)$", item.text) is not None


def is_left_out(item: Item) -> bool:
    if item.kind == "class":
        return not is_layer(item)
    return (not item.body and item.kind == "struct") or "= delete" in item.text or "constexpr bool" in item.text \
        or "operator" in item.text


def header(path: str) -> tuple[str, list[str]]:
    """What it is about, in a word, and its part of the page."""
    about, found = items((ROOT / path).read_text().split("\n"))
    titles = [item.name for item in found if is_layer(item)] + [pathlib.Path(path).stem]
    result = [f"### {titles[0]}", "", f"[{path}](../../{path})", "", *prose(about)]
    code: list[str] = []
    comment: list[str] = []
    only_structs = True  # in the code: what comes with a comment needs them

    for item in found:
        if is_left_out(item):
            continue
        if code and (comment or not only_structs) and (item.comment or item.is_apart and comment):
            result += block(code) + prose(comment)
            code, comment, only_structs = [], [], True
        comment = comment or item.comment
        only_structs = only_structs and item.kind in ("struct", "enum")
        code += layer(item) if is_layer(item) else declaration(item)
    return titles[0], result + (block(code) + prose(comment) if code else [])


def block(code: list[str]) -> list[str]:
    return ["", "```cpp not compiled: declarations", *code, "```", ""]


def pointwise() -> list[str]:
    text = (ROOT / "kernels/pointwise/functors.h").read_text()
    table = (ROOT / "kernels/pointwise/table.h").read_text()
    declared = (ROOT / "kernels/pointwise/pointwise.h").read_text()
    operators = {name: symbol for symbol, name in re.findall(r"^WARPTAPE_OPERATOR\((\S+), (\w+)\)", declared, re.M)}
    functors = {item.name: item for item in items(text.split("\n"))[1]}
    result = ["### Element by element", "", "[kernels/pointwise/pointwise.h](../../kernels/pointwise/pointwise.h)", "",
              *prose(items(declared.split("\n"))[0]), ""]
    for kind, rows in re.findall(r"#define WARPTAPE_(\w+)\(X\)(.*?)\n(?:\n|//)", table, re.S):
        if kind == "COMPARISONS":
            note = re.search(r"// ---- comparisons -+\n\n((?://.*\n)+)\n", text).group(1)
            result += ["", *prose([uncommented(line) for line in note.strip().split("\n")]), ""]
        for name, functor in re.findall(r"X\((\w+), (\w+)", rows):
            item = functors[functor]
            call = f"{name}(a, b)" if kind != "UNARY_OPS" else f"{name}(x{options(item.body)})"
            if name in operators:
                call += f"`, `a {operators[name]} b"
            if name == "neg":
                call += "`, `-x"
            result.append(f"- `{call}`: " + " ".join(prose(item.comment)) + notes(item.body))
    return result


def losses() -> list[str]:
    path = "kernels/losses/losses.h"
    text = (ROOT / "kernels/losses/functors.h").read_text()
    table = (ROOT / "kernels/losses/table.h").read_text()
    functors = {item.name: item for item in items(text.split("\n"))[1]}
    about = prose(items((ROOT / path).read_text().split("\n"))[0])
    named = header(path)[1][4 + len(about):]
    result = ["### Losses", "", f"[{path}](../../{path})", "", *about, ""]
    for name, functor in re.findall(r"X\((\w+), (\w+)\)", table.split("// X(function, functor)")[1]):
        item = functors[functor]
        result.append(f"- `{name}`{' with `' + options(item.body)[2:] + '`' if options(item.body) else ''}: "
                      + " ".join(prose(item.comment)))
    return result + named


MEMBER = re.compile(r"  (?:double|bool|int64_t) (\w+)(?: = ([^;]+))?;(?:  // (.*))?$")


def members(body: list[str]) -> list[tuple[str, str, str]]:
    return [match.groups() for match in map(MEMBER.match, body) if match]


def options(body: list[str]) -> str:
    named = [f".{name} = {default}" for name, default, _ in members(body) if default]
    required = [name for name, default, _ in members(body) if not default]
    text = "".join(f", {name}" for name in required)
    return (text + (", {" + ", ".join(named) + "}" if named else "")).replace("HUGE_VAL", "infinity")


def notes(body: list[str]) -> str:
    return "".join(f" `{name}`: {note}." for name, _, note in members(body) if note)


def page() -> str:
    ops = re.findall(r"^warptape_add_op\((\w+)", (ROOT / "kernels/CMakeLists.txt").read_text(), re.M)
    layers = re.findall(r'#include "(layers/\w+\.h)"', (ROOT / "warptape.h").read_text())
    shared = sorted({name for op in ops for name in re.findall(
        r'#include "(kernels/(\w+)/\w+\.h)"', (ROOT / f"kernels/{op}/{op}.h").read_text()) if name[1] not in ops})
    options_of_many = [path for path, _ in shared if path != "kernels/pointwise/pointwise.h"]
    lines = ["<!-- Made by tools/make_reference.py of the headers' comments. Edit those. -->", "", "# Reference", "",
             "What the headers of ops and layers promise. An `Operand` is made of a `Tensor`, a `Parameter` or a `Buffer`",
             "where one is passed. Floating is float32, float64 and bfloat16. The last arguments of some functions, by which",
             "errors name the caller's line, are left out here.", ""]
    tables = [("Element by element", pointwise()), ("Losses", losses())]
    for room, first, headers in (("Ops", tables, [f"kernels/{op}/{op}.h" for op in ops]),
                                 ("Types of options", [], options_of_many),
                                 ("Layers and modules", [], layers)):
        parts = [*first, *map(header, headers)]
        titles = [title for title, _ in parts]
        lines += [f"## {room}", "", ", ".join(f"[{title}](#{anchor(title, lines)})" for title in titles), ""]
        for _, part in parts:
            lines += [*part, ""]
    text = "\n".join(line.rstrip() for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def anchor(title: str, before: list[str]) -> str:
    """GitHub's, which counts headings of one name."""
    name = title.lower().replace(" ", "-")
    same = [line for line in before if line.startswith("### ") and line[4:].lower().replace(" ", "-") == name]
    return f"{name}-{len(same)}" if same else name


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        if not PAGE.is_file() or PAGE.read_text() != page():
            print(f"{PAGE.relative_to(ROOT)} is not what the headers say: run tools/make_reference.py")
            return 1
        return 0
    if sys.argv[1:]:
        sys.exit(__doc__)
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
