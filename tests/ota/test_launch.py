"""What starts: the table of decisions, the record on disk, and a real hand-over between processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ota import boot
from ota.boot import BootRecord, BootRecordError, Rollback, Trial, parse_boot
from ota.launch import (
    ENV_BASE,
    ENV_SLOT,
    TRIAL_ATTEMPTS,
    base_command,
    choose_release,
    decide,
    release_environment,
)

ROOT = Path(__file__).parents[2]
TRIAL = Trial("1.1.0", 0, "77")
USED_UP = Trial("1.1.0", TRIAL_ATTEMPTS, "77")
LIBS = {"1.0.5": Path("/r/1.0.5/lib"), "1.1.0": Path("/r/1.1.0/lib")}

TABLE = {
    "nothing was ever installed: the base": (BootRecord(), "all", None, None),
    "a confirmed release runs": (BootRecord("1.1.0", "1.0.5"), "all", "1.1.0", None),
    "a release on trial runs": (BootRecord("1.1.0", "1.0.5", TRIAL), "all", "1.1.0", None),
    "a trial used up goes back to the previous release": (
        BootRecord("1.1.0", "1.0.5", USED_UP),
        "all",
        "1.0.5",
        "never confirmed",
    ),
    "a trial used up goes back to the base": (
        BootRecord("1.1.0", None, USED_UP),
        "all",
        None,
        "never confirmed",
    ),
    "a missing release goes back": (BootRecord("1.2.0", "1.0.5"), "all", "1.0.5", "missing"),
    "both missing: the base": (BootRecord("1.1.0", "1.0.5", TRIAL), "none", None, "missing"),
}


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_decision(case: str) -> None:
    record, there, version, reason = TABLE[case]
    find: Callable[[str], Path | None] = LIBS.get if there == "all" else lambda _version: None
    decision = decide(record, find)
    assert decision.version == version
    assert (decision.lib is None) == (version is None)
    if reason is None:
        assert decision.note is None
        assert decision.record == record.attempted()
    else:
        assert reason in (decision.note or "")
        rollback = decision.record.last_rollback
        assert rollback is not None
        assert (rollback.version, reason in rollback.reason) == (record.active, True)
        assert decision.record.active == version
        assert decision.record.trial is None


def test_of_two_given_up_the_newest_is_remembered_with_its_update() -> None:
    decision = decide(BootRecord("1.1.0", "1.0.5", TRIAL), lambda _version: None)
    assert decision.record.last_rollback == Rollback("1.1.0", "its folder is missing", "77")


def test_activating_the_same_again_keeps_previous_and_attempts() -> None:
    record = BootRecord("1.0.5").activated("1.1.0", "77").attempted()
    assert record.activated("1.1.0", "77") == record
    assert (record.previous, record.trial) == ("1.0.5", Trial("1.1.0", 1, "77"))


def make_release(state: Path, version: str) -> Path:
    folder = boot.release_folder(state, version)
    (folder / "lib").mkdir(parents=True)
    (folder / "release.json").write_text(json.dumps({"version": version}))
    return folder


def test_each_start_of_a_trial_is_counted_until_it_goes_back(tmp_path: Path) -> None:
    make_release(tmp_path, "1.1.0")
    boot.store(tmp_path, BootRecord().activated("1.1.0", "77"))
    for attempt in range(TRIAL_ATTEMPTS):
        assert choose_release(tmp_path).version == "1.1.0"
        trial = boot.load(tmp_path).trial
        assert trial is not None
        assert trial.attempts == attempt + 1
    decision = choose_release(tmp_path)
    assert decision.version is None
    assert "3 times" in (decision.note or "")
    assert not (tmp_path / "slots/current").is_symlink()
    assert choose_release(tmp_path).note is None


def test_current_follows_the_record_after_a_crash_between_them(tmp_path: Path) -> None:
    make_release(tmp_path, "1.1.0")
    boot.store(tmp_path, BootRecord("1.1.0"))
    (tmp_path / "slots/current").unlink()
    assert choose_release(tmp_path).version == "1.1.0"
    assert (tmp_path / "slots/current").readlink() == Path("releases/1.1.0")


RECORD = '{"active": "1.1", "previous": null, "trial": TRIAL, "last_rollback": null}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"active": "../../etc", "previous": null, "trial": null, "last_rollback": null}',
        '{"active": 1, "previous": null, "trial": null, "last_rollback": null}',
        RECORD.replace("TRIAL", '{"version": "1.2", "attempts": 0, "transaction": "7"}'),
        RECORD.replace("TRIAL", '{"version": "1.1", "attempts": -1, "transaction": "7"}'),
        RECORD.replace("TRIAL", "5"),
        "[" * 100_000,
    ],
)
def test_a_damaged_record_means_the_base_and_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(BootRecordError, match=r"boot\.json"):
        parse_boot(text)
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots/boot.json").write_text(text)
    decision = choose_release(tmp_path)
    assert decision.version is None
    assert "boot.json" in (decision.note or "")
    assert (tmp_path / "slots/boot.json").read_text() == text


def test_a_trial_that_cannot_be_counted_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_release(tmp_path, "1.1.0")
    boot.store(tmp_path, BootRecord().activated("1.1.0", "77"))

    def full(_state: Path, _record: BootRecord) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(boot, "store", full)
    decision = choose_release(tmp_path)
    assert decision.version is None
    assert "No space" in (decision.note or "")


def test_the_environment_leads_there_and_back() -> None:
    base = {"PYTHONPATH": "/base", "HOME": "/h"}
    there = release_environment(base, "1.1.0", Path("/r/lib"))
    assert (there["PYTHONPATH"], there[ENV_SLOT], there["HOME"]) == ("/r/lib", "1.1.0", "/h")
    assert base_command(there) == (sys.executable, base)


def test_the_base_without_a_python_path_gets_none_back() -> None:
    there = release_environment({"HOME": "/h"}, "1.1.0", Path("/r/lib"))
    assert base_command(there) == (sys.executable, {"HOME": "/h"})


def test_a_foreign_value_of_our_variable_is_not_followed() -> None:
    assert base_command({ENV_BASE: "nonsense"}) == (sys.executable, {})


CLI = """
import os, sys
sys.stdout.write(f"{__file__} {os.environ.get('STORY_AGENT_SLOT')} {sys.argv[1:]}\\n")
sys.stdout.flush()
if os.environ.get("STORY_AGENT_SLOT"):
    sys.path.insert(0, os.environ["TEST_ROOT"])
    from ota.launch import restart
    restart(["--back"])
