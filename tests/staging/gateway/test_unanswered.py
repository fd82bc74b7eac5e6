"""Orders and cancellations that a device which is there does not answer: sent again, ever more rarely, as long as they hold."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from staging.errors import DeviceSilentError, StoreBusyError
from staging.gateway.orders import Orders
from staging.gateway.session import Session, Sessions
from staging.store import Database, devices, ota, releases, rollout_acts
from staging.store.devices import Identity
from staging.store.models import UNVERIFIED
from staging.store.releases import StrategyType, Target
from tests.staging.conftest import FakeClock
from transport.errors import RequestTimeoutError, StreamClosedError
from wire.codes import Code
from wire.exchange import Answer, Terms
from wire.ota import parse_cancel_query, parse_order

UUID = "0083000000000a"
CHANGED = Answer(Code.CHANGED)
DAY_MS = 86_400_000


class Peer:
    """A device's connection, on which nothing is dropped."""

    def close(self, reason: str) -> None:
        del reason

    def reset(self, reason: str) -> None:
        del reason


class Line:
    """What reaches one device: it notes what is asked, and answers, or does not."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Answer | Exception = RequestTimeoutError("nothing for 10 s")
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """What happens while the next request is on its way."""

    async def request(
        self, connection: Any, /, method: str, path: tuple[str, ...], payload: bytes = b"",
        *, query: tuple[str, ...] = (), deadline: float, terms: Terms | None = None,
    ) -> Answer:  # fmt: skip
        del connection, path, deadline, terms
        is_order = method == "PUT"
        number = parse_order(payload).transaction if is_order else parse_cancel_query(query)
        self.asked.append(number if is_order else f"cancel {number}")
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def watch(self, connection: Any, /, quiet: float) -> None:
        """Test no connection."""


class Bench:
    """A store, a device that is there, and the orders of one process; time passes by hand."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database, self.clock, self.now = database, clock, 1000.0
        self.device = database.call(devices.add, UUID, 0)
        self.line = Line()
        self.is_owner = True
        self.sessions = Sessions()
        self.orders = self.process()
        self.session = self.register()

    def process(self, sessions: Sessions | None = None) -> Orders:
        return Orders(
            self.database, sessions or self.sessions, self.clock, api_url=lambda: "http://cloud", changed=lambda _uuid: None,
            owns=lambda _uuid: self.is_owner, look_seconds=10.0, monotonic=lambda: self.now,
        )  # fmt: skip

    def register(self) -> Session:
        identity = Identity(self.device.id, UUID, self.device.token)
        session = Session(identity, Peer(), self.line, 10.0, registered_ms=0)
        self.sessions.add(session)
        return session

    def package(self, version: str = "1.1") -> int:
        target = Target(f"{version}.tar", 521, "0" * 32, "0" * 64)
        add = releases.add_package
        return int(self.database.call(add, version, target, "", 0, status=UNVERIFIED).id)

    def order(self) -> str:
        task = self.database.call(ota.order_verification, UUID, self.package(), self.clock.now)
        return str(task.id)

    async def look(self, seconds: float = 10.0) -> list[str]:
        """Return what one look sends, so many seconds after the one before."""
        self.now += seconds
        self.clock.now += int(seconds * 1000)
        self.line.asked.clear()
        await self.orders.look()
        while self.session.tasks:
            await asyncio.gather(*self.session.tasks)
        return list(self.line.asked)


@pytest.fixture
def bench(database: Database, clock: FakeClock) -> Bench:
    return Bench(database, clock)


async def test_an_order_is_sent_again_until_the_device_answers(bench: Bench) -> None:
    number = bench.order()
    assert await bench.look() == [number]
    bench.line.answer = StreamClosedError("the answer is lost")
    assert await bench.look() == [number]
    bench.line.answer = CHANGED
    assert await bench.look(20.0) == [number]
    assert await bench.look(10_000.0) == []


@pytest.mark.one_database
async def test_the_pauses_grow_to_ten_minutes(bench: Bench) -> None:
    number = bench.order()
    asked = [seconds for seconds in range(10, 3600, 10) if await bench.look() == [number]]
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert pauses == [10, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600]


@pytest.mark.one_database
async def test_a_registration_within_a_pause_sends_nothing_and_another_order_has_none(
    bench: Bench,
) -> None:
    """A device that hangs at each order comes back each time, and would be sent it each time."""
    number = bench.order()
    for _ in range(2):
        bench.session = bench.register()
        with pytest.raises(DeviceSilentError):
            await bench.orders.send(bench.session)
    for _ in range(3):
        await bench.orders.send(bench.register())
    assert bench.line.asked == [number] * 2
    bench.database.call(
        ota.cancel, int(number), "another one is wanted", bench.clock.now, answered=True
    )
    package = bench.package("1.2")
    newer = bench.database.call(ota.order_verification, UUID, package, bench.clock.now)
    with pytest.raises(DeviceSilentError):
        await bench.orders.send(bench.session)
    assert bench.line.asked[2:] == [str(newer.id)]


