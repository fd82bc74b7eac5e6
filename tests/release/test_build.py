"""The package of a release: what is in it, what never is, and when it was built."""

from __future__ import annotations

import ast
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ota.install.package import ReleaseInfo
from release.build import PACKAGES as BUILT_PACKAGES
from release.build import _write
from tests.release.tool import BUILD, PACKAGES, Tool
from tools.syntax import parse

NEVER_IMPORTED = {"release", "staging", "pkcs11"}
# What makes or opens a private key, in cryptography and securesystemslib. Verifying needs none of them.
NEVER_NAMED = (
    "pkcs11",
    "hsm",
    "cryptosigner",
    "private_key",
    "privatekey",
    "story-release",
    "story-cloud",
)
# The certificate of a machine's own HTTPS, which signs no release.
ITS_OWN = {"lib/agent/local/lan.py": {"private_key"}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a package that the real command builds from this tree."""
    folder = tmp_path_factory.mktemp("package")
    Tool(folder).json("build", "--version", "1.1.0", "--output", "p.tar.gz", "--support-end", "2039-06-30")  # fmt: skip
    found = {}
    with tarfile.open(folder / "p.tar.gz") as tar:
        for member in tar:
            opened = tar.extractfile(member)
            found[member.name] = opened.read() if opened else b""
    return found


def imports(source: bytes) -> Iterator[str]:
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_a_package_has_the_folders_of_a_device_and_no_others(files: dict[str, bytes]) -> None:
    assert BUILT_PACKAGES == PACKAGES
    assert {name.split("/")[1] for name in files if name.startswith("lib/")} == set(PACKAGES)
    assert [name for name in files if not name.startswith("lib/")] == ["release.json"]
    assert "lib/agent/cli.py" in files


def test_a_package_has_the_day_that_was_set_for_the_supports_end(files: dict[str, bytes]) -> None:
    assert b'\nSUPPORT_END: Final = "2039-06-30"\n' in files["lib/wire/support.py"]


def test_a_package_has_nothing_that_signs(files: dict[str, bytes]) -> None:
    assert sum(name.endswith(".py") for name in files) > 100
    for name, data in files.items():
        if name.endswith(".py"):
            assert not NEVER_IMPORTED & set(imports(data)), name
        lower = data.decode(errors="replace").lower()
        named = {word for word in NEVER_NAMED if word in lower}
        assert named == ITS_OWN.get(name, set()), name


def test_a_build_date_that_is_none(tool: Tool) -> None:
    for value in ("tomorrow", "²", "9" * 5000):
        done = tool(*BUILD, "o", SOURCE_DATE_EPOCH=value)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "SOURCE_DATE_EPOCH: got" in done.stderr
    done = tool(*BUILD, "o", SUPPORT_END="soon")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert 'SUPPORT_END: got "soon", expected a day such as' in done.stderr
    assert not (tool.folder / "o").exists()


def test_a_disk_without_room_names_the_package_and_leaves_the_old_one(tmp_path: Path) -> None:
    """The system's error of a write has no name."""
    output = tmp_path / "package.tar.gz"
    output.write_bytes(b"the one before")
    source = tmp_path / "source.py"
    source.write_bytes(b"x = 1\n")
    full = output.with_name(f".{output.name}.tmp")
    full.symlink_to("/dev/full")
    info = ReleaseInfo("story-machine", "1.2.0", ">=3.11", (), (), 6, 1)
    with pytest.raises(OSError, match="No space left on device") as caught:
        _write(output, info, [("source.py", source)])
    assert caught.value.filename == str(output)
    assert output.read_bytes() == b"the one before"
    assert not full.is_symlink()
