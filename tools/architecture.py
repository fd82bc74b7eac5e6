"""Who imports whom: reads the imports of the product's folders, and keeps the table of docs/architecture.md.

``python -m tools.architecture`` writes the table between its two markers; ``--check`` only compares, and
exits with 1 if the document is stale. `tests/test_house.py` reads the same imports to hold the rules of
docs/adr/0001-the-house.md.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tools.syntax import parse

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- imports: begin -->", "<!-- imports: end -->"
# From the bottom up: a folder imports only folders that stand before it.
FOLDERS = (
    "wire", "audio", "base", "transport", "machine", "resources", "ota", "agent", "release", "staging",
)  # fmt: skip
# The folders whose rooms have a line of their own in the table.
WITH_ROOMS = ("resources", "ota", "agent", "staging")


class When(Enum):
    """When Python carries an import out."""

    START = "when the module is imported"
    LATE = "inside a function"
    TYPES = "never: only type checkers read it"


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's target, as a dotted name; a name out of a module counts as the module."""

    target: str
    when: When


def modules(root: Path = ROOT, folders: tuple[str, ...] = FOLDERS) -> dict[str, Path]:
    """Return each module's dotted name and file, sorted; a package has its ``__init__.py``."""
    paths = (path for folder in folders for path in sorted((root / folder).rglob("*.py")))
    return {_dotted(path.relative_to(root)): path for path in paths}


def imports(path: Path, known: Mapping[str, object]) -> frozenset[Import]:
    """Return what a file imports; ``known``: our modules, to tell a module from a name in a package.

    Raises:
        ValueError: a relative import, of which the project has none.
    """
    tree = parse(path.read_text("utf-8"), str(path))
    return frozenset(
        Import(target, when)
        for node, when in _statements(tree, When.START)
        for target in _targets(node, known)
    )


def graph(root: Path = ROOT, folders: tuple[str, ...] = FOLDERS) -> dict[str, frozenset[Import]]:
    """Return each module's imports."""
    known = modules(root, folders)
    return {name: imports(path, known) for name, path in known.items()}


def circles(edges: Mapping[str, frozenset[Import]]) -> list[list[str]]:
    """Return each set of modules that import each other in a circle, sorted; [] if there is none.

    An import inside a function counts, and so does one for type checkers: both would only hide that
    two modules are one. A package counts only where it is named itself: Python runs its
    ``__init__.py`` before each module in it, but a module takes nothing from there unasked.
    """
    reach = {name: reachable(edges, name) for name in edges}
    found = {
        tuple(sorted(other for other in reach[name] if name in reach.get(other, ())))
        for name in edges
        if name in reach[name]
    }
    return [list(circle) for circle in sorted(found)]


def reachable(edges: Mapping[str, frozenset[Import]], start: str) -> set[str]:
    """Return all names that ``start`` imports, directly or through ours; itself only by a circle."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for target in {item.target for item in edges.get(ahead.pop(), ())} - seen:
            seen.add(target)
            ahead.append(target)
    return seen


def room(module: str, known: Mapping[str, Path]) -> str:
    """Return the line of the table that a module belongs to, such as ``ota/fetch/``."""
    parts = module.split(".")
    if parts[0] not in WITH_ROOMS:
        return f"{parts[0]}/"
    in_room = len(parts) > 2 or (len(parts) == 2 and known[module].name == "__init__.py")
    return "/".join(parts[: 2 if in_room else 1]) + "/"


def table(edges: Mapping[str, frozenset[Import]], known: Mapping[str, Path]) -> str:
    """Return the table in Markdown: each room, and what its modules import."""
    rows: dict[str, list[str]] = {}
    for name in known:
        rows.setdefault(room(name, known), []).append(name)
    lines = ["| room | imports of ours | libraries |", "|---|---|---|"]
    for where, names in rows.items():
        found = {item for name in names for item in edges[name]}
        ours = _marked({Import(room(i.target, known), i.when) for i in found if i.target in known})
        ours.pop(where, None)
        libraries = _marked(
            {Import(top, i.when) for i in found if (top := _top(i.target)) not in _NOT_LIBRARIES}
        )
        cells = (f"`{where}`", _cell(ours), _cell(libraries))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def document(text: str) -> str:
    """Return the document with the table between its markers; raises ValueError without markers."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    if not (head and tail):
        raise ValueError(f"{DOCUMENT.name}: the markers {BEGIN} and {END} are missing")
    return f"{head}{BEGIN}\n{table(graph(), modules())}\n{END}{tail}"


def main() -> int:
    """Write or compare the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.architecture", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 if the table is stale")
    check = parser.parse_args().check
    before = DOCUMENT.read_text("utf-8")
    after = document(before)
    if check and before != after:
        print("docs/architecture.md is stale: run python -m tools.architecture", file=sys.stderr)
        return 1
    DOCUMENT.write_text(after, "utf-8")
    return 0


_NOT_LIBRARIES = {*sys.stdlib_module_names, *FOLDERS}


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _statements(node: ast.AST, when: When) -> Iterator[tuple[ast.Import | ast.ImportFrom, When]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, when
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(child, When.LATE)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            yield from _statements(child, When.TYPES)
        else:
            yield from _statements(child, when)


def _targets(node: ast.Import | ast.ImportFrom, known: Mapping[str, object]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    if node.level or node.module is None:
        raise ValueError(f"line {node.lineno}: a relative import")
    for alias in node.names:
        below = f"{node.module}.{alias.name}"
        yield below if below in known else node.module


def _top(name: str) -> str:
    return name.partition(".")[0]


def _marked(found: set[Import]) -> dict[str, bool]:
    """Return each target, and whether it is imported late or for types only."""
    at_start = {item.target for item in found if item.when is When.START}
    return {item.target: item.target not in at_start for item in found}


def _cell(targets: Mapping[str, bool]) -> str:
    order = [f"{folder}/" for folder in FOLDERS]

    def place(target: str) -> tuple[int, str]:
        top = target.partition("/")[0] + "/"
        return (order.index(top) if top in order else 0, target)

    shown = (f"`{name}`{'*' if targets[name] else ''}" for name in sorted(targets, key=place))
    return ", ".join(shown) or "none"


if __name__ == "__main__":
    sys.exit(main())
