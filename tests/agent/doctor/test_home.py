"""The doctor's check of the local ports, with each of its faults present."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from agent.doctor import home
from agent.doctor.findings import Level
from agent.local.clients import EXTRA
from agent.local.keyring import Keyring
from tests.agent.doctor.doctor_parts import is_complete, make_patient, told

ON = "[local]\noscore_port = 5683\n"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The extras that a machine has."""
    names = {"cbor2", "filelock", "zeroconf"}

    def find(name: str) -> Any:
        return object() if name in names else None

    monkeypatch.setattr(importlib.util, "find_spec", find)
    return names


def findings(folder: Path, toml: str = ON, **changes: Any) -> list[tuple[Level, str]]:
    found = home.check_home(make_patient(folder, toml, **changes))
    assert all(map(is_complete, found))
    return [told(each) for each in found]


def test_without_a_port_nothing_is_looked_at(tmp_path: Path) -> None:
    assert findings(tmp_path, "") == [(Level.SKIPPED, "no local port is wanted")]


def test_what_is_served_is_listed(tmp_path: Path) -> None:
    Keyring(tmp_path / "lan").add("phone", [])
    assert findings(tmp_path, f"{ON}https_port = 8443") == [
        (Level.GOOD, "https_port 8443, oscore_port 5683")
    ]


def test_a_port_without_clients_is_a_hint(tmp_path: Path) -> None:
    assert findings(tmp_path) == [(Level.HINT, "no client on the home network has keys")]


def test_missing_extras_are_named(tmp_path: Path, installed: set[str]) -> None:
    Keyring(tmp_path / "lan").add("phone", [])
    installed.clear()
    assert findings(tmp_path, f"{ON}announce = true") == [
        (Level.BAD, "cbor2, filelock is missing"), (Level.BAD, "zeroconf is missing"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("local.http_port 80: Address already in use", "name another port"),
        ("local.http_port 80: Permission denied", "name a port above 1023"),
        ("local.http_port 80: Cannot assign requested address", "journalctl"),
    ],
)
def test_a_port_that_is_not_served_is_told_by_the_running_agent(
    tmp_path: Path, fault: str, remedy: str
) -> None:
    status = {"faults": {"local.http_port": fault, "power": "[Errno 5] x"}}
    patient = make_patient(tmp_path, "[local]\nhttp_port = 80", status=status)
    (found,) = home.check_home(patient)
    assert (found.level, found.cause.en[:17]) == (Level.BAD, "local.http_port: ")
    assert found.remedy is not None
    assert remedy in found.remedy.en


def test_an_extra_that_the_running_agent_misses_is_told_once(
    tmp_path: Path, installed: set[str]
) -> None:
    Keyring(tmp_path / "lan").add("phone", [])
    installed.clear()
    status = {"faults": {"local.oscore_port": f"local.oscore_port: {EXTRA}"}}
    assert findings(tmp_path, status=status) == [(Level.BAD, "cbor2, filelock is missing")]
    assert home._MISSING in EXTRA


def test_damaged_clients_and_an_unreadable_folder_are_told(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "lan")
    keyring.add("phone", [])
    (tmp_path / "lan" / "phone.number").unlink()
    assert findings(tmp_path) == [(Level.BAD, "client phone is damaged: No such file or directory")]
    other = tmp_path / "other"
    other.mkdir()
    (other / "lan").write_text("no folder")
    (found,) = findings(other)
    assert found[0] is Level.BAD
    assert found[1].startswith("the clients' keys cannot be read: ")
