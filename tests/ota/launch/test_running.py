"""Which version a process says that it runs."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from ota.launch import running as release

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SBOM_MAX = 1_048_576


def test_running_release(tmp_path: Path) -> None:
    code = tmp_path / "1.1.0/lib/ota/launch/running.py"
    code.parent.mkdir(parents=True)
    (tmp_path / "1.1.0/release.json").write_text('{"version": "1.1.0"}')
    running = release.running_release(code)
    assert (running.version, running.source) == ("1.1.0", "slot")
    assert release.running_release().source in {"package", "checkout"}


def test_running_release_of_a_checkout_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "DISTRIBUTION", "nosuch-distribution")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "3.2.1"\n')
    running = release.running_release(tmp_path / "ota/launch/running.py")
    assert (running.version, running.source) == ("3.2.1", "checkout")
    (tmp_path / "pyproject.toml").unlink()
    with pytest.raises(RuntimeError, match="no version"):
        release.running_release(tmp_path / "ota/launch/running.py")


def test_running_release_of_an_installed_package(tmp_path: Path) -> None:
    (tmp_path / "story_agent-2.0.1.dist-info").mkdir()
    running = release.running_release(tmp_path / "ota/launch/running.py")
    assert (running.version, running.source) == ("2.0.1", "package")


def test_a_checkout_says_its_own_version(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "3.2.1"\n')
    running = release.running_release(tmp_path / "ota/launch/running.py")
    assert (running.version, running.source) == ("3.2.1", "checkout")
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert release.running_version() == project["version"]


def lay(folder: Path, data: bytes) -> str:
    file = folder / release.SBOM_NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def test_the_lists_of_parts_of_a_release_and_of_the_base_behind_it(tmp_path: Path) -> None:
    running = release.RunningRelease("1.1.0", "slot", tmp_path / "1.1.0")
    search = ["", str(tmp_path / "1.1.0/lib"), str(tmp_path / "none"), str(tmp_path / "base")]
    assert release.sbom_digests(running, search) == ("", "")
    base = lay(tmp_path / "base", b"base")
    assert release.sbom_digests(running, search) == ("", base), "a release of before"
    own = lay(tmp_path / "1.1.0/lib", b"own")
    assert release.sbom_digests(running, search) == (own, base)
    installed = release.RunningRelease("1.0.0", "package", tmp_path / "base")
    assert release.sbom_digests(installed, search) == (base, "")
    assert release.sbom_digests() == ("", ""), "a checkout has none"


def test_what_is_no_list_of_parts_has_no_digest(tmp_path: Path) -> None:
    running = release.RunningRelease("1.0.0", "package", tmp_path)
    lay(tmp_path, b" " * (SBOM_MAX + 1))
    assert release.sbom_digests(running) == ("", "")
    (tmp_path / release.SBOM_NAME).unlink()
    (tmp_path / release.SBOM_NAME).mkdir()
    assert release.sbom_digests(running) == ("", "")
