"""The choice of the version to start: the decision table, the record on disk, and a real exec."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from ota.launch import boot, launch
from ota.launch.boot import BootRecord, BootRecordError, Rollback, Trial, parse_boot
from ota.launch.launch import (
    ENV_BASE,
    ENV_SLOT,
    base_command,
    base_version,
    choose_release,
    decide,
    enter_active_release,
    release_environment,
    restart,
)

ROOT = Path(__file__).parents[3]
OURS = {"wire", "audio", "base", "transport", "machine", "resources", "ota", "agent"}
TRIAL = Trial("1.1.0", 0, "77")
USED_UP = Trial("1.1.0", 3, "77")
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


OVER_BASE = BootRecord("1.1.0", "1.0.5", base="1.0.0")
DOWNGRADED = BootRecord("1.1.0", "1.3.0", base="2.0.0")
RAN_ONCE = Trial("1.1.0", 1, "77")
DISPLACING: dict[str, tuple[BootRecord, str | None, str | None]] = {
    # the record, the base install's version, what runs
    "the base that it was installed over": (OVER_BASE, "1.0.0", "1.1.0"),
    "a newer base that is older than the release": (OVER_BASE, "1.0.9", "1.1.0"),
    "a newer base of the same version": (OVER_BASE, "1.1", "1.1.0"),
    "a base that is newer than the release": (OVER_BASE, "1.10", None),
    "an older base that came later": (OVER_BASE, "0.9", "1.1.0"),
    "it is not known what base this is": (OVER_BASE, None, "1.1.0"),
    "it is not known over which base it was installed": (BootRecord("1.1.0"), "1.2", None),
    "a permitted downgrade stays": (DOWNGRADED, "2.0.0", "1.1.0"),
    "a permitted downgrade, then a newer base": (DOWNGRADED, "2.0.1", None),
    "a trial of a newer version": (BootRecord("1.1.0", None, TRIAL), "1.0.9", "1.1.0"),
    "a trial of a permitted downgrade": (BootRecord("1.1.0", None, TRIAL), "2.0", "1.1.0"),
    "a base that comes during the trial": (
        BootRecord("1.1.0", None, RAN_ONCE, base="1.0.0"),
        "2.0",
        "1.1.0",
    ),
    "a trial used up, and the previous one older than the base": (
        BootRecord("1.1.0", "1.0.5", USED_UP, base="1.0.0"),
        "1.0.6",
        None,
    ),
    "the base runs already": (BootRecord(None, None, base="1.0.0"), "2.0", None),
}


@pytest.mark.parametrize("case", DISPLACING, ids=str)
def test_a_newer_base(case: str) -> None:
    record, base, version = DISPLACING[case]
    decision = decide(record, LIBS.get, base)
    assert decision.version == version
    assert decision.record.active == version
    displaced = version is None and record.active is not None
    assert (f"the base install {base} came after release" in (decision.note or "")) is displaced
    if displaced:
        assert decision.record.trial is None
        assert decide(decision.record, LIBS.get, base).note is None
        assert (decision.record.last_rollback is None) is (record.trial is None)
    elif record.trial == TRIAL:
        # A confirmed release runs instead of the base at its trial, but not instead of a newer base.
        confirmed = decision.record.confirmed()
        assert decide(confirmed, LIBS.get, base).version == version
        assert decide(confirmed, LIBS.get, "9.0").version is None
    elif record.trial == RAN_ONCE:
        assert decide(decision.record.confirmed(), LIBS.get, base).version is None


@pytest.mark.parametrize(
    ("names", "version"),
    [
        (["story_agent-1.2.0.dist-info", "tuf-6.0.dist-info", "agent"], "1.2.0"),
        (["story_agent-1.2.0.dist-info", "story_agent-1.1.0.dist-info"], None),
        (["story_agent-1.2.0rc1.dist-info"], None),
        (["story_agent_plugin-1.2.0.dist-info", "story_agent.egg-info"], None),
        ([], None),
    ],
)
def test_the_version_of_the_base(tmp_path: Path, names: list[str], version: str | None) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    assert base_version(tmp_path) == version
    assert base_version(tmp_path / "none") is None


def test_a_newer_base_takes_over_once_and_says_so(tmp_path: Path) -> None:
    make_release(tmp_path, "1.1.0")
    boot.store(tmp_path, BootRecord("1.1.0", base="1.0.0"))
    decision = choose_release(tmp_path, lambda: "1.2.0")
    assert (decision.version, decision.note) == (
        None,
        "the base install 1.2.0 came after release 1.1.0 and is newer: it runs",
    )
    assert boot.load(tmp_path) == BootRecord(base="1.2.0")
    assert not (tmp_path / "slots/current").is_symlink()
    assert choose_release(tmp_path, lambda: "1.2.0").note is None


def test_of_two_given_up_the_newest_is_remembered_with_its_update() -> None:
    decision = decide(BootRecord("1.1.0", "1.0.5", TRIAL), lambda _version: None)
    assert decision.record.last_rollback == Rollback(
        "1.1.0", "its folder is missing", "77", damaged=True
    )


def test_a_folder_in_the_place_of_current_undoes_no_switch(tmp_path: Path) -> None:
    """As after restoring a backup without its links."""
    (tmp_path / "slots/current/lib").mkdir(parents=True)
    make_release(tmp_path, "1.1.0")
    boot.store(tmp_path, BootRecord().activated("1.1.0", "77"))
    decision = choose_release(tmp_path)
    assert (decision.version, decision.note) == ("1.1.0", None)
    assert boot.load(tmp_path).trial == Trial("1.1.0", 1, "77")


def make_release(state: Path, version: str) -> Path:
    folder = boot.release_folder(state, version)
    (folder / "lib").mkdir(parents=True)
    (folder / "release.json").write_text(json.dumps({"version": version}))
    return folder


def test_each_start_of_a_trial_is_counted_until_it_goes_back(tmp_path: Path) -> None:
    make_release(tmp_path, "1.1.0")
    boot.store(tmp_path, BootRecord().activated("1.1.0", "77"))
    for attempt in range(3):
        assert choose_release(tmp_path).version == "1.1.0"
        trial = boot.load(tmp_path).trial
        assert trial is not None
        assert trial.attempts == attempt + 1
    decision = choose_release(tmp_path)
    assert decision.version is None
    assert "3 times" in (decision.note or "")
    assert not (tmp_path / "slots/current").is_symlink()
    assert choose_release(tmp_path).note is None


def test_a_release_that_a_worn_card_does_not_give_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1.0.9", "1.1.0"):
        make_release(tmp_path, version)
    boot.store(tmp_path, BootRecord("1.1.0", "1.0.9"))
    real = Path.is_file

    def is_file(path: Path) -> bool:
        if "1.1.0" in path.parts or path.name == "starts.py":
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    decision = choose_release(tmp_path)
    assert decision.version == "1.0.9"
    assert "its folder cannot be read: Input/output error" in (decision.note or "")
    rollback = boot.load(tmp_path).last_rollback
    assert rollback is not None
    assert rollback.damaged


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


def test_a_release_that_is_left_is_left_though_the_disk_does_not_note_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_release(tmp_path, "1.0.5")
    boot.store(tmp_path, BootRecord("1.1.0", "1.0.5"))

    def full(_state: Path, _record: BootRecord) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(boot, "store", full)
    decision = choose_release(tmp_path)
    assert decision.version == "1.0.5"
    assert decision.note == "release 1.1.0 is given up: its folder is missing"
    assert boot.load(tmp_path).active == "1.1.0"


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


class Executed(BaseException):
    """Stands for the process's end: another program runs in it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        super().__init__(command)
        self.command, self.environment = command, environment


