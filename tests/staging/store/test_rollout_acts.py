"""Rollouts in the store: who is in a phase, what is done to one, and what the cloud does itself.

Tests staging.store.rollouts, staging.store.coverage, staging.store.rollout_health, staging.store.rollout_models,
staging.store.rollout_view and staging.store.silent_orders too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from staging.errors import NotFoundError, RefusedError, StagingError
from staging.rollouts import phases
from staging.rollouts.decision import State, Want, Why
from staging.store import (
    Database,
    accounts,
    coverage,
    devices,
    history,
    ota,
    product_setup,
    products,
    releases,
    rollout_acts,
    rollout_health,
    rollout_view,
    rollouts,
    silent_orders,
    tags,
)
from staging.store.history import HistoryPoint
from staging.store.models import Device, OtaTask, Package, ReportEpoch, Strategy
from staging.store.order_rules import Status
from staging.store.releases import StrategyType, Target
from staging.store.rollout_models import Rollout
from wire.errors import FieldError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
REACH_MS = 86_400_000
PLACES = 281_474_976_710_656
STALLED_MS = 3_600_000
TURN_MS = 30_000
LOOK_LIMIT_MS = 60_000
SILENT_PAUSE_MS = 3_600_000

NOW = 1_000_000_000_000
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
QUICK = {"soak": 0, "hours": 0, "sound": 0, "link": 0}


class Bench:
    """Devices of one product, and a silent strategy for them."""

    def __init__(self, database: Database, count: int = 10) -> None:
        self.call = database.call
        product = self.call(products.default_product, NOW)
        _, made = self.call(product_setup.add_batch, product.id, "b", count, NOW)
        self.uuids = [device.uuid for device in made]
        self.now = NOW
        self.heard(self.uuids)

    def plan(
        self, *planned: str, kind: StrategyType = StrategyType.SILENT, version: str = "1.1", **given: object
    ) -> int:  # fmt: skip
        target = Target(f"{version}.tar", 521, "0" * 32, "0" * 64)

        def work(session: Any) -> int:
            if session.query(Package).count() == 0:
                releases.add_package(session, version, target, "", NOW)
            strategy = releases.add_strategy(session, version, kind, [], [], NOW)
            if planned:
                rollouts.set_plan(session, strategy.id, planned, {**QUICK, **given})
            return int(strategy.id)

        return self.call(work)

    def start(self, number: int) -> None:
        self.call(rollout_acts.start, number, self.now)

    def heard(self, uuids: Iterable[str]) -> None:
        def work(session: Any) -> None:
            at = {device.id: self.now for device in self._devices(session, uuids)}
            devices.note_heard(session, at)

        self.call(work)

    def order_all(self) -> list[str]:
        """Order whatever is due; return the devices."""

        def work(session: Any) -> list[str]:
            return [uuid for uuid in self.uuids if silent_orders.order(session, uuid, self.now)]

        return self.call(work)

    def end(self, uuids: Iterable[str], status: Status, failure: str = "bad") -> None:
        """Let the updates of devices end so."""

        def work(session: Any) -> None:
            for device in self._devices(session, uuids):
                task = ota.active(session, device.id)
                assert task is not None
                task.accepted, task.status, task.end_time = True, status.value, self.now
                task.update_time = self.now
                if status is Status.FAILED:
                    task.failure = failure
                if status is Status.SUCCESS:
                    version = products.os_version(session, device.product_id, "1.1")
                    device.os_version_id = version.id

        self.call(work)

    @staticmethod
    def _devices(session: Any, uuids: Iterable[str]) -> list[Device]:
        return list(session.query(Device).filter(Device.uuid.in_(list(uuids))))

    def offered(self) -> list[str]:
        """Return the devices that the open API's check for updates has something for."""

        def work(session: Any) -> list[str]:
            rows = session.query(Device).order_by(Device.id)
            return [row.uuid for row in rows if ota.offered(session, row)]

        return self.call(work)

    def look(self, number: int) -> Any:
        found = self.call(rollout_acts.look, number, self.now)
        assert found is not None
        self.call(rollout_acts.act, found, self.now)
        return found

    def state(self, number: int) -> tuple[str, int]:
        def work(session: Any) -> tuple[str, int]:
            row = rollouts.row_of(session, number)
            opened = 0 if row is None else len(row.cuts)
            return str(session.get(Strategy, number).status), opened

        return self.call(work)

    def health(self, number: int) -> Any:
        return self.call(rollout_health.whole, number, self.now)


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


