"""Two machines with one identity: a copied card; and one machine that only comes back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from staging.errors import StoreBusyError
from staging.gateway.twins import Twins
from staging.store import Database, devices
from tests.staging.conftest import FakeClock
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


@dataclass
class Noted:
    """What is counted, as of one process: its own memory, and a store that others use too."""

    database: Database
    clock: FakeClock
    ticks: Ticks
    told: list[str] = field(default_factory=list)

    def process(self) -> Twins:
        """Return what another process begins with."""
        return Twins(self.database, self.clock, self.told.append, self.ticks)

    def pass_time(self, seconds: float) -> None:
        self.ticks.now += seconds
        self.clock.now += int(seconds * 1000)


@pytest.fixture
def noted(database: Database, clock: FakeClock) -> Noted:
    database.call(devices.add, UUID, 0)
    return Noted(database, clock, Ticks())


@pytest.mark.one_database
def test_one_sign_may_be_chance_and_old_ones_do_not_count(noted: Noted) -> None:
    twins = noted.process()
    for _ in range(SIGNS - 1):
        twins.note(UUID)
    noted.pass_time(WINDOW_SECONDS)
    for _ in range(SIGNS - 1):
        twins.note(UUID)
    assert not twins.suspects(UUID)
    noted.pass_time(1)
    assert noted.told == []
    for _ in range(2):
        twins.note(UUID)
    assert noted.told == [UUID]  # what makes it certain is told once
    assert twins.suspects(UUID)
    assert not twins.suspects("another")
    noted.pass_time(WINDOW_SECONDS)
    assert not twins.suspects(UUID)


@pytest.mark.one_database
def test_one_that_tries_every_five_minutes_is_refused_for_as_long_as_it_does(noted: Noted) -> None:
    twins = noted.process()
    for _ in range(3):
        twins.note(UUID)
    for _ in range(20):
        noted.pass_time(300.0)
        assert twins.suspects(UUID)
        twins.note(UUID)
    assert noted.told == [UUID]
    noted.pass_time(600.0)
    assert not twins.suspects(UUID)
    twins.note(UUID)  # one may be chance again
    assert not twins.suspects(UUID)


@pytest.mark.one_database
def test_the_devices_kept_in_mind_are_bounded(noted: Noted) -> None:
    twins = noted.process()
    for number in range(DEVICES_LIMIT + 1):
        for _ in range(SIGNS):
            twins.note(str(number))
    assert not twins.suspects("0")
    assert twins.suspects(str(DEVICES_LIMIT))


async def test_a_process_that_comes_later_knows_for_as_long_as_the_last_sign_counts(
    noted: Noted,
) -> None:
    twins = noted.process()
    for _ in range(SIGNS):
        twins.note(UUID)
    await twins.save()
    noted.pass_time(400.0)
    later = noted.process()
    assert not later.suspects(UUID)
    assert await later.knows(UUID)
    assert not await later.knows("another")
    assert noted.told == [UUID, UUID]  # each process has those who look at it
    noted.pass_time(WINDOW_SECONDS - 400.0)
    assert not await later.knows(UUID)
    assert not await noted.process().knows(UUID)


async def test_a_sign_that_one_process_saw_counts_for_the_other(noted: Noted) -> None:
    """The one that is refused asks whichever worker the broker chooses."""
    one, other = noted.process(), noted.process()
    for each in (one, other):
        for _ in range(SIGNS):
            each.note(UUID)
        await each.save()
    for _ in range(5):
        noted.pass_time(500.0)
        assert await other.knows(UUID)
        one.note(UUID)
        await one.save()
        await other.look()
    noted.pass_time(500.0)
    assert await other.knows(UUID)
    assert noted.told == [UUID, UUID]


@pytest.mark.one_database
async def test_what_is_not_certain_costs_no_commit_and_what_is_few(
    noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[object] = []
    write = noted.database.write

    async def count(*work: Any) -> Any:
        commits.append(work)
        return await write(*work)

    monkeypatch.setattr(noted.database, "write", count)
    twins = noted.process()
    for _ in range(SIGNS - 1):
        twins.note(UUID)
        await twins.save()
    assert commits == []
    for _ in range(20):  # it takes turns each six seconds: two minutes
        noted.pass_time(6.0)
        twins.note(UUID)
        await twins.save()
    assert len(commits) == 1
    noted.pass_time(6.0)
    twins.note(UUID)
    await twins.save()
    assert len(commits) == 2


@pytest.mark.one_database
async def test_what_the_store_has_no_room_for_is_written_later(
    noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = noted.process()
    for _ in range(SIGNS):
        twins.note(UUID)
    with monkeypatch.context() as patch:
        patch.setattr(noted.database, "write", refuse)
        patch.setattr(noted.database, "read", refuse)
        await twins.save()
        assert await twins.knows(UUID)
        assert not await noted.process().knows(UUID)
    await twins.save()
    assert await noted.process().knows(UUID)


async def refuse(*_work: Any) -> None:
    raise StoreBusyError("the disk is full")


@pytest.mark.one_database
@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_a_clock_that_was_set_forgets_it_and_no_more_than_that(
    noted: Noted, step: float
) -> None:
    twins = noted.process()
    for _ in range(SIGNS):
        twins.note(UUID)
    await twins.save()
    noted.clock.now += int(step * 1000)
    assert twins.suspects(UUID)
    assert not await noted.process().knows(UUID)
    noted.pass_time(120.0)
    twins.note(UUID)
    await twins.save()
    assert await noted.process().knows(UUID)


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
    monkeypatch.setattr(cloud.gateway.twins, "note", noted.append)
    second = await cloud.connect()
    assert (await second.register()).code == Code.CONFLICT
    assert noted == [UUID]


async def test_a_cloud_that_was_killed_knows_it_when_it_is_back(
    cloud: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take_turns(cloud)
    await cloud.gateway.twins.save()
    monkeypatch.setattr(cloud.gateway, "twins", Twins(cloud.database, clock, lambda _uuid: None))
    second = await cloud.connect()
    assert (await second.register()).code == Code.CONFLICT
    assert cloud.gateway.has_twin(UUID)


async def test_what_is_certain_is_in_the_store_soon(cloud: Any, clock: FakeClock) -> None:
    await take_turns(cloud)
    later = Twins(cloud.database, clock, lambda _uuid: None)
    async with asyncio.timeout(DEADLINE):
        while not await later.knows(UUID):
            await asyncio.sleep(0.005)


async def test_a_cloud_that_ends_stores_what_it_had_no_room_for(
    cloud: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cloud.database, "write", refuse)
        for _ in range(SIGNS):
            cloud.gateway.twins.note(UUID)
        await cloud.gateway.twins.save()
    await cloud.gateway.stop()
    assert await Twins(cloud.database, clock, lambda _uuid: None).knows(UUID)


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
