"""Delivery from the outbox: order, repetition, rejection, and nothing while the link is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import agent.link.delivery
from agent.link import CloudBusyError, LostError, ReportRejectedError
from agent.link.delivery import deliver
from agent.link.outbox import Outbox
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import until

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    made = Outbox(tmp_path / "outbox.sqlite", 1024 * 1024)
    await made.open()
    yield made
    await made.close()


Delivering = Callable[[MemoryLink], None]


@pytest.fixture
async def delivering(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Delivering]:
    monkeypatch.setattr(agent.link.delivery, "RETRY_MAX_SECONDS", 0.01)
    tasks: list[asyncio.Task[None]] = []
    yield lambda link: tasks.append(asyncio.create_task(deliver(outbox, link)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def levels(link: MemoryLink) -> list[object]:
    """Return what was sent, in order, whether or not it arrived."""
    return [report["volume"] for report in link.tried]


async def put_levels(outbox: Outbox, count: int) -> None:
    for level in range(count):
        await outbox.put("volume", level)


async def test_reports_are_delivered_in_order_and_leave_the_outbox(
    outbox: Outbox, delivering: Delivering
) -> None:
    await put_levels(outbox, 5)
    link = MemoryLink()
    delivering(link)
    await until(outbox.emptied.is_set)
    assert levels(link) == [0, 1, 2, 3, 4]
    await outbox.put("volume", 5)
    await until(outbox.emptied.is_set)
    assert levels(link)[-1] == 5


async def test_nothing_is_sent_until_the_link_is_registered(
    outbox: Outbox, delivering: Delivering
) -> None:
    await put_levels(outbox, 1)
    link = MemoryLink(is_up=False)
    delivering(link)
    for _ in range(10):
        await asyncio.sleep(0)
    assert levels(link) == []
    link.registered.set()
    await until(outbox.emptied.is_set)
    assert levels(link) == [0]


async def test_a_broken_link_repeats_the_report_and_keeps_the_order(
    outbox: Outbox, delivering: Delivering
) -> None:
    """The cloud may have stored it before its answer was lost: at-least-once delivery."""
    await put_levels(outbox, 3)
    link = MemoryLink(None, LostError("gone"), CloudBusyError("5.03 busy"), None)
    delivering(link)
    await until(outbox.emptied.is_set)
    assert levels(link) == [0, 1, 1, 1, 2]


async def test_a_rejected_report_is_dropped_said_so_and_blocks_nothing(
    outbox: Outbox, delivering: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    await put_levels(outbox, 3)
    link = MemoryLink(None, ReportRejectedError("4.00 bad"), None)
    delivering(link)
    await until(outbox.emptied.is_set)
    assert levels(link) == [0, 1, 2]
    assert "the cloud rejects a report of volume, dropped: 4.00 bad" in caplog.text
