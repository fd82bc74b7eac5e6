"""The doctor's checks of the service, the card, memory and polkit, on machines made of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.doctor import host
from agent.doctor.findings import Level
from agent.doctor.patient import Patient
from agent.unreachable import UNIT_STATE
from tests.agent.doctor.doctor_parts import is_complete, make_patient, told

RUNS = "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nStatusText=online\n"


def service(state: Path, **more: object) -> Patient:
    return replace(make_patient(state), state=UNIT_STATE, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shown", "status", "level", "cause"),
    [
        (RUNS, {}, Level.GOOD, "the service runs: online"),
        (RUNS + "NRestarts=3\nResult=watchdog\n", {}, Level.HINT, "the service runs, after 3 restarts: it hung, and the watchdog ended it"),
        (RUNS, None, Level.BAD, "systemd says that it runs, and it does not answer; its last error: oh"),
        ("LoadState=not-found\nActiveState=inactive\n", None, Level.BAD, "the service story-agent.service is not installed; its last error: oh"),
        ("", None, Level.SKIPPED, "systemd does not answer here"),
    ],
)  # fmt: skip
def test_the_service(
    tmp_path: Path, shown: str, status: dict[str, object] | None, level: Level, cause: str
) -> None:
    def run(words: Sequence[str]) -> str:
        return shown if words[0] == "systemctl" else "oh\n"

    found = host.check_unit(service(tmp_path, status=status), run)
    assert told(found) == (level, cause)
    assert is_complete(found)


def test_another_state_folder_is_not_the_services(tmp_path: Path) -> None:
    assert host.check_unit(make_patient(tmp_path)).level is Level.SKIPPED


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("life", "left", "level"),
    [
        ("0x01 0x02", "0x01", Level.GOOD),
        ("0x09 0x01", "0x01", Level.HINT),
        ("0x01 0x0b", "0x01", Level.BAD),
        ("0x02 0x02", "0x03", Level.BAD),
    ],
)
def test_the_wear_of_an_emmc(tmp_path: Path, life: str, left: str, level: Level) -> None:
    write(tmp_path / "mmcblk0/device/life_time", f"{life}\n")
    write(tmp_path / "mmcblk0/device/pre_eol_info", f"{left}\n")
    (found,) = host.check_card(make_patient(tmp_path), tmp_path, tmp_path / "none")
    assert found.level is level
    assert is_complete(found)


def test_an_sd_card_and_a_file_system_with_errors(tmp_path: Path) -> None:
    write(tmp_path / "block/mmcblk0/device/type", "SD\n")
    write(tmp_path / "ext4/mmcblk0p2/errors_count", "4\n")
    write(tmp_path / "ext4/mmcblk0p2/last_error_func", "ext4_lookup\n")
    write(tmp_path / "ext4/sda1/errors_count", "0\n")
    card, errors = host.check_card(make_patient(tmp_path), tmp_path / "block", tmp_path / "ext4")
    assert told(card) == (
        Level.SKIPPED, "mmcblk0 is an SD card, which does not tell of its wear"
    )  # fmt: skip
    assert told(errors) == (
        Level.BAD, "the file system of mmcblk0p2 has seen 4 errors (ext4_lookup)"
    )  # fmt: skip
    (nothing,) = host.check_card(make_patient(tmp_path), tmp_path / "a", tmp_path / "b")
    assert nothing.level is Level.SKIPPED


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("MemTotal: 900000 kB\nMemAvailable:  500000 kB\n", Level.GOOD),
        ("MemAvailable: 60000 kB\n", Level.HINT),
        ("MemAvailable: 20000 kB\n", Level.BAD),
        ("MemAvailable: much\n", Level.SKIPPED),
        ("", Level.SKIPPED),
    ],
)
def test_memory(tmp_path: Path, text: str, level: Level) -> None:
    write(tmp_path / "meminfo", text)
    found = host.check_memory(make_patient(tmp_path), tmp_path / "meminfo")
    assert found.level is level
    assert is_complete(found)


def test_the_permission_to_power_off(tmp_path: Path) -> None:
    armed = make_patient(tmp_path, "[switch]\narmed = true\n")
    folders = (tmp_path / "etc", tmp_path / "usr")
    assert host.check_polkit(make_patient(tmp_path), folders).level is Level.SKIPPED
    found = host.check_polkit(armed, folders)
    assert found.level is Level.BAD
    assert is_complete(found)
    write(tmp_path / "usr" / host.RULE, "x")
    assert host.check_polkit(armed, folders).level is Level.GOOD
