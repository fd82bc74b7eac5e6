"""What the simulation finds wrong with what a cloud deletes."""

from __future__ import annotations

from typing import Any

import pytest

from staging.gateway import presence
from tools.sim.pruning import (
    DAY_BYTES,
    DAY_SECONDS,
    Kept,
    PruneWatch,
    QuotaWatch,
    Terms,
    forgets,
    of_forgotten,
    set_terms,
)  # fmt: skip

# Kept for 2 s; two changes of presence of each device.
TERMS = Terms(days=2, day_ms=1000, seconds=60.0, changes=2)
OLD, NEW, NOW = 1_000, 9_000, 10_000
EMPTY: dict[str, Any] = {}


def kept(**rows: Any) -> Kept:
    return Kept(**{"counts": {"devices": 4}, **rows})


def prune(before: Kept, after: Kept, *, is_whole: bool = True) -> list[str]:
    watch = PruneWatch(TERMS)
    watch.before(before)
    watch.after(before, after, NOW, NOW + 5, is_whole=is_whole)
    return watch.broken


REPORTS = {(1, OLD): ("volume", "REPORT"), (1, NEW): ("volume", "REPORT")}
NEWEST = {(1, NEW): ("volume", "REPORT")}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"reports": REPORTS}, {"reports": NEWEST}, ""),
        ({"reports": REPORTS}, {"reports": REPORTS}, "a report of volume is kept for too long"),
        ({"reports": REPORTS}, {"reports": {(1, OLD): ("volume", "REPORT")}}, "a report of volume is gone"),
        ({"reports": {(1, OLD): ("volume", "REPORT")}}, EMPTY, "a report of volume is gone"),
        ({"reports": {(1, OLD): ("volume", "REPORT")}}, {"reports": {(1, OLD): ("volume", "REPORT")}}, ""),
        ({"epochs": {(1, "e"): (OLD, [[1, 4]])}}, EMPTY, ""),
        ({"epochs": {(1, "e"): (NEW, [[1, 4]])}}, EMPTY, "the numbers of the reports of e are gone"),
        ({"epochs": {(1, "e"): (OLD, [])}}, {"epochs": {(1, "e"): (OLD, [])}}, "of e are kept for too long"),
        ({"lines": {7: (3, OLD)}, "last_tasks": frozenset({4})}, EMPTY, ""),
        ({"lines": {7: (3, OLD)}, "last_tasks": frozenset({3})}, EMPTY, "a line of update 3 is gone"),
        ({"lines": {7: (3, OLD)}}, {"lines": {7: (3, OLD)}}, "a line of update 3 is kept for too long"),
        ({"changes": dict.fromkeys(range(3), (1, NEW))}, {"changes": {1: (1, NEW), 2: (1, NEW)}}, ""),
        ({"changes": dict.fromkeys(range(3), (1, NEW))}, {"changes": dict.fromkeys(range(3), (1, NEW))}, "3 changes of device 1"),
        ({"changes": dict.fromkeys(range(3), (1, NEW))}, {"changes": {2: (1, NEW)}}, "a change of device 1's presence is gone"),
        ({"changes": {1: (1, OLD)}}, {"changes": {1: (1, OLD)}}, "a change of presence is kept for too long"),
        (EMPTY, {"counts": {"devices": 3}}, "1 rows of devices are gone"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_deleted_is_what_is_old_and_nothing_else(
    before: dict[str, Any], after: dict[str, Any], told: str
) -> None:
    broken = prune(kept(**before), kept(**after))
    assert bool(broken) is bool(told)
    assert told in "".join(broken[:1])


def test_a_pruning_that_was_broken_off_may_leave_what_is_old() -> None:
    assert prune(kept(reports=REPORTS), kept(reports=REPORTS), is_whole=False) == []


def test_what_is_gone_between_two_prunings_is_found_and_its_numbers_are_known() -> None:
    watch = PruneWatch(TERMS)
    first = kept(reports=NEWEST, epochs={(1, "e"): (OLD, [[1, 4]])})
    watch.after(first, kept(reports=NEWEST), NOW, NOW, is_whole=True)
    assert watch.ever({"e": [[5, 6]], "f": [[1, 1]]}) == {"e": [[5, 6], [1, 4]], "f": [[1, 1]]}
    watch.before(kept())
    assert watch.broken == ["a report of volume is gone, and was to be kept"]


def test_a_device_reports_its_share_and_no_more_until_it_has_grown() -> None:
    now = [0.0]
    watch = QuotaWatch(lambda: now[0])
    watch.start()
    watch.note("a", DAY_BYTES)
    watch.note("b", DAY_BYTES)
    now[0] = DAY_SECONDS / 2
    watch.note("a", DAY_BYTES // 2)
    assert watch.broken == []
    watch.note("a", 1)
    assert len(watch.broken) == 1
    watch.start()
    watch.note("a", DAY_BYTES)
    assert len(watch.broken) == 1


def test_a_report_is_held_back_only_where_a_days_share_may_be_used_up() -> None:
    """Of two floods the second waits until a seed's end: what its machine did since may wait behind it, and no longer."""
    now = [0.0]
    watch = QuotaWatch(lambda: now[0])
    watch.start()
    assert not watch.may_refuse("a", 20_000)
    watch.note("a", 100_000)
    now[0] = 400.0
    watch.note("a", 80_000)
    assert watch.may_refuse("a", 20_000)
    assert not watch.may_refuse("b", 20_000)
    now[0] = 601.0
    assert not watch.may_refuse("a", 20_000)
    watch.note("a", 20_000)
    watch.start()
    assert not watch.may_refuse("a", 150_000)


def test_a_world_that_prunes_nothing_saves_presence_as_rarely_as_before() -> None:
    """It was saved each second in all of them, which was a quarter of a day's work."""
    set_terms(TERMS)
    assert presence.FLUSH_SECONDS == 5.0
    set_terms(None)
    assert presence.FLUSH_SECONDS == 1800.0


def test_a_report_of_a_start_that_the_cloud_has_forgotten_counts_no_more_and_of_the_last_64_it_does() -> (
    None
):
    reports = [(f"start {start}", number) for start in range(70) for number in range(2)]
    kept = {f"start {start}" for start in range(3, 60)}
    gone = {
        ("start 0", 0),
        ("start 0", 1),
        ("start 1", 0),
        ("start 1", 1),
        ("start 2", 0),
        ("start 2", 1),
    }
    assert of_forgotten(reports, kept) == gone
    assert of_forgotten(reports[:128], ()) == set()
    assert [forgets(starts) for starts in (64, 65)] == [False, True]
