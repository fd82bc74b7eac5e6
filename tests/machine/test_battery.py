"""The battery, read from a tree like /sys/class/power_supply."""

from __future__ import annotations

from pathlib import Path

from machine.battery import find_battery


def supply(folder: Path, name: str, **attributes: str | bytes) -> Path:
    made = folder / name
    made.mkdir(parents=True)
    for attribute, text in attributes.items():
        data = text if isinstance(text, bytes) else f"{text}\n".encode()
        (made / attribute).write_bytes(data)
    return made


def test_no_sysfs_at_all(tmp_path: Path) -> None:
    assert find_battery(tmp_path / "none") is None


def test_attributes_that_cannot_be_read_pass_the_supply_over(tmp_path: Path) -> None:
    broken = supply(tmp_path, "a-broken", capacity="5")
    (broken / "type").mkdir()  # reading it is an error, as after a gauge was removed
    supply(tmp_path, "b-noise", type=b"\xff\xfe", capacity="5")
    odd = supply(tmp_path, "c-odd", type="Battery", capacity="60")
    (odd / "scope").mkdir()
    assert find_battery(tmp_path) == odd