@pytest.mark.one_database
async def test_a_cancellation_is_told_again_for_a_day(bench: Bench) -> None:
    number = bench.order()
    del bench.sessions.by_uuid[UUID]
    await bench.orders.cancel(UUID)
    bench.session = bench.register()
    assert await bench.look() == [f"cancel {number}"]
    assert await bench.look() == [f"cancel {number}"]
    assert await bench.look() == [f"cancel {number}"]
    assert await bench.look() == []
    assert await bench.look(DAY_MS / 1000 - 60.0) == [f"cancel {number}"]
    assert await bench.look(60.0) == []


async def test_an_order_that_may_not_go_now_is_sent_once_it_may(bench: Bench) -> None:
    """Nobody has to remember that it waits: neither who puts a package back, nor who resumes a strategy."""
    bench.line.answer = CHANGED
    target = Target("1.1.tar", 521, "0" * 32, "0" * 64)
    package = bench.database.call(releases.add_package, "1.1", target, "", 0)
    strategy = bench.database.call(releases.add_strategy, "1.1", StrategyType.PASSIVE, [], [], 0)
    bench.database.call(rollout_acts.start, strategy.id, 0)
    task = bench.database.call(ota.create, bench.device.id, package.id, strategy.id, 0)
    bench.database.call(rollout_acts.pause, strategy.id)
    bench.database.call(releases.note_damage, package.id, True)
    assert await bench.look() == []
    bench.database.call(rollout_acts.resume, strategy.id, 0)
    assert await bench.look() == []
    bench.database.call(releases.note_damage, package.id, False)
    assert await bench.look() == [str(task.id)]


@pytest.mark.one_database
async def test_of_several_workers_the_devices_own_one_sends_it(bench: Bench) -> None:
    number = bench.order()
    bench.is_owner = False
    assert await bench.look() == []
    bench.is_owner = True  # the one that was is gone
    assert await bench.look() == [number]


async def test_an_order_that_another_workers_cancellation_overtook_is_cancelled_again(
    bench: Bench,
) -> None:
    """Each worker has a session of its own, and no lock of both: the device knows nothing of what is cancelled, and takes it then."""
    number = bench.order()
    sessions = Sessions()
    sessions.add(Session(bench.session.identity, Peer(), bench.line, 10.0, registered_ms=0))

    async def overtake() -> None:
        bench.line.answer = Answer(Code.NOT_FOUND)
        await bench.process(sessions).cancel(UUID)
        bench.line.answer = CHANGED

    bench.line.meanwhile = overtake
    assert await bench.look() == [number, f"cancel {number}"]
    assert await bench.look() == [f"cancel {number}"]
    assert await bench.look(10_000.0) == []


@pytest.mark.one_database
async def test_one_look_sends_once_to_a_device_that_a_cancellation_and_an_order_wait_for(
    bench: Bench,
) -> None:
    number = bench.order()
    del bench.sessions.by_uuid[UUID]
    await bench.orders.cancel(UUID)
    package = bench.package("1.2")
    newer = bench.database.call(ota.order_verification, UUID, package, bench.clock.now)
    bench.session = bench.register()
    assert await bench.look() == [f"cancel {number}", str(newer.id)]


@pytest.mark.one_database
async def test_an_order_that_is_being_sent_is_waited_for(bench: Bench) -> None:
    bench.order()
    async with bench.session.ordering:
        assert await bench.look() == []


@pytest.mark.one_database
async def test_an_answer_that_the_store_could_not_take_is_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.order()
    bench.line.answer = CHANGED
    with monkeypatch.context() as patch:
        patch.setattr(bench.database, "write", _refuse)
        assert await bench.look() == [number]
    assert await bench.look() == [number]
    assert await bench.look() == []


async def _refuse(*_work: Any) -> None:
    raise StoreBusyError("the disk is full")


@pytest.mark.one_database
async def test_one_look_sends_to_fifty_devices_and_the_next_ones_to_the_others(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(Session, "spawn", _note_in(begun))
    bench = Bench(database, clock)
    package = bench.package()
    for number in range(60):
        uuid = f"00830000001{number:03x}" if number else UUID
        device = bench.device if not number else database.call(devices.add, uuid, 0)
        database.call(ota.order_verification, uuid, package, clock.now)
        identity = Identity(device.id, uuid, device.token)
        bench.sessions.add(Session(identity, Peer(), bench.line, 10.0, registered_ms=0))
    await bench.orders.look()
    assert len(begun) == len(set(begun)) == 50


def _note_in(begun: list[str]) -> Callable[..., None]:
    def spawn(session: Session, work: Any) -> None:
        work.close()
        begun.append(session.identity.uuid)

    return spawn
