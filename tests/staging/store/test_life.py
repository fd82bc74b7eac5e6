"""A device's life is told once, in order, on any pages, and of the present family alone.

Tests staging.store.presence and staging.migrations.versions.0014_presence too.
"""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from staging.store import Database, audit, devices, life, ota, presence, releases, rollout_acts
from staging.store.audit import Entry, Source
from staging.store.life import Moment
from staging.store.models import Device, OtaEventLine, PresenceChange, Report, VoiceEntry
from staging.store.presence import Change
from staging.store.releases import StrategyType, Target
from tests.staging.conftest import START_MS

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEEP_MS = 7_776_000_000


HOUR = 3_600_000


@pytest.fixture
def device(database: Database) -> Device:
    return database.call(devices.add, "0083000000000a", START_MS)


def fill(session: Session, device: Device) -> None:
    presence.add(session, [
        Change(device.id, START_MS + 1, online=True),
        Change(device.id, START_MS + 5, online=False, reason="silent for 27 s" * 40),
        Change(device.id + 1000, START_MS + 5, online=True),
    ][:2])  # fmt: skip
    session.add(VoiceEntry(
        device_id=device.id, utterance=3, start=START_MS + 2, last=START_MS + 2, complete=True,
        segments=4, frames=60, size=1,
    ))  # fmt: skip
    session.add(Report(
        device_id=device.id, ts=START_MS + 4, key="device_trouble", kind="REPORT", value="the card"
    ))  # fmt: skip
    for ts, actor in ((3, "ada"), (3, "bob"), (6, "ada")):
        entry = Entry(
            START_MS + ts,
            Source.CONSOLE,
            actor,
            "device.control",
            device=device.uuid,
            target="volume",
        )
        audit.add(session, [entry])


def test_everything_is_told_once_and_newest_first_on_pages_of_any_length(
    database: Database, device: Device
) -> None:
    database.call(fill, device)
    whole, following = database.call(life.page, device.id, None, 200)
    assert following is None
    assert [(moment.ts - START_MS, moment.kind) for moment in whole] == [
        (6, "did"), (5, "offline"), (4, "trouble"), (3, "did"), (3, "did"), (2, "voice"), (1, "online"),
    ]  # fmt: skip
    for limit in range(1, 8):
        read: list[Moment] = []
        before: int | None = None
        while True:
            part, before = database.call(life.page, device.id, before, limit)
            read += part
            if before is None:
                break
        assert read == whole, limit
    assert whole[1].to_json()["reason"].startswith("silent for 27 s")
    assert whole[0].to_json() == {
        "ts": START_MS + 6, "kind": "did", "actor": "ada", "source": "console", "app": "",
        "action": "device.control", "target": "volume", "outcome": "done",
    }  # fmt: skip


def test_what_was_before_the_present_family_is_not_told(database: Database, device: Device) -> None:
    database.call(fill, device)

    def unbind(session: Session) -> None:
        session.get_one(Device, device.id).family_since = START_MS + 4

    database.call(unbind)
    found, _ = database.call(life.page, device.id, None, 200)
    assert [moment.ts - START_MS for moment in found] == [6, 5]


@pytest.mark.one_database
def test_presence_is_bounded_in_time_and_number(
    database: Database, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "EACH_LIMIT", 5)
    old = [Change(device.id, START_MS, online=True)] * 3
    new = [Change(device.id, START_MS + KEEP_MS, online=True)] * 9
    database.call(presence.add, [*old, *new])
    now = START_MS + KEEP_MS + HOUR
    # What is old and what is too much go together: the upkeep ends with the first step that is not a whole one.
    gone = [database.call(presence.prune, now) for _ in range(2)]
    assert gone == [7, 0]

    def left(session: Session) -> int:
        return session.query(PresenceChange).count()

    assert database.call(left) == 5


@pytest.mark.one_database
def test_what_each_of_many_devices_has_too_much_goes_in_steps(
    database: Database, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "EACH_LIMIT", 2)
    monkeypatch.setattr(presence, "STEP_ROWS", 4)
    others = [
        device.id,
        *(database.call(devices.add, f"00830000000f0{n}", START_MS).id for n in range(3)),
    ]
    database.call(
        presence.add, [Change(each, START_MS, online=True) for each in others for _ in range(4)]
    )
    assert [database.call(presence.prune, START_MS) for _ in range(3)] == [4, 4, 0]


@pytest.mark.one_database
def test_orders_and_their_events_are_told_by_task(database: Database, device: Device) -> None:
    target = Target("1.1.0.tar", 5, "0" * 32, "0" * 64)
    package = database.call(releases.add_package, "1.1.0", target, "", START_MS)
    strategy = database.call(releases.add_strategy, "1.1.0", StrategyType.PASSIVE, [], [], START_MS)
    database.call(rollout_acts.start, strategy.id, START_MS)
    database.call(ota.create, device.id, package.id, strategy.id, START_MS + 10)
    (view,) = database.call(life.updates, device.id, None, 10)
    task = view.task
    assert view.version == "1.1.0"
    assert database.call(life.updates, device.id, task.id, 10) == []

    def tell(session: Session) -> None:
        session.add(OtaEventLine(task_id=task.id, ts=START_MS + 20, event=3, percent=0.5, text="x"))

    database.call(tell)
    found, _ = database.call(life.page, device.id, None, 200)
    assert [moment.to_json() for moment in found] == [
        {"ts": START_MS + 20, "kind": "event", "task": task.id, "event": 3, "percent": 0.5, "text": "x"},
        {"ts": START_MS + 10, "kind": "order", "task": task.id, "version": "1.1.0"},
    ]  # fmt: skip
