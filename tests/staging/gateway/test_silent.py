"""Automatic updates: silent strategies, and orders that commands write to the store.

Tests staging.store.verifying too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from staging.errors import NotForVerificationError, NotFoundError, StagingError, StoreBusyError
from staging.gateway.gateway import Gateway
from staging.gateway.silent import Pace, SilentUpdates
from staging.store import (
    Database,
    accounts,
    devices,
    ota,
    product_setup,
    products,
    releases,
    rollout_acts,
    silent_orders,
)
from staging.store.models import RELEASED, UNVERIFIED, OtaTask
from staging.store.releases import StrategyType, Target
from tests.staging.conftest import FakeClock
from wire.codes import Code
from wire.exchange import Answer
from wire.ota import parse_order

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SILENT_PAUSE_MS = 3_600_000
SILENT_TRIES = 3

UUID = "0083000000000a"
TAKES = {("PUT", "newfirmware"): Answer(Code.CHANGED)}
DEADLINE = 60.0


class TestThroughTheGateway:
    @pytest.fixture
    def pace(self) -> Pace:
        return Pace(scan=0.02, delay_low=0.0, delay_high=0.01, interval=0.005, again=0.02)

    async def test_publishing_reaches_a_connected_device(self, cloud: Any) -> None:
        device = await cloud.register(answers=TAKES)
        cloud.release("1.1", StrategyType.SILENT)
        order = parse_order((await device.expect("PUT", "newfirmware")).payload)
        assert order.version == "1.1"

    async def test_registering_is_an_occasion(self, cloud: Any) -> None:
        cloud.release("1.1", StrategyType.SILENT)
        device = await cloud.connect(answers=TAKES)
        await device.register()
        await device.expect("GET", "resource")
        assert parse_order((await device.expect("PUT", "newfirmware")).payload).version == "1.1"

    async def test_a_version_report_is_an_occasion(self, cloud: Any) -> None:
        """One update leads to the next."""
        cloud.release("1.1", StrategyType.SILENT)
        device = await cloud.register(answers=TAKES)
        first = parse_order((await device.expect("PUT", "newfirmware")).payload)
        cloud.release("1.2", StrategyType.SILENT)
        told = {"transaction": first.transaction, "event": 10}
        assert (await device.report({"ota_event": told})).code == Code.CHANGED
        assert (await device.report({"package_info": {"os": {"version": "1.1"}}})).code == 0x44
        second = parse_order((await device.expect("PUT", "newfirmware")).payload)
        assert (second.version, second.old_version) == ("1.2", "1.1")

    async def test_a_passive_strategy_is_the_users_business(self, cloud: Any) -> None:
        device = await cloud.register(answers=TAKES)
        cloud.release("1.2", StrategyType.PASSIVE)
        cloud.release("1.1", StrategyType.SILENT)
        assert parse_order((await device.expect("PUT", "newfirmware")).payload).version == "1.1"

    async def test_a_verifying_order_is_sent_by_the_server(self, cloud: Any) -> None:
        """The command only writes it."""
        device = await cloud.register(answers=TAKES)
        package = add_unverified(cloud.database, "1.1")
        task = cloud.database.call(ota.order_verification, UUID, package, 0)
        order = parse_order((await device.expect("PUT", "newfirmware")).payload)
        assert (order.transaction, order.version) == (str(task.id), "1.1")
        cloud.bind()
        offer = (await cloud.get("/device/ota/new_version", deviceUuid=UUID)).json()["data"]
        assert (offer["otaTaskId"], offer["strategyId"]) == (task.id, 0)

    async def test_an_order_of_a_package_that_is_put_back_is_sent_without_another_registration(
        self, cloud: Any
    ) -> None:
        package = add_unverified(cloud.database, "1.1")
        task = cloud.database.call(ota.order_verification, UUID, package, 0)
        cloud.database.call(releases.note_damage, package, True)
        device = await cloud.register(answers=TAKES)
        await seen(cloud.gateway, package, task.id)
        cloud.database.call(releases.note_damage, package, False)
        order = parse_order((await device.expect("PUT", "newfirmware")).payload)
        assert order.transaction == str(task.id)

    async def test_a_strategy_of_a_package_that_is_put_back_reaches_a_connected_device(
        self, cloud: Any
    ) -> None:
        package, _ = cloud.release("1.1", StrategyType.SILENT)
        cloud.database.call(releases.note_damage, package, True)
        device = await cloud.register(answers=TAKES)
        await seen(cloud.gateway, package)
        cloud.database.call(releases.note_damage, package, False)
        assert parse_order((await device.expect("PUT", "newfirmware")).payload).version == "1.1"


async def seen(gateway: Gateway, package: int, task: int = 0) -> None:
    """Wait until the gateway has passed over a task, and over what it considered, of a damaged package."""
    silent = gateway._silent
    async with asyncio.timeout(DEADLINE):
        while package not in silent._damaged or silent._last_task < task or silent._due:
            await asyncio.sleep(0.005)


def add_unverified(database: Database, version: str) -> int:
    target = Target(f"{version}.tar", 521, "0" * 32, "0" * 64)
    package = database.call(releases.add_package, version, target, "", 0, status=UNVERIFIED)
    return int(package.id)


def publish(database: Database, version: str = "1.1") -> int:
    target = Target(f"{version}.tar", 521, "0" * 32, "0" * 64)
    package = database.call(releases.add_package, version, target, "", 0)
    strategy = database.call(releases.add_strategy, version, StrategyType.SILENT, [], [], 0)
    database.call(rollout_acts.start, strategy.id, 0)
    return int(package.id)


# The pace, with real stores and a list in place of a gateway.


class Fleet:
    """A number of connected devices, and the orders that were sent to them."""

    def __init__(self, database: Database, count: int, pace: Pace) -> None:
        product = database.call(products.default_product, 0)
        _, made = database.call(product_setup.add_batch, product.id, "fleet", count, 0)
        self.database = database
        self.online = {device.uuid for device in made}
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self._seen: set[str] = set()
        self.updates = SilentUpdates(
            database,
            lambda: 0,
            online=lambda: self.online,
            send=self._send,
            pace=pace,
        )

    def _send(self, uuid: str) -> None:
        # The gateway, too, sends an accepted order only once, however often it is called.
        if uuid not in self._seen:
            self._seen.add(uuid)
            self.sent.put_nowait(uuid)

    async def next(self) -> str:
        async with asyncio.timeout(DEADLINE):
            return await self.sent.get()

    def finish(self, uuid: str) -> None:
        def work(session: Any) -> None:
            device = devices.get(session, uuid)
            task = session.query(OtaTask).filter_by(device_id=device.id).one()
            task.status = "FAILED"

        self.database.call(work)


@pytest.fixture
async def fleet(database: Database) -> AsyncIterator[Fleet]:
    made = Fleet(database, 12, Pace(0.01, 0.0, 0.01, 0.001, running=3))
    task = asyncio.create_task(made.updates.run())
    yield made
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_no_more_at_once_than_the_server_can_feed(fleet: Fleet) -> None:
    publish(fleet.database)
    seen = []
    for _ in range(4):
        batch = [await fleet.next() for _ in range(3)]
        running = fleet.database.call(silent_orders.running, -1, 2**62)
        assert running == 3
        assert fleet.sent.empty()
        for uuid in batch:
            fleet.finish(uuid)
        seen += batch
    assert sorted(seen) == sorted(fleet.online)


async def test_a_device_that_went_gets_no_order(fleet: Fleet) -> None:
    gone = sorted(fleet.online)[:10]
    fleet.online -= set(gone)
    for uuid in gone:
        fleet.updates._due[uuid] = 0.0
    publish(fleet.database)
    assert {await fleet.next(), await fleet.next()} == fleet.online
    tasks = fleet.database.call(ota.unsent_after, 0)
    assert {uuid for _, uuid in tasks} == fleet.online


async def test_a_store_that_fails_once_is_tried_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right, failures = silent_orders.running, 0

    def fail_once(*arguments: Any) -> int:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise StoreBusyError("busy")
        return right(*arguments)

    monkeypatch.setattr(silent_orders, "running", fail_once)
    publish(fleet.database)
    assert await fleet.next() in fleet.online
    assert failures > 1
    assert caplog.text == ""  # the store tells of its trouble itself, once


async def test_nothing_is_considered_without_a_silent_strategy(fleet: Fleet) -> None:
    for uuid in fleet.online:
        fleet.updates.consider(uuid)
    assert not fleet.updates._due


# Decisions of the store


def fail_latest(session: Any, uuid: str, now: int) -> None:
    device = devices.get(session, uuid)
    task = session.query(OtaTask).filter_by(device_id=device.id, status="CREATED").one()
    task.status, task.update_time = "FAILED", now


def test_a_failed_silent_update_is_tried_again_later_and_not_for_ever(database: Database) -> None:
    database.call(devices.add, UUID, 0)
    publish(database)
    now = 0
    for _ in range(SILENT_TRIES):
        assert database.call(silent_orders.order, UUID, now) is not None
        assert database.call(silent_orders.order, UUID, now) is None  # in progress
        database.call(fail_latest, UUID, now)
        assert database.call(silent_orders.order, UUID, now + SILENT_PAUSE_MS - 1) is None
        now += SILENT_PAUSE_MS
    assert database.call(silent_orders.order, UUID, now + 10 * SILENT_PAUSE_MS) is None
    # A newer release starts the count again.
    publish(database, "1.2")
    assert database.call(silent_orders.order, UUID, now) is not None


def test_nothing_for_unknown_devices_or_without_an_offer(database: Database) -> None:
    database.call(devices.add, UUID, 0)
    assert database.call(silent_orders.order, "f" * 14, 0) is None
    assert database.call(silent_orders.order, UUID, 0) is None


def test_an_update_that_stalls_does_not_hold_the_others_up(database: Database) -> None:
    database.call(devices.add, UUID, 0)
    publish(database)
    database.call(silent_orders.order, UUID, 1000)
    assert database.call(silent_orders.running, 1000, 2000) == 1
    assert database.call(silent_orders.running, 1001, 2000) == 0
    assert database.call(silent_orders.running, 0, 999) == 0  # from while our clock was ahead


@pytest.mark.one_database
async def test_an_update_without_a_report_for_ten_minutes_gives_its_place_up(
    database: Database, clock: FakeClock
) -> None:
    database.call(devices.add, UUID, 0)
    publish(database)
    database.call(silent_orders.order, UUID, clock.now)
    updates = SilentUpdates(
        database, clock, online=set, send=lambda _uuid: None, pace=Pace(running=1)
    )
    clock.now += 600_000
    assert await updates._is_full()
    clock.now += 1
    assert not await updates._is_full()


# Verification


def test_a_package_is_offered_only_after_a_device_verified_it(database: Database) -> None:
    database.call(devices.add, UUID, 0)
    package = add_unverified(database, "1.1")

    def plan(session: Any) -> Any:
        return releases.add_strategy(session, "1.1", StrategyType.PASSIVE, [], [], 0)

    with pytest.raises(StagingError, match=r"version 1\.1: it is UNVERIFIED"):
        database.call(plan)
    with pytest.raises(StagingError, match="no device that verified it reports SUCCESS"):
        database.call(releases.release, package, 0)
    task = database.call(ota.order_verification, UUID, package, 0)
    with pytest.raises(StagingError, match="task 1 is CREATED"):
        database.call(ota.order_verification, UUID, package, 0)

    def succeed(session: Any) -> None:
        session.get(OtaTask, task.id).status = "SUCCESS"

    database.call(succeed)
    assert database.call(releases.release, package, 7).status == RELEASED
    assert database.call(plan).package_id == package
    assert [(t.id, u) for t, u in database.call(ota.verifications, package)] == [(task.id, UUID)]
    with pytest.raises(StagingError, match="verified already"):
        database.call(ota.order_verification, UUID, package, 0)


def test_what_cannot_be_verified(database: Database) -> None:
    database.call(devices.add, UUID, 0)
    lamp = database.call(product_setup.add_product, "lamp", 0, test_devices=0)
    target = Target("1.tar", 1, "0" * 32, "0" * 64)
    other = database.call(
        releases.add_package, "1", target, "", 0, product_id=lamp.id, status=UNVERIFIED
    )
    with pytest.raises(StagingError, match="not of the product"):
        database.call(ota.order_verification, UUID, other.id, 0)
    with pytest.raises(NotFoundError, match="package 99"):
        database.call(ota.order_verification, UUID, 99, 0)
    with pytest.raises(NotFoundError, match="package 99"):
        database.call(releases.release, 99, 0)
    with pytest.raises(NotFoundError, match="device f"):
        database.call(ota.order_verification, "f" * 14, other.id, 0)


@pytest.mark.parametrize(
    ("version", "owner", "by_console", "by_command"),
    [
        (0, None, True, True),
        (0, "family", True, True),
        (1, "tester", True, False),
        (1, None, False, True),
        (1, "family", False, False),
    ],
)
def test_what_is_not_verified_runs_on_no_familys_machine(
    database: Database, version: int, owner: str | None, by_console: bool, by_command: bool  # noqa: FBT001  # a table
) -> None:  # fmt: skip
    tester = database.call(accounts.find_or_make, "tester", 0)
    made = database.call(devices.add, UUID, 0, version=version)
    if owner:
        account = database.call(accounts.find_or_make, owner, 0)
        database.call(devices.bind, UUID, made.bind_token or "", account.id, 0)
    package = add_unverified(database, "1.1")
    for account_id, allowed in ((tester.id, by_console), (None, by_command)):
        if not allowed:
            with pytest.raises(NotForVerificationError, match="it is in use"):
                database.call(ota.order_verification, UUID, package, 0, account_id)
            continue
        task = database.call(ota.order_verification, UUID, package, 0, account_id)
        database.call(ota.cancel, task.id, "over", 0)


async def test_the_gateways_own_work_ends_with_it(cloud: Any) -> None:
    gateway: Gateway = cloud.gateway
    work = list(gateway._work)
    assert work
    assert not any(task.done() for task in work)
    await gateway.stop()
    assert all(task.done() for task in work)
