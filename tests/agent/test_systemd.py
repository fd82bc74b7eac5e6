"""The service manager, when there is none."""

from __future__ import annotations

import pytest

from agent.systemd import ServiceManager


@pytest.mark.parametrize("limit", ["", "0", "soon"])
async def test_without_a_watchdog_systemd_hears_nothing(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    manager = ServiceManager()
    manager.ready()
    await manager.feed_watchdog()
    manager.stopping()
