"""Numbered reports: a repeat changes nothing, on both databases, also after a restart of the cloud."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from staging.store import Database, devices, effects, history
from staging.store.effects import Wanted
from staging.store.history import HistoryPoint, Query, When
from staging.store.models import ReportEpoch
from staging.store.repeats import add

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
EPOCHS_LIMIT = 64
RANGES_LIMIT = 128

UUID = "0083000000000a"
EPOCH, OTHER = "0" * 16, "1" * 16


@given(st.lists(st.integers(1, 40), max_size=80))
def test_the_ranges_know_exactly_the_numbers_that_came(numbers: list[int]) -> None:
    ranges: list[list[int]] = []
    came: set[int] = set()
    for number in numbers:
        added = add(ranges, number)
        assert (added is None) == (number in came)
        ranges = added or ranges
        came.add(number)
    assert {n for first, last in ranges for n in range(first, last + 1)} == came
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(ranges))


def test_scattered_numbers_may_be_forgotten_but_none_is_taken_for_a_repeat() -> None:
    ranges: list[list[int]] = []
    for number in range(1, 4 * RANGES_LIMIT, 2):
        ranges = add(ranges, number) or ranges
    assert len(ranges) == RANGES_LIMIT
    assert add(ranges, 2) is not None
    assert add(ranges, 4 * RANGES_LIMIT - 1) is None


def report(
    database: Database,
    number: int,
    level: int,
    *,
    epoch: str | None = EPOCH,
    now: int = 100_000,
    when: When | None = None,
) -> int:
    """Apply one report; return how many were repeats."""
    device = database.call(devices.get, UUID)
    wanted = [Wanted([HistoryPoint("volume", level)], number, when)]
    return database.call(effects.apply_all, device.id, epoch, wanted, now).repeats


def shown(database: Database) -> list[tuple[int, Any]]:
    """Return the history, newest first."""
    device = database.call(devices.get, UUID)
    page = database.call(history.page, device.id, Query(limit=100))
    return [(entry.ts, entry.value) for entry in page.entries]


def test_a_repeat_adds_no_row_also_after_a_restart(database: Database, where: Path | str) -> None:
    database.call(devices.add, UUID, 0)
    assert [report(database, 1, 5), report(database, 2, 6), report(database, 1, 5)] == [0, 0, 1]
    again = Database(where)
    assert [report(again, 2, 6), report(again, 3, 7)] == [1, 0]
    again.close()
    assert [value for _ts, value in shown(database)] == [7, 6, 5]


def test_a_machine_whose_state_was_wiped_begins_anew(database: Database) -> None:
    database.call(devices.add, UUID, 0)
    assert [report(database, 1, 5), report(database, 1, 6, epoch=OTHER)] == [0, 0]
    assert [report(database, 0, 7, epoch=None), report(database, 0, 7, epoch=None)] == [0, 0]
    assert [value for _ts, value in shown(database)] == [7, 7, 6, 5]


def test_epochs_are_bounded_and_the_oldest_go_first(database: Database) -> None:
    device = database.call(devices.add, UUID, 0)
    for number in range(EPOCHS_LIMIT + 5):
        report(database, 1, number, epoch=f"{number:016x}", now=100_000 + number)

    def epochs(session: Any) -> tuple[int, str]:
        found = select(func.count(), func.min(ReportEpoch.epoch))
        return tuple(session.execute(found.where(ReportEpoch.device_id == device.id)).one())

    assert database.call(epochs) == (EPOCHS_LIMIT, f"{5:016x}")


def test_values_that_waited_are_at_their_times_and_the_newest_stays_the_last(
    database: Database,
) -> None:
    database.call(devices.add, UUID, 0)
    report(database, 9, 90, when=When(60_000, late=False))
    report(database, 7, 70, when=When(40_000, late=True))
    report(database, 8, 80, when=When(40_000, late=True))  # the same ms: before or after is a guess
    report(database, 6, 60, when=When(70_000, late=True))  # a clock that was set back in between
    assert shown(database) == [(60_000, 90), (59_999, 60), (40_000, 70), (39_999, 80)]


def test_a_value_that_did_not_wait_has_the_cloud_s_time(database: Database) -> None:
    database.call(devices.add, UUID, 0)
    report(database, 1, 1, when=When(99_000, late=False))
    report(database, 2, 2, when=When(10**15, late=False))  # a clock that is ahead
    report(database, 3, 3, when=When(20_000, late=False), now=120_000)  # it is before the last
    assert shown(database) == [(120_000, 3), (100_001, 2), (100_000, 1)]


def test_many_late_values_of_one_moment_find_a_place(database: Database) -> None:
    database.call(devices.add, UUID, 0)
    report(database, 1000, 0, when=When(80_000, late=False))
    for number in range(1, 9):
        report(database, number, number, when=When(80_000, late=True))
    assert [ts for ts, _value in shown(database)] == list(range(80_000, 79_991, -1))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(95, 105), st.booleans()), max_size=6))
def test_no_two_values_have_one_time_whatever_came_late(
    database: Database, told: list[tuple[str, int, bool]]
) -> None:
    """A late value with the time of one that is not late yet was refused, and so was sent for ever."""
    device = database.call(devices.add, None, 0)
    for key, time, late in told:
        # In one millisecond, of which the clocks of device and cloud have different views.
        wanted = [Wanted([HistoryPoint(key, time)], 0, When(time, late=late))]
        database.call(effects.apply_all, device.id, None, wanted * 2, 100)
    page = database.call(history.page, device.id, Query(limit=100))
    assert len(page.entries) == 2 * len(told)


def test_late_values_are_history_only(database: Database) -> None:
    device = database.call(devices.add, UUID, 0)
    points = [HistoryPoint("volume", 1)]
    wanted = [Wanted(points, 2, When(5, late=False)), Wanted(points, 1, When(4, late=True))]
    done = database.call(effects.apply_all, device.id, EPOCH, wanted, 100_000)
    assert done.effects == points
