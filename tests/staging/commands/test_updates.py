"""Updates as commands, without a server: then no device is connected, and the task ends at once."""

from __future__ import annotations

import pytest

from tests.staging.commands.conftest import Command


@pytest.mark.usefixtures("no_repository")
def test_an_order_is_cancelled(command: Command, mistake: Command) -> None:
    device = command("device", "add")["uuid"]
    assert "no update is under way" in mistake("update", "cancel", device)
    command("release", "add", "f", "--version", "1.1", "--unverified")
    task = command("release", "verify", device, "--version", "1.1")["taskId"]
    ended = command("update", "cancel", device.upper())
    assert (ended["taskId"], ended["uuid"], ended["status"]) == (task, device, "FAILED")
    assert ended["failure"] == "cancelled: the device is offline"
    assert "no update is under way" in mistake("update", "cancel", device)
    assert "there is none" in mistake("update", "cancel", "f" * 14)
