"""Provisioning (`agent.first.commands`, `agent.first.telling`) as a factory worker sees it: files, other machines, power cuts."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.first import places, provision
from agent.first.places import PlaceError
from agent.first.provision import Before, compare
from agent.first.unit import UnitError
from tests.agent.first.parts import OTHER, TOKEN, UUID, profile, profile_bytes

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PROFILE_MAX = 65_536


class Unit:
    """The service, in memory."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.there, self.active = True, False
        self.refusal = ""

    def exists(self) -> bool:
        return self.there

    def is_active(self) -> bool:
        return self.active

    def start(self) -> None:
        if self.refusal:
            raise UnitError(self.refusal)
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


class Bench:
    """A machine's folders, and what the command said."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.target = root / "etc" / "profile.json"
        self.state = root / "state"
        self.state.mkdir()
        self.unit = Unit()
        self.status: dict[str, Any] | None = {
            "uuid": UUID, "link": {"state": "online", "server": "c:1"},
        }  # fmt: skip
        self._capsys = capsys

    def file(self, data: bytes, name: str = "brought.json") -> Path:
        path = self.root / name
        path.write_bytes(data)
        return path

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        files = ["--profile", str(self.target), "--state", str(self.state), "--wait", "0"]
        code = main(["provision", *map(str, words), *files, "--lang", "en"])
        said = self._capsys.readouterr()
        assert TOKEN not in said.out + said.err
        return code, said.out, said.err


@pytest.fixture
def bench(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Bench:
    made = Bench(tmp_path, capsys)
    monkeypatch.setattr(provision, "Service", lambda: made.unit)
    monkeypatch.setattr(provision, "ask_status", lambda _state: made.status)
    monkeypatch.setattr(
        provision, "wait_until_registered",
        lambda _state, uuid, _seconds: (
            made.status is not None and made.status["uuid"] == uuid and made.status["link"]["state"] == "online",
            made.status,
        ),
    )  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("existing", "before"),
    [
        (None, Before.NOTHING),
        (profile_bytes(), Before.SAME),
        (profile_bytes(token="another token"), Before.OLDER),
        (profile_bytes(UUID.upper()), Before.OLDER),
        (profile_bytes(OTHER), Before.OTHER),
        (b"", Before.DAMAGED),
        (b"\0" * 2000, Before.DAMAGED),
        (profile_bytes()[:-3], Before.DAMAGED),
    ],
)
def test_what_is_there_already(existing: bytes | None, before: Before) -> None:
    assert compare(existing, profile_bytes(), profile())[0] is before


def test_it_is_written_started_and_passes(bench: Bench) -> None:
    code, out, err = bench.run(bench.file(b"\xef\xbb\xbf" + profile_bytes()), "--yes")
    assert (code, err) == (0, "")
    assert f"PASS {UUID}: registered after" in out
    assert bench.target.read_bytes() == profile_bytes()
    assert bench.target.stat().st_mode & 0o777 == 0o400
    assert bench.unit.calls == ["start"]
    # Again: nothing is written, and a service that runs is left alone.
    bench.unit.active = True
    bench.target.chmod(0o644)
    code, out, _ = bench.run(bench.file(profile_bytes()), "--yes")
    assert (code, bench.unit.calls) == (0, ["start"])
    assert "the same profile is there already" in out
    assert bench.target.stat().st_mode & 0o777 == 0o400


def test_a_dry_run_and_a_missing_yes_change_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.file(profile_bytes())
    code, out, _ = bench.run(path, "--dry-run")
    assert code == 0
    assert f"device {UUID}" in out
    assert "cloud 127.0.0.1:9" in out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    code, _, err = bench.run(path)
    assert code == 1
    assert "add --yes" in err
    monkeypatch.setattr(provision, "is_person", lambda: True)
    monkeypatch.setattr("builtins.input", lambda *_: "no")
    assert bench.run(path)[0] == 1
    assert not bench.target.exists()
    assert bench.unit.calls == []
    monkeypatch.setattr("builtins.input", lambda *_: "是")
    assert bench.run(path)[0] == 0


def test_another_machines_identity_needs_replace_and_its_reports_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(bench.file(profile_bytes(OTHER)), "--yes", "--no-start")
    waiting = bench.state / "outbox.sqlite"
    waiting.write_bytes(b"reports of the other one")
    bench.unit.active = True
    code, _, err = bench.run(bench.file(profile_bytes()), "--yes")
    assert code == 1
    assert f"another device, {OTHER}; got {UUID}" in err
    assert bench.target.read_bytes() == profile_bytes(OTHER)
    assert waiting.exists()
    seen: list[tuple[Path, bytes]] = []
    monkeypatch.setattr(
        provision, "fsync_path", lambda path: seen.append((path, bench.target.read_bytes()))
    )
    code, _, _ = bench.run(bench.file(profile_bytes()), "--yes", "--replace")
    assert code == 0
    assert bench.unit.calls == ["stop", "start"]
    assert not waiting.exists()
    # Gone for good before the new identity is there.
    assert seen == [(bench.state, profile_bytes(OTHER))]


def test_what_is_too_long_for_a_profile_is_told_as_such(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = profile_bytes() + b" " * PROFILE_MAX
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    for source in ("-", bench.file(data)):
        code, _, err = bench.run(source, "--yes")
        assert code == 1
        assert f"more than {PROFILE_MAX} bytes" in err
    assert not bench.target.exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"MZ\x90\0", "is no profile that can be used"),
        (b"[]", "expected a JSON object"),
        (profile_bytes().replace(b'"uuid"', b'"name"'), "uuid: missing"),
        (profile_bytes()[:900], "not JSON"),
    ],
)
def test_a_wrong_file_is_named_and_changes_nothing(bench: Bench, data: bytes, said: str) -> None:
    path = bench.file(data)
    code, out, err = bench.run(path, "--yes")
    assert (code, out) == (1, "")
    assert str(path) in err
    assert said in err
    assert "→ export this machine's file from the cloud again" in err
    assert not bench.target.exists()


def test_why_it_did_not_register_is_said_with_what_to_do(bench: Bench) -> None:
    path = bench.file(profile_bytes())
    bench.status = {
        "uuid": UUID,
        "link": {
            "state": "waiting", "server": "c:1", "last_error": "cannot connect: refused",
            "phase": "connect", "remedy": "check the network",
        },
    }  # fmt: skip
    code, _, err = bench.run(path, "--yes")
    assert code == 1
    assert f"FAIL {UUID}: not registered with c:1 in 0 s: cannot connect: refused" in err
    assert "→ check the network" in err
    for status, said in [
        (None, "no agent answers"),
        ({"uuid": OTHER, "link": {"state": "online"}}, f"the agent that runs is another device, {OTHER}"),
        ({"uuid": None, "setup": {"cause": {"zh": "没", "en": "no file"}, "remedy": {"zh": "放", "en": "put it"}}, "link": {"state": "setup"}},
         "no file"),
    ]:  # fmt: skip
        bench.status = status
        code, _, err = bench.run(path, "--yes")
        assert code == 1
        assert f"FAIL {UUID}" in err
        assert said in err
    bench.unit.active, bench.unit.refusal = False, "systemctl restart: Access denied"
    code, _, err = bench.run(path, "--yes")
    assert code == 1
    assert "Access denied" in err


def test_without_a_service_an_agent_that_runs_by_hand_is_not_left_with_the_old_profile(
    bench: Bench,
) -> None:
    bench.unit.there = False
    path = bench.file(profile_bytes())
    code, _, err = bench.run(path, "--yes")
    assert code == 1
    assert "stop it first" in err
    assert not bench.target.exists()
    bench.status = None
    code, _, err = bench.run(path, "--yes")
    assert code == 1
    assert "there is no service to start" in err
    assert bench.target.exists()


def test_a_full_disk_or_a_folder_that_nobody_may_write_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.file(profile_bytes())
    for number, said in [(28, "make room"), (30, "mount it writable"), (13, "run it with sudo")]:

        def refuse(*_: object, number: int = number) -> None:
            raise OSError(number, "the system's words", str(bench.target))

        monkeypatch.setattr(provision, "write_profile", refuse)
        code, _, err = bench.run(path, "--yes")
        assert code == 1
        assert "the system's words" in err
        assert said in err
    assert not bench.target.exists()


@pytest.fixture
def boot(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    folder = bench.root / "boot"
    folder.mkdir()
    monkeypatch.setattr(provision, "find_on_boot", lambda: places.find_on_boot((folder,)))

    def put(data: bytes, name: str = "story-agent.profile") -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return put


def test_the_boot_partitions_profile_is_imported_once_and_erased(
    bench: Bench, boot: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = boot(profile_bytes())
    code, out, _ = bench.run("--boot", "--yes", "--no-start")
    assert code == 0
    assert f"then {brought} is erased" in out
    assert bench.target.read_bytes() == profile_bytes()
    assert not brought.exists()
    assert bench.run("--boot", "--yes", "--no-start")[0] == 1
    # A cut between the write and the erasing: the next start erases.
    brought = boot(profile_bytes(), "Story-Agent.profile.TXT")
    assert bench.run("--boot", "--yes", "--no-start")[0] == 0
    assert not brought.exists()
    # Read-only: it is imported, and said to be still there.
    brought = boot(profile_bytes())

    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(provision, "erase", refuse)
    code, _, err = bench.run("--boot", "--yes", "--no-start")
    assert code == 0
    assert "remove it from the card" in err


def test_two_profiles_a_damaged_one_and_anothers_stay_where_they_are(
    bench: Bench, boot: Callable[..., Path]
) -> None:
    one, two = boot(profile_bytes()), boot(profile_bytes(OTHER), "story-agent.profile.json")
    code, _, err = bench.run("--boot", "--yes", "--no-start")
    assert code == 1
    assert "the boot partition has 2 profiles" in err
    two.unlink()
    one.write_bytes(b"{")
    assert bench.run("--boot", "--yes", "--no-start")[0] == 1
    assert one.exists()
    bench.run(bench.file(profile_bytes(OTHER)), "--yes", "--no-start")
    one.write_bytes(profile_bytes())
    assert bench.run("--boot", "--yes", "--no-start")[0] == 1
    assert one.exists()


def test_standard_input_a_stick_and_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(profile_bytes())))
    assert bench.run("-", "--yes", "--no-start")[0] == 0
    assert bench.target.read_bytes() == profile_bytes()
    code, _, err = bench.run("--yes")
    assert code == 1
    assert "expected" not in err
    assert "story-agent provision FILE" in err

    def no_stick() -> None:
        raise PlaceError(*provision_words())

    monkeypatch.setattr(provision, "find_on_usb", no_stick)
    code, _, err = bench.run("--usb")
    assert code == 1
    assert "plug one in" in err


def provision_words() -> tuple[Any, Any]:
    from agent.words import Words

    return Words("没有", "none"), Words("插", "plug one in")
