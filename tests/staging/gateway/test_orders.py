"""Cancelling an order: the device's answer decides, and its later reports still count."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from staging.errors import (
    CancelRefusedError,
    DeviceOfflineError,
    DeviceSilentError,
    NotFoundError,
    NoUpdateError,
)
from staging.gateway.gateway import Limits
from staging.gateway.session import Session
from staging.store import releases, rollout_acts
from staging.store.models import OtaTask, Strategy
from staging.store.releases import StrategyType
from wire.codes import Code
from wire.exchange import Answer
from wire.ota import parse_cancel_query, parse_order

UUID = "0083000000000a"
PUT, DELETE = ("PUT", "newfirmware"), ("DELETE", "newfirmware")
TAKES = {PUT: Answer(Code.CHANGED), DELETE: Answer(Code.CHANGED, b"update 1 is cancelled")}
CANCELLED = "cancelled: the device is offline"


async def order(cloud: Any, version: str = "1.1") -> Any:
    package, _ = cloud.release(version)
    return await cloud.post("/device/ota/update", packageId=package, deviceUuid=UUID)


async def status(cloud: Any) -> tuple[str, str | None]:
    response = await cloud.get("/device/ota/update/status", deviceUuid=UUID)
    data = response.json()["data"]
    return data["status"], data.get("failure")


async def event(device: Any, number: int, transaction: str = "1", **more: Any) -> None:
    value = {"transaction": transaction, "event": number, **more}
    assert (await device.report({"ota_event": value})).code == Code.CHANGED


async def runs(device: Any, version: str) -> None:
    await device.report({"package_info": {"os": {"version": version}}})


async def drop(cloud: Any, device: Any) -> None:
    """Disconnect the device, and wait until the cloud has noticed."""
    await device.close()
    async with asyncio.timeout(60):
        while cloud.gateway.is_online(UUID):
            await asyncio.sleep(0.005)


@pytest.fixture
async def ordered(cloud: Any) -> Any:
    """A device that has accepted the order of version 1.1 and begun the update."""
    cloud.bind()
    device = await cloud.register(answers=dict(TAKES))
    assert (await order(cloud)).status_code == 201
    await device.expect(*PUT)
    await cloud.settle()
    await event(device, 0)
    return device


async def test_a_device_that_gives_it_up_ends_the_task_with_its_report(
    cloud: Any, ordered: Any
) -> None:
    task = await cloud.gateway.cancel_update(UUID)
    assert task.status == "RUNNING"
    request = await ordered.expect(*DELETE)
    assert (parse_cancel_query(request.query), request.payload) == ("1", b"")
    await event(ordered, 4, percent=0.5)  # was in transit when the cancellation was sent
    assert await status(cloud) == ("RUNNING", None)
    await event(ordered, 12, description="cancelled: by an order")
    assert await status(cloud) == ("FAILED", "cancelled: by an order")
    assert (await order(cloud, "1.2")).status_code == 201


async def test_a_device_that_never_reports_it_is_not_waited_for_a_second_time(
    cloud: Any, ordered: Any
) -> None:
    del ordered
    await cloud.gateway.cancel_update(UUID)
    task = await cloud.gateway.cancel_update(UUID)
    reason = "cancelled: the device gave it up before and did not report that"
    assert (task.status, task.failure) == ("FAILED", reason)
    with pytest.raises(NoUpdateError, match=f"device {UUID}: no update is under way"):
        await cloud.gateway.cancel_update(UUID)


async def test_a_device_that_lost_its_disk_does_not_keep_the_task(cloud: Any, ordered: Any) -> None:
    ordered.answers[DELETE] = Answer(Code.NOT_FOUND, b"there is no update 1")
    task = await cloud.gateway.cancel_update(UUID)
    assert (task.status, task.failure) == ("FAILED", "cancelled: the device does not know it")
    # The cancellation is not sent again when the device reconnects.
    again = await cloud.register(answers=TAKES)
    assert again.asked.empty()


@pytest.mark.parametrize(
    ("code", "text"),
    [(Code.CONFLICT, "4.09 update 1 is being switched to"), (Code.METHOD_NOT_ALLOWED, "4.05")],
)
async def test_a_device_that_refuses_keeps_its_update(
    cloud: Any, ordered: Any, code: Code, text: str
) -> None:
    ordered.answers[DELETE] = Answer(code, text[5:].encode())
    with pytest.raises(CancelRefusedError, match=f"device {UUID} does not give it up: {text}"):
        await cloud.gateway.cancel_update(UUID)
    assert await status(cloud) == ("RUNNING", None)
    await event(ordered, 10)
    await runs(ordered, "1.1")
    assert await status(cloud) == ("SUCCESS", None)


@pytest.mark.parametrize("limits", [Limits(registration=30, control=0.2, idle=30)])
@pytest.mark.one_database
async def test_a_device_that_does_not_answer_may_be_asked_again(cloud: Any, ordered: Any) -> None:
    del ordered.answers[DELETE]
    ordered.silent.set()
    with pytest.raises(DeviceSilentError):
        await cloud.gateway.cancel_update(UUID)
    assert await status(cloud) == ("RUNNING", None)


async def test_an_offline_device_is_told_when_it_comes_back_and_before_the_next_order(
    cloud: Any, ordered: Any
) -> None:
    await drop(cloud, ordered)
    task = await cloud.gateway.cancel_update(UUID)
    assert (task.status, task.failure) == ("FAILED", CANCELLED)
    assert (await order(cloud, "1.2")).status_code == 201
    device = await cloud.connect(answers=TAKES)
    await device.register()
    await device.expect("GET", "resource")
    assert parse_cancel_query((await device.expect(*DELETE)).query) == "1"
    assert parse_order((await device.expect(*PUT)).payload).transaction == "2"
    await cloud.settle()
    await event(device, 12, description="cancelled: by an order")
    assert await status(cloud) == ("CREATED", None)
    assert (await cloud.register(answers=TAKES)).asked.empty()


@pytest.mark.one_database
async def test_a_device_that_goes_before_it_hears_of_a_missed_cancellation_is_told_the_next_time(
    cloud: Any, ordered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await drop(cloud, ordered)
    await cloud.gateway.cancel_update(UUID)
    asked, request = asyncio.Event(), Session.request

    async def gone(self: Session, method: str, *more: Any, **named: Any) -> Answer:
        if method != "DELETE":
            return await request(self, method, *more, **named)
        asked.set()
        raise DeviceOfflineError("device went offline")

    with monkeypatch.context() as patched:
        patched.setattr(Session, "request", gone)
        await cloud.register(answers=TAKES)
        async with asyncio.timeout(60):
            await asked.wait()
        await cloud.settle()
    device = await cloud.register(answers=TAKES)
    assert parse_cancel_query((await device.expect(*DELETE)).query) == "1"


@pytest.mark.one_database
async def test_a_device_that_refuses_when_it_comes_back_is_not_asked_for_ever(
    cloud: Any, ordered: Any
) -> None:
    await drop(cloud, ordered)
    await cloud.gateway.cancel_update(UUID)
    late = {**TAKES, DELETE: Answer(Code.CONFLICT, b"update 1 is being switched to")}
    device = await cloud.register(answers=late)
    await device.expect(*DELETE)
    await cloud.settle()
    assert (await cloud.register(answers=late)).asked.empty()


@pytest.mark.parametrize("limits", [Limits(registration=30, control=0.5, idle=30)])
@pytest.mark.one_database
async def test_firmware_that_answers_no_cancellation_still_gets_its_orders(
    cloud: Any, ordered: Any
) -> None:
    await drop(cloud, ordered)
    await cloud.gateway.cancel_update(UUID)
    await order(cloud, "1.2")
    device = await cloud.connect(answers={PUT: TAKES[PUT]})
    device.silent.set()
    await device.register()
    await device.expect("GET", "resource")
    await device.expect(*DELETE)
    assert parse_order((await device.expect(*PUT)).payload).transaction == "2"


async def test_a_device_that_went_on_while_it_was_away_is_believed(
    cloud: Any, ordered: Any
) -> None:
    await drop(cloud, ordered)
    await cloud.gateway.cancel_update(UUID)
    device = await cloud.register(answers=TAKES)
    await event(device, 4, percent=0.5)
    await device.report({"ota_state": {"transaction": "1", "state": 3}})
    assert await status(cloud) == ("FAILED", CANCELLED)
    await runs(device, "1.1")
    assert await status(cloud) == ("FAILED", CANCELLED)
    await event(device, 10)
    assert await status(cloud) == ("SUCCESS", None)


async def test_the_end_of_a_cancelled_task_counts_beside_a_newer_one(
    cloud: Any, ordered: Any
) -> None:
    await drop(cloud, ordered)
    await cloud.gateway.cancel_update(UUID)
    await order(cloud, "1.2")
    device = await cloud.register(answers=TAKES)
    await runs(device, "1.1")
    await event(device, 10)
    assert await status(cloud) == ("CREATED", None)
    older = cloud.database.call(lambda session: session.get(OtaTask, 1))
    assert (older.status, older.failure) == ("SUCCESS", None)


@pytest.mark.parametrize("transaction", ["99", "x", "\u0667", "9" * 30])
@pytest.mark.one_database
async def test_reports_of_no_task_change_nothing(
    cloud: Any, ordered: Any, transaction: str
) -> None:
    await event(ordered, 12, transaction)
    assert await status(cloud) == ("RUNNING", None)


async def test_an_order_that_was_never_sent(cloud: Any) -> None:
    cloud.bind()
    await order(cloud)
    assert (await cloud.gateway.cancel_update(UUID)).failure == CANCELLED
    device = await cloud.register(answers={DELETE: Answer(Code.NOT_FOUND)})
    await device.expect(*DELETE)
    await cloud.settle()
    assert device.asked.empty()
    assert await status(cloud) == ("FAILED", CANCELLED)


@pytest.mark.one_database
async def test_a_cancellation_waits_for_the_order_that_is_on_its_way(cloud: Any) -> None:
    cloud.bind()
    answers = {DELETE: TAKES[DELETE]}
    device = await cloud.register(answers=answers)
    held = asyncio.Event()

    async def hold(request: Any) -> Answer:
        device.asked.put_nowait(request)
        if request.method == "PUT":
            await held.wait()
        return Answer(Code.CHANGED)

    device.connection.handler = hold
    await order(cloud)
    await device.expect(*PUT)
    cancelling = asyncio.create_task(cloud.gateway.cancel_update(UUID))
    await asyncio.sleep(0)
    held.set()
    await device.expect(*DELETE)
    assert (await cancelling).accepted


async def test_nothing_to_cancel(cloud: Any) -> None:
    with pytest.raises(NoUpdateError):
        await cloud.gateway.cancel_update(UUID)
    with pytest.raises(NotFoundError):
        await cloud.gateway.cancel_update("0" * 14)


@pytest.mark.parametrize("forced", [False, True])
async def test_a_forced_strategy_makes_forced_orders(
    cloud: Any,
    forced: bool,  # noqa: FBT001  # both rows of the table
) -> None:
    cloud.bind()
    target = releases.Target("2.0.tar", 521, "0" * 32, "0" * 64)
    package = cloud.database.call(releases.add_package, "2.0", target, "", 0)
    strategy = cloud.database.call(
        releases.add_strategy, "2.0", StrategyType.PASSIVE, [], [], 0, forced=forced
    )
    cloud.database.call(rollout_acts.start, strategy.id, 0)
    device = await cloud.register(answers=TAKES)
    await cloud.post("/device/ota/update", packageId=package.id, deviceUuid=UUID)
    payload = (await device.expect(*PUT)).payload
    assert parse_order(payload).forced is forced
    assert (b"forced" in payload) is forced
    stored = cloud.database.call(lambda session: session.get(Strategy, strategy.id))
    assert stored.forced is forced
