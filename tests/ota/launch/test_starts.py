"""Releases that die after their trial: counted, looked at, left for the one before."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.launch import boot, starts
from ota.launch.boot import BootRecord, Trial
from ota.launch.launch import choose_release, decide
from ota.launch.starts import Starts, start_now, starts_path
from tests.ota.install.package_rig import file, install, pack

ROOT = Path(__file__).parents[3]
LIBS = {"1.0.5": Path("/r/1.0.5/lib"), "1.1.0": Path("/r/1.1.0/lib")}
# As the launcher is documented, and not as it has them.
EARLY_DEATHS, EARLY_SECONDS = 5, 300.0
CONFIRMED = BootRecord("1.1.0", "1.0.5")
# A release that forgets the count when it ends on purpose is known by this file.
MARK = ("lib/ota/launch/starts.py", b"")


def put(state: Path, version: str, *members: tuple[str, bytes]) -> Path:
    """Install a release as the installer does, with the package beside it."""
    files = [file(name, data) for name, data in (MARK, *members)]
    info = {
        "format": 1, "product": "story-machine", "version": version, "requires_python": ">=3.11",
        "requires": [], "packages": ["agent"],
        "unpacked_bytes": sum(len(data) for _member, data in files),
    }  # fmt: skip
    (state / "ota" / "metadata").mkdir(parents=True, exist_ok=True)
    package = pack(state / f"{version}.tar.gz", *files, info=json.dumps(info).encode())
    sha256 = hashlib.sha256(package.read_bytes()).hexdigest()
    install(state, package, target={"version": version, "sha256": sha256})
    return boot.release_folder(state, version)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for version in ("1.0.5", "1.1.0"):
        put(tmp_path, version, ("lib/agent/__init__.py", b"x = 1\n"))
    boot.store(tmp_path, CONFIRMED)
    return tmp_path


@pytest.mark.parametrize("early", range(EARLY_DEATHS + 2))
def test_a_confirmed_release_is_left_after_so_many_early_deaths(early: int) -> None:
    decision = decide(CONFIRMED, LIBS.get, early=early)
    left = early >= EARLY_DEATHS
    assert decision.version == ("1.0.5" if left else "1.1.0")
    rollback = decision.record.last_rollback
    assert (rollback is not None) is left
    if rollback is not None:
        assert (rollback.transaction, rollback.damaged) == (None, False)
        assert f"ended {early} times within 300 s" in (decision.note or "")


def test_a_trial_is_counted_by_its_attempts_alone() -> None:
    record = BootRecord("1.1.0", "1.0.5", Trial("1.1.0", 1, "77"))
    assert decide(record, LIBS.get, early=EARLY_DEATHS).version == "1.1.0"


def test_a_doubted_release_is_compared_and_the_one_before_too() -> None:
    asked: list[tuple[str, bool]] = []

    def find_fault(version: str, *, doubted: bool) -> str | None:
        asked.append((version, doubted))
        return "a file is empty" if doubted else None

    assert decide(CONFIRMED, LIBS.get, None, find_fault).version == "1.1.0"
    decision = decide(CONFIRMED, LIBS.get, None, find_fault, early=1)
    assert asked == [("1.1.0", False), ("1.1.0", True), ("1.0.5", True)]
    assert decision.version is None
    assert decision.record.last_rollback == boot.Rollback("1.1.0", "a file is empty", damaged=True)


@given(
    lives=st.lists(st.floats(0.0, EARLY_SECONDS * 3), max_size=12),
    reboots=st.sets(st.integers(0, 11)),
)
def test_deaths_count_in_a_row_and_in_one_boot(lives: list[float], reboots: set[int]) -> None:
    now, boot_number, expected = 10.0, 0, 0
    last = Starts("1.1.0", "0", now).again(None)
    for number, lived in enumerate(lives):
        now += lived
        began = last.begun
        if number in reboots:
            boot_number, now = boot_number + 1, 5.0
        last = Starts("1.1.0", str(boot_number), now).again(last)
        if number in reboots or now - began >= EARLY_SECONDS:
            expected = 0
        else:
            expected += 1
        assert last.early == expected


def test_another_version_begins_at_nothing() -> None:
    before = Starts("1.0.0", "b", 1.0, 4)
    assert Starts("1.1.0", "b", 2.0).again(before).early == 0
    assert Starts("1.0.0", "b", 2.0).again(before).early == 5


def test_a_release_that_dies_at_each_start_is_left_for_the_one_before(state: Path) -> None:
    versions = [choose_release(state).version for _start in range(EARLY_DEATHS * 2 + 2)]
    assert versions == ["1.1.0"] * EARLY_DEATHS + ["1.0.5"] * EARLY_DEATHS + [None, None]
    assert not starts_path(state).exists()


def test_one_that_ends_on_purpose_stays(state: Path) -> None:
    for _start in range(EARLY_DEATHS * 2):
        assert choose_release(state).version == "1.1.0"
        starts.forget(state)


def test_one_that_lives_long_enough_stays(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100_000, int(EARLY_SECONDS)))
    monkeypatch.setattr("ota.launch.starts.time.clock_gettime", lambda _clock: float(next(clock)))
    assert {choose_release(state).version for _start in range(EARLY_DEATHS * 2)} == {"1.1.0"}


def test_a_release_of_before_that_forgets_nothing_is_not_counted(state: Path) -> None:
    (boot.release_folder(state, "1.1.0") / MARK[0]).unlink()
    assert {choose_release(state).version for _start in range(EARLY_DEATHS * 2)} == {"1.1.0"}


def empty(release: Path) -> None:
    (release / "lib/agent/__init__.py").write_bytes(b"")


def change(release: Path) -> None:
    (release / "lib/agent/__init__.py").write_bytes(b"x = 2\n")


def remove(release: Path) -> None:
    (release / "lib/agent/__init__.py").unlink()


def add(release: Path) -> None:
    (release / "lib/json.py").write_bytes(b"raise SystemExit")


def make_unreadable(release: Path) -> None:
    (release / "lib/agent/__init__.py").unlink()
    (release / "lib/agent/__init__.py").symlink_to("__init__.py")


@pytest.mark.parametrize("damage", [empty, change, remove, add, make_unreadable])
def test_what_is_damaged_is_left_at_its_first_death(
    state: Path, damage: Callable[[Path], None]
) -> None:
    damage(boot.release_folder(state, "1.1.0"))
    assert choose_release(state).version == "1.1.0"  # without a root nobody looks before
    decision = choose_release(state)
    assert decision.version == "1.0.5"
    rollback = decision.record.last_rollback
    assert rollback is not None
    assert rollback.damaged
    assert boot.load(state) == decision.record


def test_bytecode_that_was_damaged_is_made_anew(state: Path) -> None:
    bytecode = boot.release_folder(state, "1.1.0") / "lib/agent/__pycache__"
    bytecode.mkdir()
    choose_release(state)
    assert choose_release(state).version == "1.1.0"
    assert not bytecode.exists()


@pytest.mark.parametrize("name", ["signed/package.tar.gz", "package.json"])
def test_a_package_that_is_damaged_tells_nothing_of_the_release(state: Path, name: str) -> None:
    (boot.release_folder(state, "1.1.0") / name).write_bytes(b"x")
    assert [choose_release(state).version for _start in range(2)] == ["1.1.0", "1.1.0"]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "5", '{"version": "1.1.0", "boot": 1, "begun": "x", "early": 9}', "[" * 9000],
)
def test_a_count_that_cannot_be_read_is_none(state: Path, text: str) -> None:
    starts_path(state).write_text(text)
    assert start_now(state, "1.1.0").early == 0
    assert choose_release(state).version == "1.1.0"


def test_a_disk_that_takes_no_count_still_starts(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert {choose_release(state).version for _start in range(EARLY_DEATHS * 2)} == {"1.1.0"}


def test_real_processes_that_die_and_one_that_ends_on_purpose(tmp_path: Path) -> None:
    code = b"""
