"""What the documents name exists: modules and what is in them, files, folders, and the targets of links."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from agent.parser import build_parser
from agent.settings import TABLES, OtaSettings
from staging.commands.cli import SUBJECTS
from tools.architecture import DOCUMENT, document, modules
from tools.syntax import parse

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
FOLDERS = (
    "wire", "audio", "base", "transport", "machine", "resources", "ota", "agent", "release", "staging",
    "cloud", "systemd", "tools", "benchmarks", "tests", "examples", "docs",
)  # fmt: skip
KNOWN = modules(ROOT, FOLDERS)
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
A_FOLDER = rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})"
DOTTED = re.compile(rf"{A_FOLDER}(?:\.\w+)+(?![\w/-])")
RUN = re.compile(r"python3? -m ([\w.]+)")
# A path with a suffix or a closing slash; `ota/update` is the end of a URL.
PATH = re.compile(rf"{A_FOLDER}(?:/[\w.-]+)*/(?:[\w-]+(?:\.[\w-]+)+)?(?![\w{{*])")
PYTHON_FILE = re.compile(r"(?<![\w/.-])[\w-]+\.py\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# What else is written as a folder's name and a dot or slash: files of a machine's or a cloud's own
# folders (agent.sock, ota/task.json), and the members of agent.toml's [ota].
DATA = re.compile(
    r"\w+[./][\w-]+\.(json|log)|\w+\.(json|lock|sock|sqlite|toml|md)|ota/(download|metadata)/"
)
SETTINGS = {f"ota.{field.name}" for field in dataclasses.fields(OtaSettings)}


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text("utf-8"))


def exists(name: str) -> bool:
    """Return whether a dotted name is a module, or a name in one, or in a class of one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        path = KNOWN.get(".".join(parts[:count]))
        if path is not None:
            return defines(parse(path.read_text("utf-8")), parts[count:])
    return Path(ROOT, *parts).is_dir()  # a folder of scripts, which is no package


def defines(node: ast.AST, names: list[str]) -> bool:
    if not names:
        return True
    return any(defines(child, names[1:]) for child in ast.walk(node) if name_of(child) == names[0])


def name_of(node: ast.AST) -> str | None:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return name
        case _:
            return None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_exists(path: Path) -> None:
    text, whole = prose(path), path.read_text("utf-8")
    dotted = {*DOTTED.findall(text)} - SETTINGS
    ours = {name for name in RUN.findall(whole) if name.partition(".")[0] in FOLDERS}
    missing = [
        *(name for name in dotted | ours if not (DATA.fullmatch(name) or exists(name))),
        *(name for name in PATH.findall(text) if not (DATA.fullmatch(name) or is_in_tree(name))),
        *(name for name in PYTHON_FILE.findall(text) if not any(ROOT.glob(f"*/**/{name}"))),
        *(name for name in LINK.findall(whole) if not is_there(path, name)),
    ]
    assert sorted(missing) == []


def is_in_tree(name: str) -> bool:
    return (ROOT / name).exists()


def is_there(document: Path, target: str) -> bool:
    if re.match(r"\w+:|#", target):
        return True
    return (document.parent / unquote(target.partition("#")[0])).exists()


HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """Return a document's anchors, as a forge and `tools.site` make them of its headings."""
    found: set[str] = set()
    for heading in HEADING.findall(prose(document)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        again = next(n for n in itertools.count() if (f"{slug}-{n}" if n else slug) not in found)
        found.add(f"{slug}-{again}" if again else slug)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_into_a_document_find_their_heading(path: Path) -> None:
    for target in LINK.findall(FENCE.sub("", path.read_text("utf-8"))):
        file, _, anchor = target.partition("#")
        if re.match(r"\w+:", target) or not anchor:
            continue
        document = path if not file else path.parent / unquote(file)
        assert unquote(anchor) in anchors(document), f"{target}: no such heading"


def test_each_decision_has_a_number_of_its_own_which_its_heading_says() -> None:
    pages = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    numbers = [page.name[:4] for page in pages]
    assert len(set(numbers)) == len(pages) > 70
    for page, number in zip(pages, numbers, strict=True):
        assert re.match(rf"# (ADR )?0*{int(number)}[:.] ", page.read_text("utf-8")), page.name


def test_anchors_are_those_of_a_forge(tmp_path: Path) -> None:
    document = tmp_path / "d.md"
    document.write_text("# A `b`, *c*: d-e_f\n```\n# no\n```\n## 烧录\n## 烧录\n## [x](y) 1.\n")
    assert anchors(document) == {"a-b-c-d-e_f", "烧录", "烧录-1", "x-1"}


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("wire.codes", True),
        ("wire.codes.Code", True),
        ("wire.codes.Code.CONTENT", True),
        ("wire.codes.Code.CONTENTS", False),
        ("wire.kodes", False),
        ("tools.kill_proof", True),
    ],
)
def test_a_name_is_looked_up_in_the_source(name: str, *, there: bool) -> None:
    assert exists(name) is there


def test_the_table_of_imports_is_what_the_imports_are() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert document(text) == text, "run python -m tools.architecture"


# What systemd and the advisor call, and nobody types.
NOT_TYPED = {"first-start", "advise-helper"}
CODE = re.compile(r"`([^`\n]+)`")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_each_readme_names_every_command_and_every_setting(name: str) -> None:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    code = [
        each
        for line in lines
        if line.startswith("| `")
        for each in CODE.findall(line[: line.index(" |")])
    ]
    words = set(re.findall(r"[\w-]+", " ".join(code)))
    commands = {name for names in SUBJECTS.values() for name in names}
    commands |= set(build_parser()._subparsers._group_actions[0].choices) - NOT_TYPED  # type: ignore[union-attr,arg-type]
    assert commands <= words
    for table, kind in TABLES.items():
        members = {field.name for field in dataclasses.fields(kind)}
        # The first of a row has its table's name before it: `buttons.mute`, `next`.
        assert members <= words, table
        assert any(each.startswith(f"{table}.") for each in code), table
