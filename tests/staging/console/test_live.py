"""The format of server-sent events, and the id that a browser reconnects with."""

from __future__ import annotations

import json

import pytest

from staging.console import live


def test_events_are_one_line_of_json_whatever_they_hold() -> None:
    text = live.event("report", {"value": "a\n\ndata: b\r\n音量"}, 7).decode()
    head, name, data, rest = text.split("\n", 3)
    assert (head, name, rest) == ("id: 7", "event: report", "\n")
    assert json.loads(data.removeprefix("data: ")) == {"value": "a\n\ndata: b\r\n音量"}


@pytest.mark.parametrize(
    ("header", "expected"), [("17", 17), ("", None), (None, None), ("-1", None), ("9" * 30, None)]
)
def test_last_event_id(header: str | None, expected: int | None) -> None:
    assert live.last_event_id(header) == expected
