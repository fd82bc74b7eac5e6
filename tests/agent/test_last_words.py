"""The report of a version that dies on trial before it can log: real processes, then the report's lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.last_words import keep, last_words
from ota.launch import boot
from ota.launch.boot import BootRecord
from ota.launch.launch import ENV_SLOT
from ota.trial.log import read_lines, trial_log_path
from release.build import PACKAGES

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FILE_MAX = 65_536
LINE_MAX = 400

ROOT = Path(__file__).parents[2]


def unfinished(state: Path, *, step: str = "INSTALLED") -> Path:
    """Make a state folder with an update in the given state."""
    (state / "ota").mkdir(parents=True)
    (state / "ota" / "task.json").write_text(json.dumps({"state": step}))
    return state


def run_release(state: Path, broken: str, text: str) -> subprocess.CompletedProcess[str]:
    """Start, from the base, a release on trial, with the text of one of its modules replaced."""
    folder = boot.release_folder(state, "1.1.0")
    for part in PACKAGES:
        shutil.copytree(
            ROOT / part, folder / "lib" / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    (folder / "release.json").write_text("{}")
    (folder / "lib" / broken).write_text(text)
    boot.store(state, BootRecord().activated("1.1.0", "1"))
    environment = {name: value for name, value in os.environ.items() if name != ENV_SLOT}
    words = ["run", "--state", str(state), "--profile", str(state / "profile.json")]
    return subprocess.run(
        [sys.executable, "-P", "-m", "agent.cli", *words],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_release_that_cannot_be_imported_leaves_its_traceback(tmp_path: Path) -> None:
    state = unfinished(tmp_path)
    done = run_release(state, "agent/app.py", "import a_module_that_nobody_ships\n")
    assert done.returncode != 0
    said = "\n".join(read_lines(trial_log_path(state)))
    assert "ModuleNotFoundError: No module named 'a_module_that_nobody_ships'" in said
    assert "agent/app.py" in said


def test_a_release_that_takes_the_configuration_for_bad_leaves_its_reason(tmp_path: Path) -> None:
    state = unfinished(tmp_path)
    (state / "profile.json").write_text("{}")
    done = run_release(state, "agent/py.typed", "")
    assert done.returncode == 78
    (line,) = read_lines(trial_log_path(state))
    assert line == done.stderr.strip()[:LINE_MAX]
    assert line.startswith("story-agent: ")


def test_a_release_that_crashes_in_a_library_leaves_its_stack(tmp_path: Path) -> None:
    state = unfinished(tmp_path)
    crash = "import ctypes\nctypes.string_at(0)\n"
    done = run_release(state, "agent/daemon.py", crash)
    assert done.returncode < 0
    said = "\n".join(read_lines(trial_log_path(state)))
    assert said.startswith("Fatal Python error: Segmentation fault")
    assert "agent/daemon.py" in said


@pytest.mark.parametrize("step", ["SUCCESS", "FAILED"])
def test_nothing_is_kept_without_an_update(tmp_path: Path, step: str) -> None:
    state = unfinished(tmp_path, step=step)
    with pytest.raises(RuntimeError), last_words(state):
        raise RuntimeError
    keep(state, "text")
    assert not trial_log_path(state).exists()


@pytest.mark.parametrize(("early", "kept"), [(0, False), (1, True)])
def test_a_confirmed_release_is_heard_once_it_has_died_early(
    tmp_path: Path, early: int, *, kept: bool
) -> None:
    state = unfinished(tmp_path, step="SUCCESS")
    (state / "slots").mkdir()
    (state / "slots" / "starts.json").write_text(json.dumps({"early": early}))
    keep(state, "text")
    assert trial_log_path(state).exists() is kept


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\0", '{"state": {}}'])
def test_a_damaged_task_is_no_reason_to_fail(tmp_path: Path, text: str) -> None:
    (unfinished(tmp_path) / "ota" / "task.json").write_text(text)
    keep(tmp_path, "text")
    with last_words(tmp_path):
        pass
    keep(tmp_path / "nowhere", "text")


def test_a_system_that_is_started_again_and_again_does_not_fill_the_disk(tmp_path: Path) -> None:
    state = unfinished(tmp_path)
    for _ in range(200):
        keep(state, "x" * 1000)
    assert trial_log_path(state).stat().st_size <= FILE_MAX + 1001
