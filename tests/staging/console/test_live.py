"""Live pages: the memory of a watcher, and the format of server-sent events."""

from __future__ import annotations

import json

import pytest

from staging.console import live, watchers


async def test_a_watcher_is_told_once_and_holds_a_bounded_set() -> None:
    hub = watchers.Hub(limit=2)
    with hub.watch(None) as every, hub.watch("a") as one:
        with pytest.raises(watchers.TooManyWatchersError), hub.watch(None):
            pass
        hub.notify("a")
        hub.notify("a")
        hub.notify("b")
        assert (every.take(), one.take()) == ({"a", "b"}, {"a"})
        assert every.take() == set()
        for number in range(watchers.DIRTY_LIMIT + 5):
            hub.notify(str(number))
        assert every.take() is None
        hub.close()
        await every.wait(60)  # returns at once: the server ends
        assert every.closed
    assert hub.is_full  # closed: accepts no more watchers


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
