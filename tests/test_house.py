"""The house rules that a tool can hold: who imports whom (docs/adr/0001), and how long a file is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "wire": set(),
    "audio": set(),
    "base": {"wire"},
    "transport": {"wire"},
    "machine": {"wire", "audio", "base"},
    "resources": {"wire", "machine"},
    "ota": {"wire", "base"},
    "release": {"wire", "base", "ota"},
    "agent": {"wire", "audio", "base", "transport", "machine", "resources", "ota"},
    "staging": {"wire", "audio", "transport", "base"},
}
# Input and output do not belong in wire/, and neither does the clock; ssl only reads certificates.
NOT_IN_WIRE = {"asyncio", "socket", "pathlib", "os", "io", "time", "datetime", "sqlite3", "logging"}
LINES_MAX = 500


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def files_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_each_folder_imports_only_what_it_may(folder: str) -> None:
    files = files_of(folder)
    assert files
    ours = set(MAY_IMPORT) | {"tools", "tests", "benchmarks"}
    for path in files:
        foreign = (imports_of(path) & ours) - MAY_IMPORT[folder] - {folder}
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_wire_has_no_input_output_and_no_clock() -> None:
    for path in files_of("wire"):
        assert not imports_of(path) & NOT_IN_WIRE, path


def test_no_file_is_longer_than_a_reader_bears() -> None:
    folders = [*MAY_IMPORT, "tools", "benchmarks"]
    for path in (path for folder in folders for path in files_of(folder)):
        assert len(path.read_text("utf-8").splitlines()) <= LINES_MAX, path
