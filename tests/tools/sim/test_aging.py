"""What the simulation finds wrong with what a cloud keeps for days of its own, and with what apps do and nobody finds noted."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from staging.store import apps, audit, health
from tools.sim import aging
from tools.sim.aging import AUDIT, ENDED, FIGURES, KEPT_MS, NONCES, SAMPLES, Ages, AgeWatch

NOW = 1_000_000
AGES = Ages(60, {NONCES: 60_000, ENDED: 60_000, AUDIT: 80_000, FIGURES: 90_000, SAMPLES: 70_000})
KINDS = (NONCES, AUDIT, FIGURES, SAMPLES)


def rows(kind: str = "", **times: int) -> dict[str, dict[Any, int]]:
    """Return rows of a kind by their key; nothing of all others."""
    return {each: dict(times) if each == kind else {} for each in KEPT_MS}


def pruned(before: Any, after: Any, *, is_whole: bool = True) -> list[str]:
    watch = AgeWatch(AGES)
    watch.before(before)
    watch.after(before, after, NOW, NOW + 5, is_whole=is_whole)
    return watch.broken


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_older_goes_and_what_is_newer_stays(kind: str) -> None:
    kept = AGES.kept[kind]
    old, new = NOW - kept - 1, NOW - kept + 10
    assert pruned(rows(kind, a=old, b=new), rows(kind, b=new)) == []
    assert pruned(rows(kind, b=new), rows()) == [f"of {kind} one is gone, and was to be kept"]
    assert pruned(rows(kind, a=old), rows(kind, a=old)) == [f"of {kind} one is kept for too long"]
    assert pruned(rows(kind, a=old), rows(kind, a=old), is_whole=False) == []
    assert pruned(rows(kind, a=NOW - kept), rows()) == []  # while it was under way


def test_nothing_goes_between_two_prunings() -> None:
    watch, old = AgeWatch(AGES), rows(NONCES, a=0)
    watch.after(old, old, NOW, NOW, is_whole=False)
    watch.before(rows())
    assert watch.broken == [f"of {NONCES} one is gone, and was to be kept"]


def test_a_token_may_be_taken_back_and_goes_a_lifetime_after_its_end() -> None:
    assert pruned(rows(ENDED, a=NOW), rows()) == []
    assert pruned(rows(ENDED, a=NOW - 60_001), rows(ENDED, a=NOW - 60_001)) != []


def test_the_usual_days_are_the_documents() -> None:
    day = 86_400_000
    watch = AgeWatch(None)
    watch.after(rows(NONCES, a=0), rows(), 60 * day, 60 * day, is_whole=True)
    assert watch.broken == [f"of {NONCES} one is gone, and was to be kept"]
    assert (KEPT_MS[NONCES], KEPT_MS[AUDIT]) == (apps.TOKEN_LIFETIME_S * 1000, audit.KEPT_MS)
    assert (KEPT_MS[FIGURES], KEPT_MS[SAMPLES]) == (health.KEPT_MS, health.SAMPLES_KEPT_MS)
    assert health.PART_MS == aging.PART_MS


@pytest.fixture
def short_days() -> Iterator[None]:
    aging.set_ages(AGES)
    yield
    aging.set_ages(None)


@pytest.mark.usefixtures("short_days")
def test_the_product_has_a_worlds_days_until_the_next_one() -> None:
    assert (apps.TOKEN_LIFETIME_S, audit.KEPT_MS, health.KEPT_MS) == (60, 80_000, 90_000)
    aging.set_ages(None)
    assert apps.TOKEN_LIFETIME_S == 60 * 86_400


def test_a_seeds_days_are_a_minute_or_more_and_always_the_same() -> None:
    for seed in range(20):
        found = Ages.of(seed, 0.1)
        assert found == Ages.of(seed, 0.1)
        assert min(found.kept.values()) >= 60_000
        assert found.kept[NONCES] == found.kept[ENDED] == found.lifetime * 1000


class Board:
    """A world of which an app's order is looked for in the audit log."""

    def __init__(self, entries: int) -> None:
        self.now, self.counted, self.api = 100.0, 0, object()
        self._waiting: list[tuple[float, Any]] = []
        session = SimpleNamespace(scalar=lambda _wanted: entries)

        class Session:
            def __enter__(self) -> Any:
                return session

            def __exit__(self, *_error: object) -> None:
                pass

        apps_ = SimpleNamespace(broken=[])
        self.told: list[str] = apps_.broken
        self.world: Any = SimpleNamespace(
            loop=SimpleNamespace(time=lambda: self.now),
            later=lambda seconds, work: self._waiting.append((self.now + seconds, work)),
            observer=SimpleNamespace(apps=apps_, count=self.count),
            cloud=SimpleNamespace(
                api=self.api, second=None, mount=SimpleNamespace(full=False),
                database=SimpleNamespace(_session=Session),
            ),
        )  # fmt: skip

    def count(self, _name: str) -> None:
        self.counted += 1

    def run(self) -> None:
        aging._expect_entry(self.world, self.api, 99.0)  # type: ignore[arg-type]
        while self._waiting:
            self.now, work = self._waiting.pop(0)
            work()


def test_an_order_that_is_in_no_audit_log_is_told_once_there_was_time() -> None:
    board = Board(0)
    board.run()
    assert board.told == ["what an app did at 100 s is not in the audit log 45 s later"]


def test_one_that_is_there_is_counted_and_one_of_a_process_that_ended_is_not_looked_for() -> None:
    board = Board(1)
    board.run()
    assert (board.counted, board.told) == (1, [])
    board = Board(0)
    board.world.cloud.api = object()
    board.run()
    assert board.told == []
