"""Cancelling an update: during the download, and before it began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ota import updater as machine
from tests.ota.box import DEADLINE, QUICK, Machine, assert_failed, until
from wire.codes import Code
from wire.ota import OtaEvent


async def test_cancelled_while_downloading(
    box: Machine, order: Callable[..., bytes], server: Any
) -> None:
    loop, held = asyncio.get_running_loop(), asyncio.Event()

    def hold(handler: Any, data: bytes, start: int) -> None:
        loop.call_soon_threadsafe(held.set)
        handler.send_file(data, start, cut=100_000)

    patient = replace(QUICK, attempts=9, total=9, first=DEADLINE, longest=DEADLINE)
    box.settings = replace(box.settings, download=replace(box.settings.download, retry=patient))
    server.script.append(hold)
    updater = box.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order())
    await until(held.is_set, runner)
    assert (await updater.cancel("78"))[0] is Code.NOT_FOUND
    assert (await updater.cancel("77")) == (Code.CHANGED, "update 77 is cancelled")
    assert box.task.reported
    assert (await updater.cancel("77")) == (Code.CHANGED, "update 77 is FAILED")
    assert (await updater.take_order(order(transaction="79")))[0] is Code.CHANGED
    await until(box.restarts.is_set, runner)
    assert box.task.transaction == "79"
    assert (await updater.cancel("79"))[0] is Code.CONFLICT
    runner.cancel()
    await asyncio.wait([runner])
    assert [final["event"] for final in box.outbox.finals()] == [OtaEvent.REJECT]
    assert box.outbox.finals()[0]["description"] == "cancelled: by an order"


async def test_cancelled_before_it_began(
    box: Machine, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CANCEL_PATIENCE", 0.01)
    updater = box.start()
    await updater.take_order(order())
    assert (await updater.cancel("77")) == (Code.CHANGED, "update 77 is being cancelled")
    runner = asyncio.create_task(updater.run())
    await until(lambda: box.task.reported, runner)
    runner.cancel()
    await asyncio.wait([runner])
    await assert_failed(box, OtaEvent.REJECT, "cancelled")
