"""The permissions that the unit and the polkit rule grant and remove."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
# With each of these a unit can open only the listed devices (systemd.resource-control(5)).
DEVICE_LISTS = {"DeviceAllow", "DevicePolicy", "PrivateDevices", "ProtectClock"}


@pytest.mark.parametrize("what", ["power-off", "reboot"])
def test_the_machine_goes_down_also_while_somebody_is_logged_in(what: str) -> None:
    """logind then checks another polkit action (verify_shutdown_creds)."""
    rule = (SYSTEMD / "50-story-agent.rules").read_text()
    allowed = set(re.findall(r'"org\.freedesktop\.login1\.([a-z-]+)"', rule))
    assert {what, f"{what}-multiple-sessions"} <= allowed
    assert f"{what}-ignore-inhibit" not in allowed


def test_the_unit_leaves_the_sound_card_and_the_root_slots() -> None:
    unit = (SYSTEMD / "story-agent.service").read_text()
    assert not DEVICE_LISTS & set(re.findall(r"^(\w+)=", unit, re.MULTILINE))