@pytest.mark.one_database
def test_a_phase_has_its_share_and_who_is_in_it_stays_in_it(bench: Bench) -> None:
    number = bench.plan("10%", "50%", "100%")
    assert bench.offered() == []
    bench.start(number)
    first = bench.offered()
    assert len(first) == 1
    bench.call(rollout_acts.open_next, number, NOW)
    second = bench.offered()
    assert (len(second), set(first) - set(second)) == (5, set())
    bench.call(rollout_acts.open_next, number, NOW)
    assert bench.offered() == bench.uuids
    with pytest.raises(FieldError, match="phases: got 3, expected a phase after the last one"):
        bench.call(rollout_acts.open_next, number, NOW)


@pytest.mark.one_database
def test_phases_are_batches_too(bench: Bench) -> None:
    product = bench.call(products.default_product, NOW)
    _, others = bench.call(product_setup.add_batch, product.id, "other", 3, NOW)
    number = bench.plan("batch:other", "100%")
    bench.start(number)
    assert bench.offered() == [device.uuid for device in others]
    found = bench.call(coverage.preview, number, NOW)
    assert (found.covered, found.first, dict(found.excluded)) == (13, 3, {})


@pytest.mark.one_database
def test_phases_are_tags_too_however_they_are_written(bench: Bench) -> None:
    def tag(session: Any) -> None:
        tags.change(session, devices.get(session, bench.uuids[3]).id, add=["Nursery"])

    bench.call(tag)
    number = bench.plan("tag:nursery,other", "100%")
    assert bench.call(coverage.preview, number, NOW).first == 1
    bench.start(number)
    assert bench.offered() == [bench.uuids[3]]
    total = bench.call(coverage.progress, number).total
    assert (total.waiting, total.held) == (10, 9)
    assert bench.health(number).waiting == 1


@pytest.mark.one_database
def test_a_strategy_without_phases_is_for_all_at_once(bench: Bench) -> None:
    number = bench.plan()
    bench.start(number)
    assert bench.offered() == bench.uuids
    assert len(bench.order_all()) == 10
    assert bench.call(rollout_acts.watched) == []
    assert bench.call(rollout_acts.look, number, NOW) is None
    assert bench.call(rollout_view.view, number, NOW)["phases"] == []
    with pytest.raises(StagingError, match="PUBLISHED without phases"):
        bench.call(rollouts.set_plan, number, ["1%"], {})


@pytest.mark.one_database
def test_what_is_open_is_not_taken_back(bench: Bench) -> None:
    number = bench.plan("10%", "50%")
    bench.start(number)
    with pytest.raises(FieldError, match="expected 10% first: it is open"):
        bench.call(rollouts.set_plan, number, ["5%", "50%"], {})
    row = bench.call(rollouts.set_plan, number, ["10%", "20%", "30%"], {"soak": 5})
    assert (row.phases, row.settings["soak"]) == (["10%", "20%", "30%"], 5)
    assert bench.call(rollouts.set_plan, number, None, {"soak": 6}).settings["soak"] == 6
    with pytest.raises(NotFoundError, match=r"phases\[1\]: batch nobody"):
        bench.call(rollouts.set_plan, number, ["10%", "batch:nobody"], {})
    plain = bench.plan(version="1.1")
    with pytest.raises(FieldError, match="phases"):
        bench.call(rollouts.set_plan, plain, None, {"soak": 6})
    with pytest.raises(NotFoundError, match="strategy 99"):
        bench.call(rollouts.set_plan, 99, ["1%"], {})


