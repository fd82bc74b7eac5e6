"""Cancelling an update: during the download, and before it began."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.ota.updater_rig import DEADLINE, QUICK, Unexamined, UpdaterRig, assert_failed, until
from wire.codes import Code
from wire.exchange import Answer
from wire.ota import OtaEvent


async def test_cancelled_while_downloading(
    rig: UpdaterRig, order: Callable[..., bytes], server: Any
) -> None:
    loop, held = asyncio.get_running_loop(), asyncio.Event()

    def hold(handler: Any, data: bytes, start: int) -> None:
        loop.call_soon_threadsafe(held.set)
        handler.send_file(data, start, cut=100_000)

    patient = replace(QUICK, attempts=9, total=9, first=DEADLINE, longest=DEADLINE)
    rig.settings = replace(rig.settings, download=replace(rig.settings.download, retry=patient))
    server.script.append(hold)
    updater = rig.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order())
    await until(held.is_set, runner)
    assert (await updater.cancel("78")).code is Code.NOT_FOUND
    assert (await updater.cancel("77")) == Answer.from_text(Code.CHANGED, "update 77 is cancelled")
    assert rig.task.reported
    assert (await updater.cancel("77")) == Answer.from_text(Code.CHANGED, "update 77 is FAILED")
    assert (await updater.take_order(order(transaction="79"))).code is Code.CHANGED
    await until(rig.restarts.is_set, runner)
    assert rig.task.transaction == "79"
    assert (await updater.cancel("79")).code is Code.CONFLICT
    runner.cancel()
    await asyncio.wait([runner])
    assert [final["event"] for final in rig.outbox.finals()] == [OtaEvent.REJECT]
    assert rig.outbox.finals()[0]["description"] == "cancelled: by an order"


async def test_a_process_that_ends_while_it_cancels_does_not_say_that_it_did(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    undoing, go_on = threading.Event(), threading.Event()

    def held(_installer: Unexamined, _reason: str) -> None:
        undoing.set()
        go_on.wait(DEADLINE)

    monkeypatch.setattr(Unexamined, "roll_back", held)
    rig.host.playing = True
    updater = rig.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order())
    await until(lambda: rig.host.asked > 0, runner)
    cancelling = asyncio.create_task(updater.cancel("77"))
    try:
        await until(undoing.is_set, runner)
        runner.cancel()
        await asyncio.wait([runner])
        for _ in range(20):  # it may go on
            await asyncio.sleep(0)
        assert not cancelling.done()
        assert not rig.task.state.is_final
    finally:
        go_on.set()
        cancelling.cancel()
        await asyncio.wait([cancelling])


async def test_cancelled_before_it_began(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ota.updater.CANCEL_PATIENCE", 0.01)
    updater = rig.start()
    await updater.take_order(order())
    assert (await updater.cancel("77")) == Answer.from_text(
        Code.CHANGED, "update 77 is being cancelled"
    )
    runner = asyncio.create_task(updater.run())
    await until(lambda: rig.task.reported, runner)
    runner.cancel()
    await asyncio.wait([runner])
    await assert_failed(rig, OtaEvent.REJECT, "cancelled")
