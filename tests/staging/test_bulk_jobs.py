"""Steps for many devices: the preview, the job, and what became another way between the two.

Tests staging.store.bulk too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from staging import bulk_jobs
from staging.bulk_jobs import Job, Jobs
from staging.errors import NotFoundError, StagingError
from staging.identity.rights import Role, Viewer
from staging.store import (
    Database,
    accounts,
    bulk,
    device_query,
    devices,
    ota,
    releases,
    rollout_acts,
    tags,
)
from staging.store.bulk import Judged, Outcome, Step, Why, parse_step
from staging.store.models import UNVERIFIED, Binding, Device, OtaTask
from staging.store.releases import StrategyType, Target
from tests.staging.conftest import FakeClock
from wire.errors import FieldError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PREVIEW_MS = 900_000


TARGET = Target("p", 1, "0" * 32, "0" * 64)


class Hands:
    """A gateway that records."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sent: list[str] = []
        self.fails = ""

    def send_pending_order(self, uuid: str) -> None:
        self.sent.append(uuid)

    async def cancel_update(self, uuid: str) -> OtaTask:
        if uuid == self.fails:
            raise StagingError(f"device {uuid} does not give it up")

        def end(session: Any) -> OtaTask:
            return ota.cancel(session, ota.under_way(session, uuid).id, "cancelled", 9)

        return await self.database.write(end)


