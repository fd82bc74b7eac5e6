"""Writes docs/numbers.md: every named time, size and count that machine and cloud keep to, with what its comment says.

A deadline that is a thousand times too long breaks nothing in a test that waits for less. The page stands beside the
code, and a test compares both, so that no number changes without somebody who reads its line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "numbers.md"
ROOMS = (
    "wire", "audio", "base", "transport", "machine", "resources", "ota", "release", "agent", "staging",
)  # fmt: skip
# Numbers that are the schema's history, not anybody's present limit.
_LEFT_OUT = "staging/migrations/"
# A default that means none, one, or "the other way" is no limit.
_PLAIN = {0, 1, -1}
_COMMENT_MAX = 160
# Longer ones are tables of data.
_TUPLE_MAX = 4

Number = int | float
_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Pow: "**", ast.LShift: "<<",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """A number, where it is, and what is said of it there."""

    module: str
    name: str
    value: Number
    comment: str


def collect(root: Path = ROOT) -> list[Named]:
    """Return the numbers of all rooms, in the order of modules and lines."""
    sources = {
        str(path.relative_to(root)): path
        for room in ROOMS
        for path in sorted((root / room).rglob("*.py"))
        if not str(path.relative_to(root)).startswith(_LEFT_OUT)
    }
    modules = {name: _Module(path.read_text()) for name, path in sources.items()}
    return [
        Named(module, name, value, comment)
        for module, read in modules.items()
        for name, value, comment in read.numbers(modules)
    ]


class _Module:
    """One file: its constants, and where the names come from that it imports."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._tree = ast.parse(text)
        self._imported = {
            alias.asname or alias.name: (f"{node.module.replace('.', '/')}.py", alias.name)
            for node in ast.walk(self._tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        self._constants = {
            name: value
            for node in self._tree.body
            for name, value in _assigned(node)
        }  # fmt: skip

    def numbers(self, modules: Mapping[str, _Module]) -> Iterator[tuple[str, Number, str]]:
        """Yield the file's constants, and the defaults of its functions and classes."""
        for node in self._tree.body:
            for name, value in _assigned(node):
                if name.isupper():
                    for part, number in self._parts(name, value, modules):
                        yield part, number, self._comment(node.lineno)
        for inner in ast.walk(self._tree):
            if isinstance(inner, ast.ClassDef):
                yield from self._fields(inner, modules)
            elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from self._defaults(inner, modules)

    def _parts(
        self, name: str, value: ast.expr, modules: Mapping[str, _Module]
    ) -> Iterator[tuple[str, Number]]:
        """Yield a constant's number, or those of a short tuple and of a table with names."""
        match value:
            case ast.Tuple(elts=values) if len(values) <= _TUPLE_MAX:
                items = [(f"{name}[{index}]", item) for index, item in enumerate(values)]
            case ast.Dict(keys=keys, values=values):
                named = zip(keys, values, strict=True)
                items = [
                    (f"{name}[{key.value}]", item)
                    for key, item in named
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                ]
            case _:
                number = self.evaluate(value, modules)
                if number is not None:
                    yield name, number
                return
        for part, item in items:
            yield from self._parts(part, item, modules)

    def _fields(
        self, node: ast.ClassDef, modules: Mapping[str, _Module]
    ) -> Iterator[tuple[str, Number, str]]:
        for index, field in enumerate(node.body):
            for name, value in _assigned(field):
                number = self.evaluate(value, modules)
                if number is not None and (number not in _PLAIN or name.isupper()):
                    follows = node.body[index + 1 : index + 2]
                    yield (
                        f"{node.name}.{name}",
                        number,
                        _docstring(follows) or self._comment(field.lineno),
                    )

    def _defaults(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, modules: Mapping[str, _Module]
    ) -> Iterator[tuple[str, Number, str]]:
        places = [*node.args.posonlyargs, *node.args.args]
        told = zip(places[len(places) - len(node.args.defaults) :], node.args.defaults, strict=True)
        for argument, value in (
            *told,
            *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
        ):
            if isinstance(value, ast.Constant | ast.BinOp | ast.UnaryOp):
                number = self.evaluate(value, modules)
                if number is not None and number not in _PLAIN:
                    yield f"{node.name}({argument.arg})", number, ""

    def evaluate(self, node: ast.expr, modules: Mapping[str, _Module]) -> Number | None:
        """Return the number that an expression of numbers and names is, None for anything else."""
        match node:
            case ast.Constant(value=bool()):
                return None
            case ast.Constant(value=int() | float() as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value_of = self.evaluate(operand, modules)
                return None if value_of is None else -value_of
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                sides = self.evaluate(left, modules), self.evaluate(right, modules)
                return None if None in sides else _computed(sides, type(operator))
            case ast.Name(id=name):
                return self._named(name, modules)
        return None

    def _named(self, name: str, modules: Mapping[str, _Module]) -> Number | None:
        if name in self._constants:
            return self.evaluate(self._constants[name], modules)
        module, original = self._imported.get(name, ("", ""))
        return modules[module]._named(original, modules) if module in modules else None  # noqa: SLF001  # its own kind

    def _comment(self, line: int) -> str:
        """Return the comment lines that end above a line, as one."""
        first = line - 1
        while first > 0 and self._lines[first - 1].lstrip().startswith("# "):
            first -= 1
        return " ".join(text.strip().removeprefix("# ") for text in self._lines[first : line - 1])


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a statement gives values to, each with its expression."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            for target, value in zip(names, values, strict=False):
                if isinstance(target, ast.Name):
                    yield target.id, value


def _docstring(follows: list[ast.stmt]) -> str:
    match follows:
        case [ast.Expr(value=ast.Constant(value=str() as text))]:
            return " ".join(text.split())
    return ""


def _computed(sides: tuple[Number | None, Number | None], operator: type[ast.operator]) -> Number:
    left, right = sides
    value: Number = eval(f"{left!r}{_OPERATORS[operator]}{right!r}", {"__builtins__": {}})  # noqa: S307  # two numbers and a sign
    return value


def page(numbers: list[Named]) -> str:
    """Return the page: a table for each room, a row for each number."""
    parts = [_HEAD]
    for room in ROOMS:
        rows = [number for number in numbers if number.module.startswith(f"{room}/")]
        parts.append(f"\n## {room}\n\n| where | number | value | |\n|---|---|---|---|\n")
        parts += [
            f"| {row.module} | `{row.name}` | {show(row.value)} | {_short(row.comment)} |\n"
            for row in rows
        ]
    return "".join(parts)


def show(value: Number) -> str:
    """Return a number as the page has it: 86,400 and not 86400."""
    return f"{value:,}" if isinstance(value, int) or value >= 1000 else f"{value:g}"


def _short(comment: str) -> str:
    text = re.sub(r"\s+", " ", comment).replace("|", "\\|")
    if len(text) <= _COMMENT_MAX:
        return text
    return f"{text[: _COMMENT_MAX - 1].rsplit(' ', 1)[0]} …"


_HEAD = """# Numbers

Every named time, size and count that the machine and the cloud keep to, and the defaults of what they are made of, as
`python -m tools.numbers` reads them from the source; times are seconds where nothing else is said.
`tests/test_numbers.py` compares this page with the source, and what the other pages promise with this one.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(collect()), encoding="utf-8")


if __name__ == "__main__":
    main()
