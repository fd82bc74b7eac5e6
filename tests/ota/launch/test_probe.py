"""What a release says that cannot be imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ota.install.slots import SlotInstaller
from ota.launch import boot, probe
from ota.launch.boot import BootRecord, Rollback
from ota.launch.launch import ENV_BASE
from ota.launch.probe import examine


def make(lib: Path, cli: str = "", daemon: str = "") -> Path:
    (lib / "agent").mkdir(parents=True)
    (lib / "agent/__init__.py").touch()
    (lib / "agent/cli.py").write_text(f"{cli}\nmain = 1\n")
    (lib / "agent/daemon.py").write_text(f"{daemon}\nrun_daemon = 1\n")
    return lib


@pytest.mark.parametrize(
    ("cli", "daemon", "said"),
    [
        ("def broken(", "", "SyntaxError"),
        ("import not_there_at_all", "", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("", "from agent.cli import nothing", "ImportError: cannot import name 'nothing'"),
        ("import sys; sys.exit('no')", "", "ends with 1"),
    ],
)
def test_the_traceback_is_returned(tmp_path: Path, cli: str, daemon: str, said: str) -> None:
    lines = examine(make(tmp_path / "lib", cli, daemon), "1.1.0")
    assert lines[0].startswith("importing version 1.1.0 ends with ")
    assert said in "\n".join(lines)
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_emptied_module_is_told_though_it_can_be_imported(tmp_path: Path) -> None:
    lib = make(tmp_path / "lib")
    (lib / "agent/cli.py").write_bytes(b"")
    assert examine(lib, "1.1.0")[-1].endswith("module 'agent.cli' has no attribute 'main'")


def test_one_that_can_be_imported_says_nothing(tmp_path: Path) -> None:
    assert examine(make(tmp_path / "lib"), "1.1.0") == []


def test_one_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PROBE_SECONDS", 0.01)
    lib = make(tmp_path / "lib", "import threading; threading.Event().wait()")
    assert examine(lib, "1.1.0") == ["importing version 1.1.0 does not end within 0 s"]


def test_a_base_without_its_interpreter_says_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"executable": str(tmp_path / "python"), "pythonpath": None}
    monkeypatch.setenv(ENV_BASE, json.dumps(gone))
    (said,) = examine(make(tmp_path / "lib"), "1.1.0")
    assert said.startswith("version 1.1.0 cannot be imported to see why: ")
    assert str(tmp_path / "python") in said


@pytest.mark.parametrize("damaged", [True, False])
def test_the_installer_runs_nothing_that_was_changed(tmp_path: Path, *, damaged: bool) -> None:
    make(boot.release_folder(tmp_path, "1.1.0") / "lib", "import not_there_at_all")
    rollback = Rollback("1.1.0", "why", "77", damaged)
    boot.store(tmp_path, BootRecord(None, last_rollback=rollback))
    assert (SlotInstaller(tmp_path).examine("1.1.0") == []) is damaged
    assert SlotInstaller(tmp_path).examine("9.9.9") == []