class Bench:
    """Four devices: free, own, of another tester and under development, once a family's."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database = database
        self.hands = Hands(database)
        self.told: list[Outcome] = []
        self.jobs = Jobs(database, self.hands, clock, self._tell, list)
        self.uuids = [digit * 14 for digit in "abcd"]
        database.call(self._make)

    def _make(self, session: Any) -> None:
        me, other = (
            accounts.add(session, name, "scrypt$", 0, Role.OPERATOR) for name in ("me", "other")
        )
        self.me = Viewer(me.id, Role.OPERATOR)
        made = [devices.add(session, uuid, 0, version=int(uuid[0] != "c")) for uuid in self.uuids]
        self.ids = [device.id for device in made]
        for device, owner in ((made[1], me), (made[2], other)):
            session.add(Binding(device_id=device.id, account_id=owner.id, create_time=1))
        made[3].family_since = 5
        session.flush()

    def _tell(self, _job: Job, outcomes: Sequence[Outcome]) -> None:
        self.told += outcomes

    async def preview(self, action: str, **step: Any) -> bulk_jobs.Preview:
        words = {"package_id": None, "add": (), "remove": ()} | step
        wanted = device_query.Wanted()
        return await self.jobs.preview(parse_step(action, **words), self.me, wanted)

    async def act(self, preview: bulk_jobs.Preview) -> Job:
        job = await self.jobs.begin(preview.mark, self.me, "me")
        for task in list(self.jobs._tasks):
            await task
        assert job.ended
        return job

    def offer(self) -> None:
        def make(session: Any) -> None:
            releases.add_package(session, "1.1", TARGET, "", 0)
            made = releases.add_strategy(session, "1.1", StrategyType.PASSIVE, [], [], 0)
            rollout_acts.start(session, made.id, 0)

        self.database.call(make)


@pytest.fixture
def bench(database: Database, clock: FakeClock) -> Bench:
    return Bench(database, clock)


def out(preview: bulk_jobs.Preview) -> dict[str, int]:
    return {str(why): each.count for why, each in preview.left_out.items()}


async def test_binding_takes_what_nobody_has_had(bench: Bench) -> None:
    preview = await bench.preview("bind")
    assert (len(preview.every), preview.ready.tolist()) == (4, [bench.ids[0]])
    assert out(preview) == {"done_already": 1, "bound_to_other": 1, "had_family": 1}
    assert preview.to_json()["leftOut"][0] == {
        "why": "bound_to_other", "count": 1, "uuids": [bench.uuids[2]],
    }  # fmt: skip
    job = await bench.act(preview)
    assert (job.done, job.failures, job.problem) == (1, 0, "")
    assert [outcome.uuid for outcome in bench.told] == [bench.uuids[0]]
    assert (await bench.preview("bind")).ready.tolist() == []
    # Whoever has the machine in hand, and so its token, takes it over.
    device = bench.database.call(lambda s: s.get_one(Device, bench.ids[0]))
    family = bench.database.call(accounts.find_or_make, "family", 0)
    bench.database.call(devices.bind, device.uuid, device.bind_token or "", family.id, 10)
    owner = bench.database.call(lambda s: s.get_one(Binding, bench.ids[0]).account_id)
    assert owner == family.id


async def test_what_changed_between_preview_and_act_is_told(bench: Bench) -> None:
    preview = await bench.preview("tag", add=["Bench", "x"], remove=["old"])
    assert len(preview.ready) == 4
    bench.database.call(tags.change, bench.ids[1], ["x", "bench"])
    bench.database.call(devices.add, "e" * 14, 0)
    job = await bench.act(preview)
    assert (job.done, job.appeared, dict(job.changed)) == (3, 1, {Why.DONE: 1})
    assert bench.database.call(tags.of, bench.ids)[bench.ids[0]] == ("bench", "x")
    assert bench.jobs.find(job.number, bench.me.account_id) is job
    with pytest.raises(NotFoundError, match="the cloud may have been restarted"):
        bench.jobs.find(job.number, 99)
    with pytest.raises(NotFoundError, match="make another one"):
        await bench.jobs.begin(preview.mark, bench.me, "me")  # once


async def test_ordering_and_cancelling_reach_what_is_bound_to_oneself(bench: Bench) -> None:
    bench.offer()
    preview = await bench.preview("order")
    assert out(preview) == {"not_own": 3}
    job = await bench.act(preview)
    assert (job.done, bench.hands.sent) == (1, [bench.uuids[1]])
    assert out(await bench.preview("order")) == {"not_own": 3, "done_already": 1}
    bench.hands.fails = bench.uuids[1]
    job = await bench.act(await bench.preview("cancel"))
    assert (job.done, job.failures) == (0, 1)
    assert job.failed == [(bench.uuids[1], f"device {bench.uuids[1]} does not give it up")]
    bench.hands.fails = ""
    assert (await bench.act(await bench.preview("cancel"))).done == 1
    assert out(await bench.preview("cancel")) == {"not_own": 3, "no_update": 1}


async def test_verifying_takes_ones_own_and_what_is_under_development(bench: Bench) -> None:
    package = bench.database.call(
        lambda s: releases.add_package(s, "2.0", TARGET, "", 0, status=UNVERIFIED)
    )
    preview = await bench.preview("verify", package_id=package.id)
    assert out(preview) == {"not_for_verification": 2}
    assert (await bench.act(preview)).done == 2
    assert sorted(bench.hands.sent) == [bench.uuids[1], bench.uuids[2]]
    with pytest.raises(FieldError, match="packageId: got 99"):
        await bench.preview("verify", package_id=99)


@pytest.mark.one_database
async def test_bounds(bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    preview = await bench.preview("tag", add=["a"])
    clock.now += PREVIEW_MS + 1
    with pytest.raises(NotFoundError):
        await bench.jobs.begin(preview.mark, bench.me, "me")
    monkeypatch.setattr(bulk_jobs, "DEVICES_LIMIT", 3)
    with pytest.raises(StagingError, match="more than 3 devices match"):
        await bench.preview("tag", add=["a"])
    monkeypatch.setattr(bulk_jobs, "DEVICES_LIMIT", 9)
    monkeypatch.setattr(bulk_jobs, "RUNNING_LIMIT", 0)
    preview = await bench.preview("tag", add=["a"])
    with pytest.raises(StagingError, match="0 jobs run already"):
        await bench.jobs.begin(preview.mark, bench.me, "me")
    tester = Viewer(bench.me.account_id, Role.TESTER)
    with pytest.raises(StagingError, match="bound by operators alone"):
        await bench.jobs.preview(parse_step("bind", None, [], []), tester, None, bench.ids)


@pytest.mark.one_database
async def test_a_page_of_devices_is_judged_at_once_and_twenty_take_the_step_in_one_transaction(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's writer is everybody's: it is free again after some milliseconds."""
    judged: list[int] = []
    taken: list[int] = []

    def judge(_session: Any, _step: Step, ids: Sequence[int], _viewer: Viewer) -> list[Judged]:
        judged.append(len(ids))
        return [Judged(each, f"{each:014x}", None) for each in ids]

    def take(_s: Any, _step: Step, ids: Sequence[int], _v: Viewer, _now: int) -> list[Outcome]:
        taken.append(len(ids))
        return [Outcome(each, f"{each:014x}") for each in ids]

    monkeypatch.setattr(bulk, "judge", judge)
    monkeypatch.setattr(bulk, "take", take)
    step = parse_step("tag", None, ["a"], [])
    preview = await bench.jobs.preview(step, bench.me, None, range(1, 842))
    assert judged == [400, 400, 41]
    job = await bench.act(preview)
    assert taken == [20] * 42 + [1]
    assert job.done == 841


