"""The operator hears which bind tokens stay, and can order a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from staging.commands.cli import main
from staging.store import Database, apps, devices
from staging.store.models import Device

UUID = "0083000000000a"
NOW = 1_495_000_000_000


def left(where: Path, *, renews: bool | None) -> None:
    """Let a family bind a device and leave it."""
    database = Database(where)
    made = database.call(devices.add, UUID, NOW)

    def note(session: Any) -> None:
        device = session.get_one(Device, made.id)
        device.renews, device.status = renews, "ACTIVATED"

    database.call(note)
    account = database.call(apps.account, "first", NOW)
    database.call(devices.bind, UUID, made.bind_token or "", account.id, NOW)
    database.call(devices.unbind, made.id, NOW)
    database.close()


@pytest.mark.parametrize(
    ("renews", "listed", "word"),
    [
        (True, "waiting waits until the device is connected", "BIND-TOKEN-WAITS"),
        (False, "cannot its firmware takes no new one", "BIND-TOKEN-STAYS"),
    ],
)
def test_the_operator_is_told(
    tmp_path: Path,
    blank_store: Path,
    capsys: Any,
    renews: bool,  # noqa: FBT001  # a column of the table
    listed: str,
    word: str,
) -> None:
    (tmp_path / "cloud.sqlite").write_bytes(blank_store.read_bytes())
    left(tmp_path / "cloud.sqlite", renews=renews)
    assert main(["bind-token", "list", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{UUID} {listed}")
    assert main(["device", "list", "--data", str(tmp_path)]) == 0
    assert word in capsys.readouterr().out


def test_a_new_one_is_ordered_by_hand(tmp_path: Path, blank_store: Path, capsys: Any) -> None:
    (tmp_path / "cloud.sqlite").write_bytes(blank_store.read_bytes())
    database = Database(tmp_path / "cloud.sqlite")
    database.call(devices.add, UUID, NOW)
    database.close()
    assert main(["bind-token", "list", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no bind token waits to be renewed\n"
    assert main(["bind-token", "renew", UUID.upper(), "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{UUID} waiting")
    assert main(["bind-token", "renew", "f" * 14, "--data", str(tmp_path)]) == 1
    assert "there is none" in capsys.readouterr().err
