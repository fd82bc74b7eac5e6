"""Whose frames are kept, for how long and how many, by a clock of the test's.

Tests staging.wirelog.works too, but for the command.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

import pytest

from staging.errors import StagingError
from staging.wirelog import log as wirelog
from staging.wirelog.frames import Piece
from staging.wirelog.log import COAP, DOWN, UP, WireLog
from staging.wirelog.works import first_of
from wire.framing import encode_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEEP_SECONDS = 600.0

UUID, OTHER = "0083000000000a", "0083000000000b"
PING = encode_frame(b"\x40\0\x12\x34")


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def kept(log: WireLog, uuid: str = UUID) -> list[int]:
    return [entry.number for entry in log.entries(uuid)]


def add(log: WireLog, uuid: str = UUID, data: bytes = PING) -> None:
    log.add(uuid, UP, COAP, 1, Piece(data, len(data)))


def test_nothing_is_kept_of_a_device_that_nobody_watches() -> None:
    log = WireLog(lambda: 7)
    add(log)
    log.note(UUID, COAP, 1, "connected")
    assert kept(log) == []
    log.watch(UUID, [])
    add(log)
    add(log, OTHER)
    assert kept(log) == [1]
    assert kept(log, OTHER) == []
    (entry,) = log.entries(UUID)
    assert entry.to_json()["hex"] == PING.hex()
    assert entry.to_json()["view"]["code"] == "ping"  # type: ignore[index]


def test_a_watch_ends_by_itself_and_what_was_kept_later() -> None:
    clock = Clock()
    log = WireLog(lambda: 7, clock)
    log.watch(UUID, [], 60)
    log.watch(UUID, [], 5)  # a look does not shorten what was switched on
    assert log.left(UUID) == 60
    add(log)
    clock.now += 61
    add(log)
    assert kept(log) == [1]
    assert log.left(UUID) == 0
    clock.now += KEEP_SECONDS
    log.watch(OTHER, [])
    assert kept(log) == []


def test_it_can_be_switched_off() -> None:
    log = WireLog(lambda: 7)
    log.watch(UUID, [], 3600)
    add(log)
    log.unwatch(UUID)
    log.unwatch(OTHER)
    add(log)
    assert kept(log) == [1]


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wirelog, "ENTRIES_LIMIT", 3)
    log = WireLog(lambda: 7)
    log.watch(UUID, [])
    for _ in range(5):
        add(log)
    assert kept(log) == [3, 4, 5]
    assert log.dropped(UUID) == 2
    monkeypatch.setattr(wirelog, "BYTES_LIMIT", 2 * len(PING))
    add(log)
    assert kept(log) == [5, 6]


def test_five_thousand_frames_or_four_megabytes_are_kept_of_a_device() -> None:
    log = WireLog(lambda: 7)
    log.watch(UUID, [])
    for _ in range(5001):
        add(log)
    assert (len(kept(log)), log.dropped(UUID)) == (5000, 1)
    log.watch(OTHER, [])
    for _ in range(5):
        add(log, OTHER, bytes(1024 * 1024))
    assert (kept(log, OTHER), log.dropped(OTHER)) == ([2, 3, 4, 5], 1)


def test_few_devices_are_watched_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wirelog, "DEVICES_LIMIT", 2)
    clock = Clock()
    log = WireLog(lambda: 7, clock)
    for uuid in ("a", "b"):
        log.watch(uuid, [])
        add(log, uuid)
    with pytest.raises(StagingError, match="2 devices are on already"):
        log.watch("c", [])
    log.unwatch("b")
    clock.now += 1
    log.watch("c", [])
    assert kept(log, "b") == []  # it made room
    assert kept(log, "a") == [1]


async def test_whoever_waits_is_told_of_a_frame_and_of_the_end() -> None:
    log = WireLog(lambda: 7)
    log.watch(UUID, [])
    events: list[Callable[[], None]] = [functools.partial(add, log), log.close]
    for later in events:
        waiting = asyncio.create_task(log.wait(UUID, kept(log)[-1] if kept(log) else 0, 60))
        await asyncio.sleep(0)
        assert not waiting.done()
        later()
        await waiting
    await log.wait(OTHER, 0, 60)


def test_an_answer_has_as_much_as_fits_and_at_least_one() -> None:
    log = WireLog(lambda: 7)
    log.watch(UUID, [])
    for _ in range(4):
        log.add(UUID, DOWN, COAP, 1, Piece(bytes(1000), 1000))
    assert len(first_of(log.entries(UUID), limit=10_000)) == 2
    assert len(first_of(log.entries(UUID), limit=10)) == 1
    assert len(first_of(log.entries(UUID, after=3), limit=10_000)) == 1
    assert first_of([]) == []
