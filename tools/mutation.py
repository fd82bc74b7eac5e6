"""Changes the source in one place at a time and looks whether a test fails: `make mutation`.

A suite that passes with a removed fsync, a deadline a thousand times too long or a turned condition proves nothing about
them. Each mutant is run by the tests of its own module, in a copy of the tree; docs/mutation.md has what survived.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What is mutated, and the tests that should notice.
SUBJECTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "framing": (("wire/framing.py",), ("tests/wire/test_framing.py",)),
    "files": (("base/files.py",), ("tests/base/test_files.py",)),
    "dispatch": (("resources/dispatch.py",), ("tests/resources/test_dispatch.py", "tests/agent/test_deadlines.py")),
    "outbox": (("agent/link/outbox_file.py", "agent/link/outbox.py"), (
        "tests/agent/link/test_outbox.py", "tests/agent/link/test_outbox_lanes.py",
        "tests/agent/link/test_outbox_damage.py", "tests/agent/link/test_outbox_disk.py",
    )),
    "task": (("ota/order/task.py", "wire/ota.py"), ("tests/ota/order", "tests/wire/test_ota.py")),
    "trust": (("ota/trust/terms.py", "ota/trust/client.py"), ("tests/ota/trust",)),
    "launch": (("ota/launch/boot.py", "ota/launch/launch.py"), ("tests/ota/launch",)),
    "gateway": (("staging/gateway/gateway.py", "staging/gateway/session.py"), (
        "tests/staging/gateway/test_gateway.py", "tests/staging/gateway/test_session.py",
        "tests/staging/gateway/test_deadlines.py", "tests/staging/gateway/test_control.py",
    )),
}  # fmt: skip
COPIED = (
    "wire", "audio", "base", "transport", "machine", "resources", "ota", "release", "agent", "staging", "cloud", "tools",
    "tests", "docs", "examples", "systemd", "pyproject.toml", "README.md", "README.zh-CN.md", "Makefile",
)  # fmt: skip
# Seconds of one run of tests; a mutant that hangs is noticed too.
PATIENCE = 300.0

_TURNED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
# Times and sizes are tried a thousand times as large: a limit that nobody meets.
_FACTOR = 1000


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place: file, line, what was done there, and the changed source."""

    file: str
    line: int
    change: str
    source: str


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    tree = ast.parse(source)
    for index, node in enumerate(ast.walk(tree)):
        for change in _changes(node):
            changed = copy.deepcopy(tree)
            target = next(one for at, one in enumerate(ast.walk(changed)) if at == index)
            _apply(changed, target, change)
            yield Mutant(
                file,
                getattr(node, "lineno", 0),
                change,
                ast.unparse(ast.fix_missing_locations(changed)),
            )


def _changes(node: ast.AST) -> list[str]:
    """Return what can be done to a node, in words."""
    found: list[str] = []
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _TURNED:
            found = [f"{type(operator).__name__} becomes {_TURNED[type(operator)].__name__}"]
        case ast.If() | ast.While():
            found = ["the condition is turned"]
        case ast.BoolOp(op=operator):
            found = ["and becomes or" if isinstance(operator, ast.And) else "or becomes and"]
        case ast.Raise():
            found = ["nothing is raised"]
        case ast.Expr(value=ast.Call() | ast.Await()):
            found = ["the call is left out"]
        case ast.With() | ast.AsyncWith() if all(item.optional_vars is None for item in node.items):
            found = ["the block has no context"]
        case ast.Assign(
            targets=[ast.Name(id=name)], value=ast.Constant(value=int() | float() as value)
        ) if name.isupper() and not isinstance(value, bool):
            found = [f"{name} is {_FACTOR} times as large"]
    return found


def _apply(tree: ast.Module, node: ast.AST, change: str) -> None:
    match node:
        case ast.Compare():
            node.ops = [_TURNED[type(node.ops[0])]()]
        case ast.If() | ast.While():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.Raise() | ast.Expr():
            _replace(tree, node, [ast.Pass()])
        case ast.With() | ast.AsyncWith():
            _replace(tree, node, node.body)
        case ast.Assign(value=ast.Constant(value=value)) if isinstance(value, int | float):
            node.value = ast.Constant(value * _FACTOR)
        case _:
            raise ValueError(change)


def _replace(tree: ast.Module, old: ast.AST, new: list[ast.stmt]) -> None:
    for parent in ast.walk(tree):
        for _name, children in ast.iter_fields(parent):
            if isinstance(children, list) and old in children:
                at = children.index(old)
                children[at : at + 1] = new
                return


class Copy:
    """A copy of the tree, in which one file at a time is changed."""

    def __init__(self, folder: Path) -> None:
        """Copy what the tests need."""
        self._folder = folder
        ignored = shutil.ignore_patterns("__pycache__", ".git")
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=ignored, symlinks=True)
            else:
                shutil.copy(source, folder / name)

    def passes(self, tests: tuple[str, ...]) -> bool:
        """Return whether the tests pass within their time."""
        words = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
            *tests,
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": str(self._folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            done = subprocess.run(
                words,
                cwd=self._folder,
                env=environment,
                capture_output=True,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def passes_with(self, mutant: Mutant, tests: tuple[str, ...]) -> bool:
        """Return whether the tests pass though the source was changed."""
        path = self._folder / mutant.file
        before = path.read_bytes()
        path.write_text(mutant.source, encoding="utf-8")
        try:
            return self.passes(tests)
        finally:
            path.write_bytes(before)


def main() -> int:
    """Run the sample; return 0 where nine of ten mutants were noticed, in each subject."""
    parser = argparse.ArgumentParser(
        prog="make mutation", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--only", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--each", type=int, default=20, help="mutants of each subject; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="a file for the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            _row(Copy(Path(folder) / name), name, options.each, options.seed)
            for name in options.only
        ]
    table = _table(rows)
    if options.write is not None:
        options.write.write_text(table, encoding="utf-8")
    sys.stdout.write(table)
    return 0 if all(10 * len(row.survived) <= row.tried for row in rows) else 1


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a subject's mutants."""

    name: str
    possible: int
    tried: int
    survived: list[Mutant]


def _row(tree: Copy, name: str, each: int, seed: int) -> Row:
    files, tests = SUBJECTS[name]
    if not tree.passes(tests):
        raise SystemExit(f"{name}: its tests fail without a mutant: {' '.join(tests)}")
    every = [
        mutant
        for file in files
        for mutant in mutants(file, (ROOT / file).read_text(encoding="utf-8"))
    ]
    chosen = random.Random(seed).sample(every, min(each or len(every), len(every)))  # noqa: S311  # a sample
    survived = []
    for number, mutant in enumerate(chosen, 1):
        lives = tree.passes_with(mutant, tests)
        if lives:
            survived.append(mutant)
        what = "survived" if lives else "noticed"
        sys.stderr.write(
            f"{name} {number}/{len(chosen)} {mutant.file}:{mutant.line} {mutant.change}: {what}\n"
        )
    return Row(name, len(every), len(chosen), survived)


def _table(rows: list[Row]) -> str:
    lines = [
        "| subject | mutants there are | tried | noticed | survived |\n|---|---|---|---|---|\n"
    ]
    for row in rows:
        places = "; ".join(
            f"{mutant.file}:{mutant.line} {mutant.change}" for mutant in row.survived
        )
        share = 100 * (row.tried - len(row.survived)) / max(1, row.tried)
        lines.append(f"| {row.name} | {row.possible} | {row.tried} | {share:.0f} % | {places} |\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