@pytest.fixture
def executes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be the base install's process, which another program would replace."""

    def execve(path: str, command: list[str], environment: dict[str, str]) -> None:
        assert path == command[0]
        raise Executed(command, environment)

    monkeypatch.setattr(os, "execve", execve)
    for name in (ENV_SLOT, ENV_BASE, "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("executes")
def test_the_active_release_takes_the_process_with_its_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lib = make_release(tmp_path, "1.1.0") / "lib"
    boot.store(tmp_path, BootRecord("1.1.0"))
    with pytest.raises(Executed) as done:
        enter_active_release(tmp_path, ["run", "--x"])
    assert done.value.command == [sys.executable, "-P", "-m", "agent.cli", "run", "--x"]
    environment = done.value.environment
    assert (environment[ENV_SLOT], environment["PYTHONPATH"]) == ("1.1.0", str(lib))
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("executes")
def test_a_release_goes_back_to_the_base_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    base = {"executable": "/base/python", "pythonpath": "/base/lib"}
    for name, value in ((ENV_SLOT, "1.1.0"), (ENV_BASE, json.dumps(base)), ("PYTHONPATH", "/r")):
        monkeypatch.setenv(name, value)
    with pytest.raises(Executed) as done:
        restart(["run"])
    assert done.value.command == ["/base/python", "-P", "-m", "agent.cli", "run"]
    assert done.value.environment["PYTHONPATH"] == "/base/lib"
    assert not {ENV_SLOT, ENV_BASE} & done.value.environment.keys()


@pytest.mark.usefixtures("executes")
def test_a_release_does_not_choose_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_release(tmp_path, "1.1.0")
    boot.store(tmp_path, BootRecord().activated("1.1.0", "77"))
    monkeypatch.setenv(ENV_SLOT, "1.1.0")
    enter_active_release(tmp_path, ["run"])
    assert boot.load(tmp_path).trial == Trial("1.1.0", 0, "77")  # no start was counted


@pytest.mark.usefixtures("executes")
def test_where_nothing_was_installed_the_base_runs_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enter_active_release(tmp_path, ["run"])
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("executes")
def test_the_base_says_why_it_runs_in_place_of_a_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boot.store(tmp_path, BootRecord("1.1.0"))
    enter_active_release(tmp_path, ["run"])
    said = "story-agent: release 1.1.0 is given up: its folder is missing\n"
    assert capsys.readouterr().err == said


@pytest.mark.usefixtures("executes")
def test_a_release_that_cannot_be_executed_leaves_the_base_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_words: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(os, "execve", full)
    make_release(tmp_path, "1.1.0")
    boot.store(tmp_path, BootRecord("1.1.0"))
    enter_active_release(tmp_path, ["run"])
    said = capsys.readouterr().err
    assert said.startswith("story-agent: release 1.1.0 cannot be started: ")
    assert said.endswith("Cannot allocate memory; the base install runs\n")
    assert boot.load(tmp_path).active == "1.1.0"  # the next start tries it again


CLI = """
import os, sys
sys.stdout.write(f"{__file__} {os.environ.get('STORY_AGENT_SLOT')} {sys.argv[1:]}\\n")
sys.stdout.flush()
if os.environ.get("STORY_AGENT_SLOT"):
    sys.path.insert(0, os.environ["TEST_ROOT"])
    from ota.launch.launch import restart
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
    code = "import sys; from pathlib import Path; from ota.launch.launch import enter_active_release as e;"
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


class Exec:
    """Takes the place of the call that ends this program; ``error``: it fails."""

    def __init__(self, patch: pytest.MonkeyPatch, error: OSError | None = None) -> None:
        self.calls: list[tuple[list[str], Mapping[str, str]]] = []
        self._error = error
        patch.setattr(launch, "_exec", self)
        patch.delenv(ENV_SLOT, raising=False)

    def __call__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.calls.append((list(command), environment))
        if self._error is not None:
            raise self._error


def test_the_active_release_is_executed_with_the_words_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = Exec(monkeypatch)
    enter_active_release(tmp_path, ["run", "--quiet"])
    assert program.calls == []  # there is none
    make_release(tmp_path, "1.1.0")
    boot.store(tmp_path, BootRecord("1.1.0"))
    enter_active_release(tmp_path, ["run", "--quiet"])
    ((command, environment),) = program.calls
    assert command == [sys.executable, "-P", "-m", "agent.cli", "run", "--quiet"]
    lib = boot.release_folder(tmp_path, "1.1.0").absolute() / "lib"
    assert (environment[ENV_SLOT], environment["PYTHONPATH"]) == ("1.1.0", str(lib))
    monkeypatch.setenv(ENV_SLOT, "1.1.0")
    enter_active_release(tmp_path, ["run"])  # this is the release
    assert len(program.calls) == 1
    assert capsys.readouterr().err == ""


def test_what_was_decided_is_said_and_a_release_that_cannot_be_executed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = Exec(monkeypatch, OSError(errno.ENOEXEC, "Exec format error"))
    make_release(tmp_path, "1.0.5")
    boot.store(tmp_path, BootRecord("1.1.0", "1.0.5"))
    enter_active_release(tmp_path, [])
    assert len(program.calls) == 1
    assert capsys.readouterr().err.splitlines() == [
        "story-agent: release 1.1.0 is given up: its folder is missing",
        "story-agent: release 1.0.5 cannot be started: [Errno 8] Exec format error; the base install runs",
    ]


def test_a_restart_is_the_base_s(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Exec(monkeypatch)
    monkeypatch.setenv(ENV_SLOT, "1.1.0")
    monkeypatch.setenv("PYTHONPATH", "/r/1.1.0/lib")
    base = {"executable": "/usr/bin/python3", "pythonpath": None}
    monkeypatch.setenv(ENV_BASE, json.dumps(base))
    cast("Callable[[list[str]], None]", launch.restart)(["run"])
    ((command, environment),) = program.calls
    assert command == ["/usr/bin/python3", "-P", "-m", "agent.cli", "run"]
    assert {ENV_SLOT, ENV_BASE, "PYTHONPATH"}.isdisjoint(environment)


def test_what_was_said_before_another_program_takes_the_place_is_not_lost() -> None:
    script = """if 1:
        import os, sys
        from ota.launch.launch import _exec
        sys.stdout.write("said, ")
        sys.stderr.write("told, ")
        _exec([sys.executable, "-S", "-c", "import sys; print('gone'); print('on', file=sys.stderr)"], os.environ)
    """
    command = [sys.executable, "-c", script]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("said, gone\n", "told, on\n")


def test_a_newer_package_runs_itself_in_a_real_process(tmp_path: Path) -> None:
    lib = make_release(tmp_path, "1.1.0") / "lib"
    site = tmp_path / "site-packages"
    for folder in (lib, site):
        (folder / "agent").mkdir(parents=True)
        (folder / "agent/__init__.py").touch()
        (folder / "agent/cli.py").write_text("print('the release')")
    for name in ("base", "ota"):
        shutil.copytree(ROOT / name, site / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; from pathlib import Path; from ota.launch.launch import enter_active_release as e;"
    code += "e(Path(sys.argv[1]), []); print('the base')"
    boot.store(tmp_path, BootRecord("1.1.0", base="1.0.0"))
    for version, ran in (("1.0.1", "the release\n"), ("1.2.0", "the base\n")):
        info = site / f"story_agent-{version}.dist-info"
        info.mkdir()
        done = subprocess.run(
            [sys.executable, "-P", "-S", "-c", code, str(tmp_path)],
            env={"PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert done.stdout == ran
        info.rmdir()
    assert done.stderr == (
        "story-agent: the base install 1.2.0 came after release 1.1.0 and is newer: it runs\n"
    )
    assert boot.load(tmp_path) == BootRecord(base="1.2.0")


def test_the_launcher_loads_nothing_but_the_standard_library() -> None:
    code = "import sys, ota.launch.launch\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.partition(".")[0] in OURS}
    assert ours == {
        *("base", "base.files"),
        *("ota", "ota.launch", "ota.launch.boot", "ota.launch.launch"),
        "ota.launch.starts",
    }
    assert not loaded & {"asyncio", "logging", "urllib3", "tuf", "ssl", "subprocess"}
