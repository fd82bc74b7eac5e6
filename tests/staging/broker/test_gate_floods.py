"""One device that sends more than a worker can do takes nothing from the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import staging.broker.gate
from tests.staging.broker.test_gate import Site, authority, site, stored
from tests.waiting import until
from wire.codes import Code
from wire.reports import report_payload
from wire.topics import Kind, Topic

__all__ = ["authority", "site"]
pytestmark = pytest.mark.one_database


async def test_a_flood_of_one_device_is_dropped_and_the_others_are_served(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(staging.broker.gate, "DEVICE_LIMIT", 2)
    await site.work("a")
    gate = site.gates["a"]
    flooder, other = await site.join(0), await site.join(1)
    for thing in (flooder, other):
        await thing.register()
    go, write = asyncio.Event(), site.database.write

    async def slow(work: Any, device_id: int, *more: Any) -> Any:
        if device_id == site.devices[0].id:
            await go.wait()
        return await write(work, device_id, *more)

    monkeypatch.setattr(site.database, "write", slow)
    topic = str(Topic(flooder.uuid, Kind.REPORT))
    answers = str(Topic(flooder.uuid, Kind.CLOUD_ANSWER))
    for number in range(300):  # QoS 0, which no Receive Maximum holds back
        payload, key = report_payload({"volume": number}), b"flood-%d" % number
        flooder.answers[key] = asyncio.get_running_loop().create_future()
        await flooder.say(topic, payload, qos=0, response_topic=answers, correlation=key)
    await until(lambda: gate.dropped == 298)
    assert "more than 2 messages at once" in caplog.text
    assert (await other.report(volume=1)).code == Code.CHANGED
    go.set()
    await until(lambda: not gate._busy)
    assert (await flooder.report(volume=9)).code == Code.CHANGED
    assert stored(site, site.devices[0]) == [0, 1, 9]


def hold_writes(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Hold what is written; return what tells that one has begun, and what lets all go on."""
    begun, go, write = asyncio.Event(), asyncio.Event(), site.database.write

    async def slow(*given: Any) -> Any:
        begun.set()
        await go.wait()
        return await write(*given)

    monkeypatch.setattr(site.database, "write", slow)
    return begun, go


async def test_a_report_that_is_sent_again_while_it_is_worked_on_is_done_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy cloud is asked again after 5 s by every device: it must not do everything twice."""
    await site.work("a")
    thing = await site.join()
    await thing.register()
    begun, go = hold_writes(site, monkeypatch)
    first = asyncio.create_task(thing.report(volume=5))
    await begun.wait()
    there = str(Topic(thing.uuid, Kind.CLOUD_ANSWER))
    for _ in range(3):
        await thing.say(
            str(Topic(thing.uuid, Kind.REPORT)), report_payload({"volume": 5}), qos=1,
            response_topic=there, correlation=str(thing.count).encode(),
        )  # fmt: skip
    go.set()
    assert (await first).code == Code.CHANGED
    assert (await thing.report(volume=6)).code == Code.CHANGED
    assert stored(site, site.devices[0]) == [5, 6]


@pytest.mark.parametrize("returns", [False, True])
async def test_a_device_that_goes_while_its_messages_are_worked_on_is_gone(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, returns: bool
) -> None:
    """A report that waits for its turn makes the device known anew, after its will was heard."""
    gateway = await site.work("a")
    thing = await site.join()
    await thing.register()
    await until(lambda: gateway.is_online(thing.uuid))
    begun, go = hold_writes(site, monkeypatch)
    reports = [asyncio.create_task(thing.report(volume=value)) for value in range(3)]
    await begun.wait()
    await until(lambda: site.gates["a"]._busy[thing.uuid, False] == 3)
    thing.connection.abort("the power is cut")
    await until(lambda: not gateway.is_online(thing.uuid))
    if returns:
        await thing.connect(site)
        reports.append(asyncio.create_task(thing.report(volume=3)))
        await until(lambda: site.gates["a"]._busy[thing.uuid, False] == 4)
    go.set()
    await until(lambda: not site.gates["a"]._busy)
    assert gateway.is_online(thing.uuid) is returns
    assert stored(site, site.devices[0]) == [0, 1, 2, 3][: 3 + returns]
    for report in reports:
        report.cancel()