@pytest.mark.one_database
def test_only_what_is_in_effect_is_offered_ordered_or_sent(bench: Bench) -> None:
    number = bench.plan("50%", "100%")
    bench.start(number)
    ordered = bench.call(devices.get, bench.order_all()[0])
    free = next(uuid for uuid in bench.uuids if bench.call(_is_free, uuid))
    waiting = bench.call(devices.get, free)
    package = bench.call(releases.packages)[0][0]

    def put(session: Any, state: State) -> None:
        session.get(Strategy, number).status = state.value

    assert bench.call(ota.unsent, ordered.id, "http://cloud") is not None
    for state in set(State) - {State.PUBLISHED}:
        bench.call(put, state)
        assert bench.offered() == []
        assert bench.order_all() == []
        assert bench.call(ota.unsent, ordered.id, "http://cloud") is None
        assert bench.call(ota.new_version, waiting.id) is None
        with pytest.raises(RefusedError):
            bench.call(ota.create, waiting.id, package.id, number, NOW)


def _is_free(session: Any, uuid: str) -> bool:
    return ota.active(session, devices.get(session, uuid).id) is None


@pytest.mark.one_database
def test_a_pause_ends_and_its_orders_are_sent_then(bench: Bench) -> None:
    number = bench.plan("50%")
    bench.start(number)
    ordered = bench.order_all()[0]
    assert bench.call(rollout_acts.pause, number).state is State.PAUSED
    assert bench.call(rollout_acts.pause, number).state is State.PAUSED
    before = bench.call(rollouts.marks)
    assert bench.call(rollout_acts.resume, number, NOW).state is State.PUBLISHED
    assert bench.call(rollouts.marks) - before
    assert bench.call(ota.unsent, bench.call(devices.get, ordered).id, "http://cloud") is not None
    bench.call(rollout_acts.pause, number)
    with pytest.raises(FieldError, match='state: got "PAUSED", expected DRAFT or PUBLISHED or W'):
        bench.start(number)


@pytest.mark.one_database
def test_a_withdrawal_cancels_what_no_device_has_taken(bench: Bench) -> None:
    number = bench.plan("50%")
    bench.start(number)
    taken, *rest = bench.order_all()
    bench.call(_take, taken)
    assert bench.call(rollout_acts.running, number) == 1
    done = bench.call(rollout_acts.withdraw, number, NOW)
    assert (done.state, done.running, done.dropped) == (State.WITHDRAWN, 1, len(rest))
    assert bench.call(rollout_acts.to_cancel) == []
    # A device that got an order in the same moment is told; the one that has taken it finishes.
    assert sorted(bench.call(rollout_acts.to_tell, {number})) == sorted(rest)
    found = bench.call(coverage.progress, number).total
    assert (found.running, found.cancelled, found.covered) == (1, len(rest), 10)


def _take(session: Any, uuid: str) -> None:
    task = ota.active(session, devices.get(session, uuid).id)
    assert task is not None
    task.accepted = True


@pytest.mark.one_database
def test_a_withdrawal_may_cancel_what_runs(bench: Bench) -> None:
    number = bench.plan("50%")
    bench.start(number)
    taken = bench.order_all()[0]
    bench.call(_take, taken)
    bench.call(rollout_acts.withdraw, number, NOW, recall=True)
    ((task_id, uuid),) = bench.call(rollout_acts.to_cancel)
    assert uuid == taken
    bench.call(ota.cancel, task_id, None, NOW, answered=True)
    assert bench.call(rollout_acts.to_cancel) == []
    assert bench.call(rollout_acts.start, number, NOW).phase == 1  # it goes on where it was


