"""The cloud's own part in rollouts, through a gateway with a real device."""

from __future__ import annotations

from typing import Any

import pytest

from staging.errors import CancelRefusedError
from staging.gateway.rollouts import ASK_AGAIN, Rollouts
from staging.gateway.silent import Pace
from staging.store import Database, devices, ota, releases, rollout_acts, rollouts
from staging.store.models import OtaTask, Strategy
from staging.store.releases import StrategyType, Target
from wire.codes import Code
from wire.exchange import Answer
from wire.ota import parse_order

pytestmark = pytest.mark.one_database
UUID = "0083000000000a"
TAKES = {
    ("PUT", "newfirmware"): Answer(Code.CHANGED),
    ("DELETE", "newfirmware"): Answer(Code.CHANGED),
}
QUICK = {"soak": 0, "hours": 0, "sound": 0, "link": 0}


@pytest.fixture
def pace() -> Pace:
    return Pace(scan=0.02, delay_low=0.0, delay_high=0.01, interval=0.005, look=0.02)


def plan(cloud: Any, *phases: str, **given: object) -> int:
    def work(session: Any) -> int:
        target = Target("1.1.tar", 521, "0" * 32, "0" * 64)
        releases.add_package(session, "1.1", target, "", 0)
        strategy = releases.add_strategy(session, "1.1", StrategyType.SILENT, [], [], 0)
        rollouts.set_plan(session, strategy.id, phases, {**QUICK, **given})
        return int(strategy.id)

    number: int = cloud.database.call(work)
    return number


async def test_a_device_is_ordered_when_its_phase_opens_and_told_when_it_is_taken_back(
    cloud: Any,
) -> None:
    number = plan(cloud, "batch:0000", "100%")
    device = await cloud.register(answers=TAKES)
    cloud.database.call(rollout_acts.start, number, cloud.clock())
    order = parse_order((await device.expect("PUT", "newfirmware")).payload)
    assert order.version == "1.1"
    await cloud.settle()
    cloud.database.call(rollout_acts.withdraw, number, cloud.clock(), recall=True)
    await device.expect("DELETE", "newfirmware")


async def test_an_order_of_a_paused_strategy_waits_and_is_sent_when_it_is_resumed(
    cloud: Any,
) -> None:
    number = plan(cloud, "100%")

    def order_and_pause(session: Any) -> None:
        rollout_acts.start(session, number, cloud.clock())
        ota.add_task(session, devices.get(session, UUID), 1, number, cloud.clock())
        rollout_acts.pause(session, number)

    cloud.database.call(order_and_pause)
    device = await cloud.register(answers=TAKES)
    assert device.asked.empty()
    cloud.database.call(rollout_acts.resume, number, cloud.clock())
    assert parse_order((await device.expect("PUT", "newfirmware")).payload).transaction == "1"


async def test_what_waits_for_its_turn_is_looked_at_again(cloud: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(rollouts, "TURN_MS", 20)
    number = plan(cloud, "100%", open=1)

    def busy(session: Any) -> int:
        rollout_acts.start(session, number, cloud.clock())
        other = devices.add(session, None, cloud.clock())
        return int(ota.add_task(session, other, 1, number, cloud.clock()).id)

    task_id = cloud.database.call(busy)
    device = await cloud.register(answers=TAKES)

    def end(session: Any) -> None:
        session.get(OtaTask, task_id).status = "FAILED"

    cloud.database.call(end)
    assert parse_order((await device.expect("PUT", "newfirmware")).payload).version == "1.1"


class Taken:
    """Counts how often devices are asked to give an update up; they refuse."""

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    async def __call__(self, uuid: str, only: int | None = None) -> OtaTask:
        self.asked.append(only)
        raise CancelRefusedError(f"device {uuid} does not give it up")


async def test_the_cloud_opens_halts_and_does_not_ask_the_same_device_for_ever(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1_000_000_000_000

    def make(session: Any) -> int:
        device = devices.add(session, UUID, now)
        devices.note_heard(session, {device.id: now})
        target = Target("1.1.tar", 521, "0" * 32, "0" * 64)
        package = releases.add_package(session, "1.1", target, "", now)
        strategy = releases.add_strategy(session, "1.1", StrategyType.SILENT, [], [], now)
        rollouts.set_plan(session, strategy.id, ["batch:0000", "100%"], QUICK)
        rollout_acts.start(session, strategy.id, now)
        task = ota.add_task(session, device, package.id, strategy.id, now)
        task.status, task.accepted = "SUCCESS", True
        device.os_version_id = package.os_version_id
        return int(strategy.id)

    number = database.call(make)
    taken = Taken()
    work = Rollouts(database, lambda: now, lambda _uuid: True, taken, 1.0)
    with caplog.at_level("INFO"):
        await work.look()
    assert f"strategy {number} opens its next phase: 1 updated" in caplog.text

    def fail(session: Any) -> None:
        task = session.query(OtaTask).one()
        task.status = "FAILED"
        ota.add_task(session, devices.get(session, UUID), 1, number, now).status = "FAILED"

    database.call(fail)
    await work.look()
    assert f"strategy {number} is halted (failing): 0 updated, 1 failed" in caplog.text
    assert database.call(lambda session: session.get_one(Strategy, number).status) == "HALTED"

    def recall(session: Any) -> None:
        session.query(OtaTask).order_by(OtaTask.id.desc()).first().status = "RUNNING"
        rollout_acts.withdraw(session, number, now, recall=True)

    database.call(recall)
    for _ in range(ASK_AGAIN + 1):
        await work.look()
    assert taken.asked == [2, 2]


async def test_a_rollout_that_cannot_be_looked_at_holds_up_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def look(_session: Any, number: int, _now: int) -> None:
        looked.append(number)
        if number == 1:
            raise ValueError("a plan of another version")

    def to_cancel(_session: Any) -> list[tuple[int, str]]:
        looked.append(0)
        return []

    async def taken(uuid: str, only: int | None = None) -> OtaTask:
        raise AssertionError((uuid, only))

    monkeypatch.setattr(rollout_acts, "watched", lambda _session: [1, 2])
    monkeypatch.setattr(rollout_acts, "look", look)
    monkeypatch.setattr(rollout_acts, "to_cancel", to_cancel)
    await Rollouts(database, lambda: 0, lambda _uuid: True, taken, 1.0).look()
    assert looked == [1, 2, 0]
