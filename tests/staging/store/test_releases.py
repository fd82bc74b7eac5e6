"""Packages and strategies in the store."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.store import Database, accounts, devices, ota, releases, rollout_acts
from staging.store.models import Device, OtaTask
from staging.store.releases import StrategyType, Target
from wire.errors import FieldError
from wire.ota import parse_event

UUID = "0083000000000a"
NOW = 1_790_000_000_000


def test_one_package_a_version(database: Database) -> None:
    target = releases.Target("1.tar", 1, "0" * 32, "0" * 64)
    database.call(releases.check_new_version, "1.0", 0)
    database.call(releases.add_package, "1.0", target, "", 0)
    with pytest.raises(StagingError, match="there is a package already"):
        database.call(releases.check_new_version, "1.0", 0)
    with pytest.raises(FieldError, match="version"):
        database.call(releases.check_new_version, "newest", 0)


def test_strategies_name_what_exists(database: Database) -> None:
    kind = releases.StrategyType.PASSIVE
    with pytest.raises(NotFoundError, match=r"version 1\.0"):
        database.call(releases.add_strategy, "1.0", kind, [], [], 0)
    with pytest.raises(NotFoundError, match="strategy 5"):
        database.call(rollout_acts.start, 5, 0)
    with pytest.raises(FieldError, match="from"):
        database.call(releases.add_strategy, "1.0", kind, ["old"], [], 0)


def ordered(database: Database, kind: StrategyType) -> tuple[int, int]:
    """Bind a device and order it a package of such a strategy; return its id and the task's."""

    def make(session: Session) -> tuple[int, int]:
        device = devices.add(session, UUID, NOW)
        account = accounts.add(session, "parent", "scrypt$", NOW)
        devices.bind(session, UUID, device.bind_token or "", account.id, NOW)
        target = Target("2.0.tar", 5, "0" * 32, "0" * 64)
        package = releases.add_package(session, "2.0", target, "", NOW)
        strategy = releases.add_strategy(session, "2.0", kind, [], [], NOW)
        rollout_acts.start(session, strategy.id, 0)
        return device.id, ota.add_task(session, device, package.id, strategy.id, NOW).id

    return database.call(make)


def state_of(database: Database, task: int) -> tuple[str, str | None, int | None]:
    found = database.call(lambda session: session.get_one(OtaTask, task))
    return found.status, found.failure, found.end_time


@pytest.mark.parametrize(
    ("kind", "accepted", "ends"),
    [(StrategyType.PASSIVE, False, True), (StrategyType.PASSIVE, True, False), (StrategyType.SILENT, False, False)],
)  # fmt: skip
def test_an_order_that_a_family_gave_and_its_machine_has_not_taken_ends_with_the_family(
    database: Database, kind: StrategyType, *, accepted: bool, ends: bool
) -> None:
    device, task = ordered(database, kind)
    if accepted:
        database.call(ota.note_answer, task, None, NOW)
    database.call(devices.unbind, device, NOW + 1000)
    told = (
        ("FAILED", "cancelled: the device was unbound", NOW + 1000)
        if ends
        else ("CREATED", None, None)
    )
    assert state_of(database, task) == told


def test_an_update_that_goes_on_after_it_was_told_as_failed_has_no_end_until_its_own(
    database: Database,
) -> None:
    device, task = ordered(database, StrategyType.PASSIVE)
    database.call(ota.note_answer, task, None, NOW)

    def event(number: int, at: int) -> None:
        report = parse_event({"transaction": str(task), "event": number})
        database.call(
            lambda session: ota.note_event(session, session.get_one(Device, device), report, at)
        )

    ends = []
    for at, number in enumerate((0, 12, 5, 12), 1):
        event(number, NOW + at)
        ends.append(state_of(database, task)[::2])
    assert ends == [("RUNNING", None), ("FAILED", NOW + 2), ("RUNNING", None), ("FAILED", NOW + 4)]


def test_a_device_tells_nothing_of_another_ones_update(database: Database) -> None:
    device, task = ordered(database, StrategyType.PASSIVE)
    database.call(ota.note_answer, task, None, NOW)
    database.call(ota.cancel, task, "cancelled", NOW + 1000)
    other = database.call(devices.add, "0083000000000b", NOW).id

    def tells(teller: int, at: int) -> bool:
        report = parse_event({"transaction": str(task), "event": 12, "description": f"by {teller}"})
        return database.call(
            lambda session: ota.note_event(session, session.get_one(Device, teller), report, at)
        )

    before = state_of(database, task)
    assert not tells(other, NOW + 2000)
    assert state_of(database, task) == before
    database.call(lambda session: ota.add_task(session, session.get_one(Device, device), 1, None, NOW).id)  # fmt: skip
    assert not tells(other, NOW + 3000)
    assert tells(device, NOW + 4000)  # its own, though a newer one has come
