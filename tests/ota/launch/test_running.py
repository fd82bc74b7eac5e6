"""Which version a process says that it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ota.launch import running as release


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
