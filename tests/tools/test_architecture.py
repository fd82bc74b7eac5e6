"""The imports that tools/architecture.py reads, on small trees, and the table that it makes of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import architecture
from tools.architecture import Import, When, circles, graph, modules, reachable, table

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make a tree of packages; each file's text stands under its path."""

    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            (path.parent / "__init__.py").touch()
        return tmp_path

    return make


def test_a_module_is_told_from_a_name_in_one(tree: Tree) -> None:
    root = tree(
        {"wire/a.py": "", "ota/b.py": "import os.path\nfrom wire import a\nfrom wire.a import x"}
    )
    assert graph(root, ("wire", "ota"))["ota.b"] == {
        Import("os.path", When.START),
        Import("wire.a", When.START),
    }


LATE = "def f():\n    if True:\n        from ota.b import x"
METHOD = "class A:\n    async def f(self):\n        import ota.b"
TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ota.b import x"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("try:\n    import ota.b\nexcept ImportError: pass", When.START),
        (LATE, When.LATE),
        (METHOD, When.LATE),
        (TYPES, When.TYPES),
        (TYPES.replace("if ", "if typing."), When.TYPES),
    ],
)
def test_an_import_is_found_wherever_it_stands(tree: Tree, text: str, when: When) -> None:
    root = tree({"ota/a.py": text, "ota/b.py": "import ota.a"})
    edges = graph(root, ("ota",))
    assert Import("ota.b", when) in edges["ota.a"]
    assert circles(edges) == [["ota.a", "ota.b"]]


def test_circles_are_each_named_once_and_a_line_is_none(tree: Tree) -> None:
    root = tree({
        "wire/a.py": "import wire.b",
        "wire/b.py": "import wire.c",
        "wire/c.py": "import wire.a",
        "wire/d.py": "import wire.d",
        "wire/e.py": "import wire.a",
    })  # fmt: skip
    assert circles(graph(root, ("wire",))) == [["wire.a", "wire.b", "wire.c"], ["wire.d"]]


def test_what_is_reached_goes_through_ours_and_ends_at_libraries(tree: Tree) -> None:
    root = tree(
        {"wire/a.py": "import wire.b", "wire/b.py": "import json", "wire/c.py": "import ssl"}
    )
    assert reachable(graph(root, ("wire",)), "wire.a") == {"wire.b", "json"}


def test_a_relative_import_is_refused(tree: Tree) -> None:
    root = tree({"wire/a.py": "from . import b", "wire/b.py": ""})
    with pytest.raises(ValueError, match="line 1: a relative import"):
        graph(root, ("wire",))


def test_the_table_has_a_line_for_each_room_and_marks_what_is_imported_late(tree: Tree) -> None:
    root = tree({
        "wire/a.py": "",
        "ota/top.py": "import ota.fetch.web",
        "ota/fetch/web.py": "import wire.a\ndef f():\n    import urllib3\n    import json",
    })  # fmt: skip
    folders = ("wire", "ota")
    assert table(graph(root, folders), modules(root, folders)).splitlines()[2:] == [
        "| `wire/` | none | none |",
        "| `ota/` | `ota/fetch/` | none |",
        "| `ota/fetch/` | `wire/` | `urllib3`* |",
    ]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "architecture.md"
    path.write_text(f"# Head\n{architecture.BEGIN}\nstale\n{architecture.END}\ntail\n")
    monkeypatch.setattr(architecture, "DOCUMENT", path)
    monkeypatch.setattr(
        architecture, "graph", functools.cache(graph)
    )  # it is the same all the while
    return path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["architecture", *words])
    return architecture.main()


def test_a_stale_document_is_found_and_mended(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = copy.read_text()
    assert run(monkeypatch, "--check") == 1
    assert copy.read_text() == before
    assert run(monkeypatch) == 0
    assert run(monkeypatch, "--check") == 0
    text = copy.read_text()
    assert "stale" not in text
    assert text.startswith("# Head\n")
    assert text.endswith("tail\n")
    assert "\n| `ota/fetch/` | " in text


def test_a_document_without_the_markers_is_left(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy.write_text("# Head\n")
    with pytest.raises(ValueError, match="markers"):
        run(monkeypatch)
    assert copy.read_text() == "# Head\n"
