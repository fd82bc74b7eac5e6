"""A fleet in a cloud's store for the pages to show: a halted rollout, alarms, webhooks that fail, what listens badly.

For the screenshots and the proof of the pages; written as the cloud writes it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from staging.alarm_rules import Kind, Seen
from staging.store import (
    Database,
    alarms,
    devices,
    health,
    ota,
    product_setup,
    products,
    releases,
    rollout_acts,
    rollouts,
    silent_orders,
    tags,
    webhooks,
)
from staging.store.health import Counts
from staging.store.models import ACTIVATED, Device, Product, Strategy
from staging.store.order_rules import Status
from staging.store.releases import StrategyType, Target
from staging.store.rollout_models import Rollout

PRODUCT, BATCH, OLD, NEW = "bear-speaker", "2026-11-shenzhen-2", "2.0.3", "2.1.0"
COUNT = 24
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
# The first phase is half of them; so many of it fail.
FAILING = 4
QUICK = {"soak": 3600, "sample": 5, "hours": 0, "sound": 0, "link": 0}


def furnish(database: Database, now: int) -> int:
    """Write all of it as of ``now`` (ms); return the halted strategy's number."""
    uuids: list[str] = database.call(_devices, now)
    number: int = database.call(_strategy, now)
    database.call(rollout_acts.start, number, now)
    ordered = [uuid for uuid in uuids if database.call(silent_orders.order, uuid, now) is not None]
    database.call(_ended, ordered, number, now)
    database.call(_health, uuids, now)
    database.call(_alarms, uuids, now)
    database.call(_webhooks, now)
    return number


def _devices(session: Any, now: int) -> list[str]:
    product = product_setup.add_product(session, PRODUCT, now, test_devices=1)
    _, made = product_setup.add_batch(session, product.id, BATCH, COUNT, now)
    running = products.os_version(session, product.id, OLD).id
    for place, device in enumerate(made):
        device.os_version_id, device.status = running, ACTIVATED
        tags.change(session, device.id, ["shenzhen"] + ["office"] * (place % 3 == 0), [])
    devices.note_heard(session, {device.id: now - 5 * MINUTE_MS for device in made})
    return [device.uuid for device in made]


def _strategy(session: Any, now: int) -> int:
    product = session.scalar(select(Product).where(Product.name == PRODUCT))
    target = Target("bear.tar", 5_210_000, "0" * 32, "0" * 64)
    releases.add_package(session, NEW, target, "Calmer volume steps", now, product_id=product.id)
    strategy = releases.add_strategy(
        session, NEW, StrategyType.SILENT, [], [], now, product_id=product.id
    )
    rollouts.set_plan(session, strategy.id, ["50%", "100%"], QUICK)
    return int(strategy.id)


def _ended(session: Any, uuids: list[str], number: int, now: int) -> None:
    """Let some of the updates fail, and the rollout be halted for it."""
    for place, uuid in enumerate(uuids):
        device = session.scalar(select(Device).where(Device.uuid == uuid))
        task = ota.active(session, device.id)
        assert task is not None
        is_bad = place < FAILING
        status = Status.FAILED if is_bad else Status.SUCCESS
        task.accepted, task.status, task.end_time = True, status.value, now
        task.update_time = now
        task.failure = "version 2.1.0 failed its trial: no link within 120 s" if is_bad else None
        if not is_bad:
            device.os_version_id = products.os_version(session, device.product_id, NEW).id
    row = session.get(Rollout, number)
    row.reason = {
        "why": "failing", "time": now, "well": len(uuids) - FAILING, "recovered": 0, "suspect": 0,
        "bad": FAILING,
    }  # fmt: skip
    session.get(Strategy, number).status = "HALTED"


def _health(session: Any, uuids: list[str], now: int) -> None:
    good = Counts(
        connected=HOUR_MS,
        expected=HOUR_MS,
        plays=12,
        presses=4,
        press_time=5200,
        listened=30,
        sentences=30,
    )
    bad = Counts(
        connected=HOUR_MS // 2, expected=HOUR_MS, crashes=3, plays=4, failed_plays=2, listened=20,
        mic_faults=6, unsent=2, sentences=12, not_understood=5,
    )  # fmt: skip
    health.note(session, {uuids[0]: bad, uuids[-1]: good}, now)


def _alarms(session: Any, uuids: list[str], now: int) -> None:
    ids = {device.uuid: device.id for device in session.scalars(select(Device))}
    seen = [
        Seen(Kind.VERSION, f"{PRODUCT} {NEW}", detail={"percent": 33, "failed": 4, "updates": 12}),
        Seen(Kind.OFFLINE, uuids[1], device_id=ids[uuids[1]], detail={"since": "2026-11-25T08:00:00Z"}),
        Seen(Kind.CLONE, uuids[2], device_id=ids[uuids[2]]),
    ]  # fmt: skip
    alarms.apply(session, seen, now)


def _webhooks(session: Any, now: int) -> None:
    made = [
        webhooks.add(session, f"https://{host}/alarms", now)
        for host in ("hooks.example.org", "chat.example.com/a/rather/long/path/of/a/chat/room", "old.example.net")
    ]  # fmt: skip
    for hook, problem in zip(made, (None, "HTTP 503", None), strict=True):
        message = webhooks.test(session, hook.id, now)
        webhooks.note(session, message.id, problem, now, 0.0)
    webhooks.switch(session, made[2].id, on=False)
