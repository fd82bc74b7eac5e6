"""The line in ``systemctl status`` and the counts, on a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agent.vitals import Vitals, status_line

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
POLL_SECONDS = 5.0

ONLINE: dict[str, Any] = {"link": {"state": "online"}}


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (ONLINE, "online"),
        ({"link": {"state": "waiting"}}, "offline (waiting)"),
        (ONLINE | {"play": {"state": "playing", "title": "Geheim"}}, "online; plays"),
        (ONLINE | {"play": {"state": "paused"}}, "online; paused"),
        (ONLINE | {"update": {"state": "RUNNING", "version": "1.2", "percent": 0.404}}, "online; updates to 1.2 (40%)"),
        (ONLINE | {"update": {"state": "CREATED", "version": "1.2", "percent": None}}, "online; updates to 1.2"),
        (ONLINE | {"update": {"state": "INSTALLED", "version": "1.2", "onTrial": True}}, "online; tries version 1.2"),
        (ONLINE | {"update": {"state": "SUCCESS", "version": "1.2"}, "trouble": "full"}, "online; trouble with the state folder"),
        ({"setup": {"waits_for": "profile"}, "link": {"state": "setup"}}, "waits for profile"),
        ({}, "offline (None)"),
    ],
)  # fmt: skip
def test_lines(status: dict[str, Any], line: str) -> None:
    assert status_line(status) == line


async def test_systemd_hears_changes_alone_and_playing_is_counted() -> None:
    now, told = 0.0, list[str]()
    status: dict[str, Any] = {**ONLINE, "play": {"state": "idle"}}

    async def ask() -> Mapping[str, object]:
        return status

    vitals = Vitals(ask, told.append, lambda: now)
    for state, seconds in (("playing", 5.0), ("playing", 5.0), ("idle", 5.0), ("playing", 3600.0)):
        status["play"] = {"state": state}
        now += seconds
        await vitals.look()
    assert told == ["STATUS=online; plays", "STATUS=online", "STATUS=online; plays"]
    # A machine that slept for an hour has not played for one.
    assert vitals.counts.play_seconds == 10 + 2 * POLL_SECONDS