@pytest.mark.one_database
async def test_of_many_that_fail_two_hundred_are_listed_and_of_each_reason_five_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(_session: Any, _step: Step, ids: Sequence[int], _viewer: Viewer) -> list[Judged]:
        return [Judged(each, f"{each:014x}", Why.DONE if each < 8 else None) for each in ids]

    def take(_s: Any, _step: Step, ids: Sequence[int], _v: Viewer, _now: int) -> list[Outcome]:
        return [Outcome(each, f"{each:014x}", failure="no") for each in ids]

    monkeypatch.setattr(bulk, "judge", judge)
    monkeypatch.setattr(bulk, "take", take)
    step = parse_step("tag", None, ["a"], [])
    preview = await bench.jobs.preview(step, bench.me, None, range(1, 300))
    (left,) = preview.to_json()["leftOut"]
    assert left == {
        "why": "done_already", "count": 7, "uuids": [f"{each:014x}" for each in range(1, 6)],
    }  # fmt: skip
    job = await bench.act(preview)
    assert (job.failures, len(job.failed)) == (292, 200)


async def test_of_previews_the_newest_twenty_may_be_acted_on(bench: Bench) -> None:
    first, second, *_ = [await bench.preview("bind") for _ in range(21)]
    with pytest.raises(NotFoundError):
        await bench.jobs.begin(first.mark, bench.me, "me")
    assert (await bench.act(second)).done == 1


async def test_whose_account_is_taken_back_does_no_more(bench: Bench) -> None:
    preview = await bench.preview("tag", add=["a"])
    bench.database.call(lambda s: accounts.set_role(accounts.one(s, "me"), Role.TESTER))
    job = await bench.act(preview)
    assert (job.done, bench.told) == (0, [])
    assert "has been disabled, or has another role" in job.problem
    assert bench.database.call(tags.listing) == []


async def test_a_named_device_that_there_is_not_is_left_out(bench: Bench) -> None:
    ids = [bench.ids[0], -1]
    made = await bench.jobs.preview(parse_step("tag", None, ["a"], []), bench.me, None, ids)
    assert out(made) == {"gone": 1}
    judged = bench.database.call(bulk.judge, made.step, ids, Viewer(99, Role.TESTER))
    assert [each.why for each in judged] == [None, Why.GONE]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (("explode", None, [], []), "action: got"),
        (("tag", None, [], []), "tags: "),
        (("bind", None, ["a"], []), "tags: "),
        (("verify", None, [], []), "packageId: "),
        (("tag", 3, ["a"], []), "packageId: "),
        (("tag", None, ["a"], ["A"]), "not both"),
    ],
)
def test_a_step_that_is_none_is_refused(step: Any, told: str) -> None:
    with pytest.raises(FieldError, match=told):
        parse_step(*step)