def test_a_version_that_fails_is_halted_and_goes_on_only_with_new_evidence(
    database: Database,
) -> None:
    bench = Bench(database, 5)
    number = bench.plan("80%", "100%")
    bench.start(number)
    ordered = bench.order_all()
    assert len(ordered) == 4
    bench.end(ordered[:3], Status.SUCCESS)
    bench.end(ordered[3:], Status.FAILED, "sound: the sound stands still")
    assert bench.look(number).next.waits[0].want is Want.SAMPLE
    assert (bench.health(number).counts.suspect, bench.health(number).retrying) == (1, 1)
    bench.now += SILENT_PAUSE_MS
    again = bench.order_all()
    assert sorted(again) == sorted(ordered[3:])
    bench.end(again, Status.FAILED, "sound: the sound stands still")
    assert bench.look(number).next.halts is Why.FAILING
    assert bench.state(number) == ("HALTED", 1)
    assert bench.offered() == []
    shown = bench.call(rollout_view.view, number, bench.now)
    assert {key: shown["reason"][key] for key in ("why", "well", "bad")} == {
        "why": "failing", "well": 3, "bad": 1,
    }  # fmt: skip
    assert [each["failure"] for each in shown["failing"]] == ["sound: the sound stands still"]
    bench.now += MINUTE
    assert bench.call(rollout_acts.resume, number, bench.now).state is State.PUBLISHED
    assert bench.look(number).next.halts is None
    assert bench.order_all() == []  # each had its two tries
    assert bench.call(rollout_acts.retry, number, bench.now).retried == 1
    assert sorted(bench.order_all()) == sorted(ordered[3:])
    bench.end(ordered[3:], Status.FAILED)
    bench.now += HOUR
    assert bench.call(rollout_acts.retry, number, bench.now).retried == 0
    assert bench.order_all() == []  # once each


@pytest.mark.one_database
def test_the_next_phase_opens_once_though_two_processes_look(bench: Bench) -> None:
    number = bench.plan("10%", "50%", "100%", soak=60)
    bench.start(number)
    bench.end(bench.order_all(), Status.SUCCESS)
    assert [wait.want for wait in bench.look(number).next.waits] == [Want.SOAK]
    bench.now += 30 * SECOND
    assert bench.look(number).soaked == 30_000
    bench.now += 31 * SECOND
    found = bench.call(rollout_acts.look, number, bench.now)
    assert found is not None
    assert found.next.opens
    assert bench.call(rollout_acts.act, found, bench.now) is not None
    assert bench.call(rollout_acts.act, found, bench.now) is None
    assert bench.state(number) == ("PUBLISHED", 2)
    bench.call(rollout_acts.pause, number)
    assert bench.call(rollout_acts.act, replace(found, step=9), bench.now) is None


@pytest.mark.one_database
def test_time_for_which_nobody_watched_does_not_count(bench: Bench) -> None:
    number = bench.plan("10%", "100%", soak=3600)
    bench.start(number)
    bench.now += 30 * 24 * HOUR
    assert bench.look(number).soaked == LOOK_LIMIT_MS
    bench.now -= 365 * 24 * HOUR
    assert bench.look(number).soaked == LOOK_LIMIT_MS


@pytest.mark.one_database
def test_the_pace_bounds_orders_at_once_and_a_minute(bench: Bench) -> None:
    number = bench.plan("100%", open=3, perMinute=4)
    bench.start(number)
    first = bench.order_all()
    assert len(first) == 3
    assert bench.call(silent_orders.due, bench.uuids[-1], bench.now).wait == TURN_MS
    bench.end(first, Status.SUCCESS)
    assert len(bench.order_all()) == 1
    bench.now += 59 * SECOND
    assert bench.call(silent_orders.due, bench.uuids[-1], bench.now).wait == SECOND
    bench.now += SECOND
    assert len(bench.order_all()) == 2  # the fourth runs still
    bench.now += STALLED_MS + 1
    assert len(bench.order_all()) == 3