"""


def test_base_release_and_back_in_real_processes(tmp_path: Path) -> None:
    lib = make_release(tmp_path, "1.1.0") / "lib"
    base = tmp_path / "base"
    for folder in (lib, base):
        (folder / "agent").mkdir(parents=True)
        (folder / "agent/__init__.py").touch()
        (folder / "agent/cli.py").write_text(CLI)
    boot.store(tmp_path, BootRecord("1.1.0"))
    code = "import sys; from pathlib import Path; from ota.launch import enter_active_release as e;"
    code += "e(Path(sys.argv[1]), sys.argv[2:])"
    env = os.environ | {"PYTHONPATH": f"{base}:{ROOT}", "TEST_ROOT": str(ROOT)}
    env.pop(ENV_SLOT, None)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path), "run", "--x"],
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"{lib}/agent/cli.py 1.1.0 ['run', '--x']",
        f"{base}/agent/cli.py None ['--back']",
    ]
    assert not done.stderr


def test_the_launcher_loads_nothing_but_the_standard_library() -> None:
    code = "import sys, ota.launch\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.partition(".")[0] in {"ota", "wire"}}
    assert ours == {"ota", "ota.boot", "ota.files", "ota.launch"}
    assert not loaded & {"asyncio", "logging", "urllib3", "tuf", "ssl", "subprocess"}
