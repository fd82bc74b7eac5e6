"""The ledger on the disk, without and with a cloud that erases."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.link import LostError, ReportRejectedError
from agent.voice import ledger as module
from agent.voice.ledger import FILE_NAME, Ledger
from agent.voice.ledger_book import Entry, Erased
from base.backoff import Backoff
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import until
from tests.moved_clock import Since, on_moved_clock
from wire.abilities import VOICE_ERASE

SENT = Entry(0, 1000, "button", seconds=1.5, bytes=900, utterance=10_001, end="sent", to="c:1")


@contextlib.asynccontextmanager
async def running(ledger: Ledger, link: MemoryLink) -> AsyncIterator[None]:
    task = asyncio.create_task(ledger.run(link))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def reading_cloud(*script: Any) -> MemoryLink:
    link = MemoryLink(*script)
    link.cloud_abilities = frozenset({VOICE_ERASE})
    return link


async def states(ledger: Ledger) -> list[str]:
    found: Any = (await ledger.shown())["entries"]
    return [entry["erased"] for entry in found[::-1]]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path, lambda: 5000.0)


async def test_it_is_the_same_after_a_restart(ledger: Ledger, tmp_path: Path) -> None:
    await ledger.add(SENT)
    await ledger.note_days(30)
    await ledger.erase([1])
    again = Ledger(tmp_path, lambda: 6000.0)
    shown: Any = await again.shown()
    assert (shown["days"], shown["fault"]) == (30, None)
    assert (shown["entries"][0]["erased"], shown["entries"][0]["bytes"]) == ("waiting", 900)


async def test_an_order_without_a_cloud_waits_and_is_done_when_it_is_there(
    ledger: Ledger,
) -> None:
    link = reading_cloud()
    link.registered.clear()
    await ledger.add(SENT)
    assert await ledger.erase(None) == (1, set())
    async with running(ledger, link):
        await asyncio.sleep(0)
        assert await states(ledger) == [Erased.WAITING]
        link.registered.set()
        async with asyncio.timeout(60):
            while await states(ledger) != [Erased.DONE]:
                await asyncio.sleep(0)
    assert link.reports == [{"voice_erase": {"utterances": [{"id": 10_001, "at": 1_000_000}]}}]


@pytest.mark.parametrize("failure", [LostError("cut"), ReportRejectedError("4.00")])
async def test_a_try_that_fails_is_made_again(
    ledger: Ledger, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST", 0.001)
    link = reading_cloud(failure)
    await ledger.add(SENT)
    async with running(ledger, link):
        await ledger.erase([1])
        await until(lambda: len(link.tried) == 2)
        async with asyncio.timeout(60):
            while await states(ledger) != [Erased.DONE]:
                await asyncio.sleep(0)


@on_moved_clock
async def test_a_cloud_that_does_not_read_it_is_not_asked(ledger: Ledger) -> None:
    link = MemoryLink()
    await ledger.add(SENT)
    async with running(ledger, link):
        await ledger.erase([1])
        await asyncio.sleep(3600)
    assert (link.tried, await states(ledger)) == ([], [Erased.WAITING])


async def test_a_number_that_is_not_there_orders_nothing(ledger: Ledger) -> None:
    await ledger.add(SENT)
    assert await ledger.erase([1, 9]) == (0, {9})
    assert await states(ledger) == [Erased.NO]


async def test_a_disk_that_takes_nothing_is_told_and_the_ledger_goes_on_in_memory(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path / "none", lambda: 0.0)
    await ledger.add(SENT)
    shown: Any = await ledger.shown()
    assert len(shown["entries"]) == 1
    assert "No such file" in shown["fault"]


async def test_a_damaged_file_begins_anew(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"{")
    await ledger.add(SENT)
    assert await states(Ledger(tmp_path, lambda: 0.0)) == [Erased.NO]


@on_moved_clock
async def test_a_cloud_that_erases_nothing_is_asked_after_two_seconds_and_ever_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, since, asked = Ledger(tmp_path, lambda: 5000.0), Since(), list[int]()

    async def opened() -> Any:
        return SimpleNamespace(waiting=lambda: ["an utterance"])

    async def refused(_link: Any) -> bool:
        asked.append(round(since.seconds))
        return False

    monkeypatch.setattr(module, "Backoff", functools.partial(Backoff, jitter=0.0))
    monkeypatch.setattr(ledger, "_opened", opened)
    monkeypatch.setattr(ledger, "_erase_there", refused)
    link: Any = SimpleNamespace(registered=asyncio.Event())
    link.registered.set()
    running = asyncio.create_task(ledger.run(link))
    await asyncio.sleep(1111)
    running.cancel()
    assert asked == [0, 2, 6, 14, 30, 62, 126, 254, 510, 810, 1110]