@pytest.mark.one_database
def test_a_user_is_told_when_the_pace_is_used_up(bench: Bench) -> None:
    number = bench.plan("100%", kind=StrategyType.PASSIVE, open=1)
    bench.start(number)
    package = bench.call(releases.packages)[0][0]
    one, two = (bench.call(devices.get, uuid) for uuid in bench.uuids[:2])
    bench.call(ota.create, one.id, package.id, None, NOW)
    with pytest.raises(
        RefusedError, match="as many updates under way as its pace allows; try again in 30 s"
    ):
        bench.call(ota.create, two.id, package.id, None, NOW)
    with pytest.raises(FieldError, match='type: got "PASSIVE", expected SILENT'):
        bench.call(rollout_acts.retry, number, NOW)


def test_health_is_more_than_installed(bench: Bench) -> None:
    number = bench.plan("100%")
    bench.start(number)
    well, late, back, dead, off = bench.order_all()[:5]
    bench.end([well, late, back], Status.SUCCESS)
    bench.end([dead, off], Status.INSTALLED)
    bench.now += HOUR
    bench.heard([well, back])

    def go_on(session: Any) -> None:
        gone = devices.get(session, back)
        gone.os_version_id = products.os_version(session, gone.product_id, "1.0").id
        for place in range(5):
            session.add(
                ReportEpoch(
                    device_id=devices.get(session, well).id,
                    epoch=str(place),
                    ranges=[],
                    use_time=bench.now,
                )
            )
        played = HistoryPoint("player", '{"state": "playing", "title": "x"}')
        paused = HistoryPoint("player", '{"state": "paused", "title": "playing"}')
        for uuid, at, point in (
            (well, NOW - HOUR, played), (well, NOW + MINUTE, played),
            (late, NOW - HOUR, played), (late, NOW + MINUTE, paused),
        ):  # fmt: skip
            history.append(session, devices.get(session, uuid), [point], at)

    bench.call(go_on)
    found = bench.health(number)
    assert (found.counts.well, found.counts.bad, found.counts.suspect) == (2, 1, 2)
    assert (found.linked, found.hours, found.crashing) == (1, 0.0, 1)
    assert (found.played, found.heard) == (2, 1)
    assert (found.running, found.retrying, found.waiting) == (5, 0, 0)


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("hours", "starts", "crashing"), [(1, 3, 0), (1, 4, 1), (36, 9, 0), (36, 10, 1), (49, 15, 0)]
)
def test_three_starts_and_six_a_day_are_no_crashes(
    bench: Bench, hours: int, starts: int, crashing: int
) -> None:
    number = bench.plan("100%")
    bench.start(number)
    well = bench.order_all()[0]
    bench.end([well], Status.SUCCESS)
    bench.now += hours * HOUR
    bench.heard([well])

    def start(session: Any) -> None:
        device = devices.get(session, well).id
        for place in range(starts):
            session.add(
                ReportEpoch(device_id=device, epoch=str(place), ranges=[], use_time=bench.now)
            )

    bench.call(start)
    found = bench.health(number)
    assert (found.linked, found.crashing) == (1, crashing)
    assert found.hours == pytest.approx(0 if crashing else hours)


@pytest.mark.one_database
def test_what_says_nothing_of_the_version_is_not_counted(bench: Bench) -> None:
    number = bench.plan("100%")
    bench.start(number)
    refused, cancelled, *_ = bench.order_all()
    device = bench.call(devices.get, refused)
    task = bench.call(lambda session: ota.active(session, device.id))
    assert task is not None
    bench.call(ota.note_answer, task.id, "5.03 no room", NOW)
    other = bench.call(devices.get, cancelled)
    task = bench.call(lambda session: ota.active(session, other.id))
    assert task is not None
    bench.call(ota.cancel, task.id, "by hand", NOW)
    found = bench.health(number)
    assert (found.counts.suspect, found.counts.bad, found.running) == (0, 0, 8)
    total = bench.call(coverage.progress, number).total
    assert (total.refused, total.cancelled, total.running, total.covered) == (1, 1, 8, 10)
    assert [each["failure"] for each in bench.call(rollout_view.view, number, NOW)["failing"]] == [
        "the device refused the order: 5.03 no room"
    ]