import os, sys
from pathlib import Path
sys.path.insert(0, os.environ["TEST_ROOT"])
print(os.environ["STORY_AGENT_SLOT"], flush=True)
if "--well" in sys.argv:
    from ota.launch.starts import forget
    forget(Path(os.environ["TEST_STATE"]))
os._exit(1)
"""
    for version in ("1.0.5", "1.1.0"):
        put(tmp_path, version, ("lib/agent/__init__.py", b""), ("lib/agent/cli.py", code))
    boot.store(tmp_path, CONFIRMED)
    launch = "import sys; from pathlib import Path; from ota.launch.launch import enter_active_release as e;"
    launch += "e(Path(sys.argv[1]), sys.argv[2:]); print('base')"
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TEST_ROOT": str(ROOT),
        "TEST_STATE": str(tmp_path),
    }
    env.pop("STORY_AGENT_SLOT", None)

    def run(*words: str) -> str:
        command = [sys.executable, "-P", "-S", "-c", launch, str(tmp_path), *words]
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout.strip()

    ran = [run("--well"), run("--well"), *(run() for _start in range(EARLY_DEATHS + 1))]
    assert ran == ["1.1.0"] * (2 + EARLY_DEATHS) + ["1.0.5"]


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"version": "1.0.5"}'])
def test_a_list_that_lost_its_members_is_damage(state: Path, text: str) -> None:
    (boot.release_folder(state, "1.1.0") / "release.json").write_text(text)
    choose_release(state)
    decision = choose_release(state)
    assert decision.version == "1.0.5"
    assert "release.json: version is not the signed one" in (decision.note or "")


def test_a_folder_in_the_place_of_the_count_does_not_end_counting(tmp_path: Path) -> None:
    """Each start would be the first one, and a release that dies would never be left."""
    path = starts_path(tmp_path)
    for odd in (path, path.with_name(f".{path.name}.tmp")):
        (odd / "lost+found").mkdir(parents=True)
        for early in range(3):
            start = start_now(tmp_path, "1.1.0")
            starts.note(tmp_path, start)
            assert start.early == early
        starts.forget(tmp_path)
        assert start_now(tmp_path, "1.1.0").early == 0
    path.mkdir()
    starts.forget(tmp_path)
    assert not path.exists()


def test_a_pipe_in_the_place_of_the_count_holds_no_start_up(tmp_path: Path) -> None:
    path = starts_path(tmp_path)
    path.parent.mkdir()
    for pipe in (path, path.with_name(f".{path.name}.tmp")):
        os.mkfifo(pipe)
    starts.note(tmp_path, start_now(tmp_path, "1.1.0"))
    assert start_now(tmp_path, "1.1.0").early == 1
    path.unlink()
    os.mkfifo(path)
    starts.forget(tmp_path)
    assert not path.exists()


def test_a_card_that_does_not_tell_what_is_there_is_no_reason_not_to_start(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.stat

    def stat(path: Path, **how: bool) -> os.stat_result:
        if "starts.json" in path.name:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, **how)

    def replace(_path: Path, _target: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(Path, "replace", replace)
    decision = choose_release(state)
    assert (decision.version, decision.note) == ("1.1.0", None)


def test_a_full_disk_keeps_the_count_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "slots").mkdir()
    starts.note(tmp_path, start_now(tmp_path, "1.1.0"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        starts.note(tmp_path, start_now(tmp_path, "1.1.0"))
    assert start_now(tmp_path, "1.1.0").early == 1


def test_a_socket_in_the_place_of_the_file_that_is_begun_does_not_end_counting(
    tmp_path: Path,
) -> None:
    (tmp_path / "slots").mkdir()
    os.mknod(tmp_path / "slots/.starts.json.tmp", 0o600 | stat.S_IFSOCK)
    starts.note(tmp_path, start_now(tmp_path, "1.1.0"))
    assert start_now(tmp_path, "1.1.0").early == 1


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_a_pipe_in_the_place_of_the_count_is_removed_and_nothing_behind_it(
    tmp_path: Path, kind: str
) -> None:
    path = starts_path(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    path.parent.mkdir()

    def damage() -> None:
        if kind == "link":
            path.symlink_to(elsewhere)
        else:
            os.mkfifo(path)

    damage()
    starts.note(tmp_path, start_now(tmp_path, "1.1.0"))
    assert start_now(tmp_path, "1.1.0").early == 1
    starts.forget(tmp_path)
    damage()
    starts.forget(tmp_path)
    assert not os.path.lexists(path)
    assert (elsewhere / "kept").exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{}", b"[]", b"\0" * 90, b"\xff" * 10, b"1" * 5000, b'{"early": 4',
        {"early": 5}, {"early": 10**9}, {"early": -1}, {"early": "1e9"}, {"early": float("inf")},
        {"begun": float("nan")}, {"begun": float("inf")}, {"begun": None},
    ],
)  # fmt: skip
def test_a_damaged_count_leaves_no_good_release(
    state: Path, damage: bytes | dict[str, object]
) -> None:
    start = start_now(state, "1.1.0")
    if isinstance(damage, dict):
        damage = json.dumps(dataclasses.asdict(start) | damage).encode()
    starts_path(state).write_bytes(damage)
    decision = choose_release(state)
    assert (decision.version, decision.note) == ("1.1.0", None)
    assert start_now(state, "1.1.0").early == 1  # that start was counted


def test_a_start_that_cannot_be_forgotten_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "slots").touch()  # damage: a file in the folder's place
    starts.forget(tmp_path)
    assert (tmp_path / "slots").is_file()


def test_without_the_boots_id_starts_are_counted_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "_BOOT_ID", tmp_path / "none")
    (tmp_path / "slots").mkdir()
    starts.note(tmp_path, start_now(tmp_path, "1.1.0"))
    again = start_now(tmp_path, "1.1.0")
    assert (again.boot, again.early) == ("", 1)
