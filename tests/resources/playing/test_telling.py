"""Who is told what, and how often."""

from __future__ import annotations

import pytest

from resources.playing.events import Event, Started, Stopped
from resources.playing.queue import Track
from resources.playing.telling import Telling

A = Started(Track("a", "/a"))


async def _ignore(_title: str) -> None:
    return


def test_a_stop_is_told_once_and_only_after_a_start() -> None:
    told: list[Event] = []
    telling = Telling(_ignore)
    telling.subscribe(told.append)
    for event in (Stopped(), A, A, Stopped(), Stopped(), A):
        telling.tell(event)
    assert told == [A, A, Stopped(), A]


def test_a_listener_that_fails_does_not_keep_the_others_from_hearing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[Event] = []
    telling = Telling(_ignore)

    def fail(_event: Event) -> None:
        raise KeyError("x")

    telling.subscribe(fail)
    telling.subscribe(told.append)
    telling.tell(A)
    assert told == [A]
    assert "a listener failed" in caplog.text


async def test_a_title_is_reported_when_it_is_another_than_was_told() -> None:
    titles: list[str] = []

    async def note(title: str) -> None:
        titles.append(title)

    telling = Telling(note)
    await telling.report("")
    await telling.report("a")
    await telling.report("a")
    telling.note_told("b")
    await telling.report("b")
    await telling.report("")
    await telling.report_anew("")
    assert titles == ["a", "", ""]