@pytest.mark.one_database
def test_the_preview_says_who_is_left_out_and_why(bench: Bench) -> None:
    def mix(session: Any) -> None:
        product = products.default_product(session, NOW)
        product_setup.add_batch(session, product.id, "other", 2, NOW)
        newer, odd = devices.get(session, bench.uuids[0]), devices.get(session, bench.uuids[1])
        newer.os_version_id = products.os_version(session, product.id, "1.1.0").id
        odd.os_version_id = products.os_version(session, product.id, "0.5").id
        releases.add_package(session, "1.1", Target("1.tar", 1, "0" * 32, "0" * 64), "", NOW)
        releases.add_strategy(session, "1.1", StrategyType.SILENT, ["0.0"], ["b"], NOW)

    bench.call(mix)
    found = bench.call(coverage.preview, 1, NOW + MINUTE)
    assert (found.covered, found.heard, found.busy, found.first) == (8, 8, 0, 8)
    assert dict(found.excluded) == {"version": 1, "from": 1, "batch": 2}
    assert bench.call(coverage.preview, 1, NOW + 2 * REACH_MS).heard == 0


@pytest.mark.one_database
def test_progress_is_told_by_the_version_before(bench: Bench) -> None:
    def move(session: Any) -> None:
        for uuid in bench.uuids[:3]:
            device = devices.get(session, uuid)
            device.os_version_id = products.os_version(session, device.product_id, "1.0").id

    bench.call(move)
    number = bench.plan("100%")
    bench.start(number)
    bench.end(bench.order_all(), Status.SUCCESS)
    found = bench.call(coverage.progress, number)
    assert [(row.version, row.success) for row in found.versions] == [("1.0", 3), ("0.0.0.0", 7)]
    assert (found.total.covered, found.total.success, found.total.waiting) == (10, 10, 0)


@pytest.mark.one_database
def test_a_familys_log_is_shown_to_nobody_else(bench: Bench) -> None:
    number = bench.plan("100%")
    bench.start(number)
    ordered = bench.order_all()[:2]

    def tell(session: Any) -> None:
        for uuid in ordered:
            device = devices.get(session, uuid)
            task = ota.active(session, device.id)
            assert task is not None
            log = {"transaction": str(task.id), "version": "1.1", "lines": ["one", "two"]}
            history.append(session, device, [HistoryPoint("ota_log", log)], NOW)
        family = accounts.find_or_make(session, "family", NOW)
        bound = devices.get(session, ordered[0])
        devices.bind(session, bound.uuid, bound.bind_token or "", family.id, NOW)

    bench.call(tell)
    bench.end(ordered, Status.FAILED)
    shown = {
        each["uuid"]: each["log"] for each in bench.call(rollout_view.view, number, NOW)["failing"]
    }
    assert shown == {ordered[0]: None, ordered[1]: ["one", "two"]}


@pytest.mark.one_database
def test_what_is_not_there_is_named(bench: Bench) -> None:
    for act in (rollout_acts.start, rollout_acts.withdraw, rollout_acts.resume, rollout_acts.retry):
        with pytest.raises(NotFoundError, match="strategy 7: there is none"):
            bench.call(act, 7, NOW)
    for work in (coverage.preview, rollout_view.view, rollout_view.preview):
        with pytest.raises(NotFoundError, match="strategy 7"):
            bench.call(work, 7, NOW)


@pytest.mark.one_database
def test_a_row_that_cannot_be_read_offers_nothing(bench: Bench) -> None:
    """A damaged row must not let everybody in."""
    number = bench.plan("50%", "100%")
    bench.start(number)

    def damage(session: Any) -> None:
        session.get(Rollout, number).cuts = []

    bench.call(damage)
    assert bench.offered() == []
    assert phases.place_of(number, bench.uuids[0]) < PLACES
    assert bench.call(rollout_acts.watched) == []
    assert bench.call(lambda session: session.query(OtaTask).count()) == 0
