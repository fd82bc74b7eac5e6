"""Two machines with one identity: a copied card; and one machine that only comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from staging.gateway.twins import Twins
from wire.codes import Code
from wire.reports import parse_alive_answer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
DEVICES_LIMIT = 1_000
SIGNS = 3
WINDOW_SECONDS = 600.0

UUID = "0083000000000a"
# Only turns a hang into a failure.
DEADLINE = 30.0


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_sign_may_be_chance_and_old_ones_do_not_count() -> None:
    ticks = Ticks()
    twins = Twins(ticks)
    for _ in range(SIGNS - 1):
        assert not twins.note(UUID)
    ticks.now += WINDOW_SECONDS
    for _ in range(SIGNS - 1):
        assert not twins.note(UUID)
    assert not twins.suspects(UUID)
    ticks.now += 1
    assert twins.note(UUID)  # what makes it certain is told once
    assert not twins.note(UUID)
    assert twins.suspects(UUID)
    assert not twins.suspects("another")
    ticks.now += WINDOW_SECONDS
    assert not twins.suspects(UUID)


def test_one_that_tries_every_five_minutes_is_refused_for_as_long_as_it_does() -> None:
    ticks = Ticks()
    twins = Twins(ticks)
    for _ in range(3):
        twins.note(UUID)
    for _ in range(20):
        ticks.now += 300.0
        assert twins.suspects(UUID)
        assert not twins.note(UUID)  # it is told once
    ticks.now += 600.0
    assert not twins.suspects(UUID)
    assert not twins.note(UUID)  # one may be chance again
    assert not twins.suspects(UUID)


def test_the_devices_kept_in_mind_are_bounded() -> None:
    twins = Twins(Ticks())
    for number in range(DEVICES_LIMIT + 1):
        for _ in range(SIGNS):
            twins.note(str(number))
    assert not twins.suspects("0")
    assert twins.suspects(str(DEVICES_LIMIT))


async def found(cloud: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not cloud.gateway.has_twin(UUID):
            await asyncio.sleep(0.005)


async def take_turns(cloud: Any) -> Any:
    """Register two machines in turn until the cloud knows; return the one that is connected."""
    device = await cloud.register()
    for _ in range(SIGNS):
        before, device = device, await cloud.register()
        await before.ended()
    await found(cloud)
    return device


async def test_the_one_that_is_there_stays_and_the_other_is_refused_with_the_reason(
    cloud: Any, caplog: pytest.LogCaptureFixture
) -> None:
    first = await take_turns(cloud)
    assert caplog.text.count("another machine uses this identity") == 1
    second = await cloud.connect()
    refused = await second.register()
    assert refused.code == Code.CONFLICT
    assert b"another machine uses this identity" in refused.payload
    assert cloud.gateway.sessions.get(UUID).connection is not None
    await first.report({"device_info": {"uuid": UUID, "reads": ["deadline"]}})
    told = parse_alive_answer((await first.report({"alive": 0})).payload)
    assert told is not None
    assert told.twin


async def test_each_refusal_is_one_more_sign(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await take_turns(cloud)
    noted: list[str] = []
    monkeypatch.setattr(cloud.gateway._twins, "note", noted.append)
    second = await cloud.connect()
    assert (await second.register()).code == Code.CONFLICT
    assert noted == [UUID]


async def test_a_machine_whose_own_dead_connection_is_there_is_not_refused(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.framed.ANSWER_SECONDS", 0.1)
    first = await take_turns(cloud)
    first.connection._writer.transport.pause_reading()  # its network is gone
    second = await cloud.connect()
    assert (await second.register()).code == Code.CONTENT
    first.connection.abort()


async def test_a_machine_that_comes_back_from_a_dead_network_is_no_twin(cloud: Any) -> None:
    gone = []
    for _ in range(SIGNS + 1):
        device = await cloud.register()
        device.connection._writer.transport.pause_reading()
        gone.append(device)
    async with asyncio.timeout(DEADLINE):
        while len(cloud.gateway._connections) > 1:
            await asyncio.sleep(0.005)
    assert not cloud.gateway.has_twin(UUID)
    for device in gone:
        device.connection.abort()
