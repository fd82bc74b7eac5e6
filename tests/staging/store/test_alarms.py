"""Alarms: what is wrong, when they begin and end, and what becomes of them in the store.

Tests staging.alarm_rules and staging.store.alarm_models too.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select

from staging.alarm_rules import Key, Kind, Seen, Settings, Sight, check_setting, step
from staging.errors import NotFoundError
from staging.identity.rights import Role, Viewer
from staging.store import (
    Database,
    accounts,
    alarms,
    devices,
    ota,
    releases,
    rollout_acts,
    webhooks,
)
from staging.store.alarm_models import Delivery
from staging.store.models import ACTIVATED, Binding, Device
from staging.store.releases import StrategyType, Target
from wire.errors import FieldError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEPT_MS = 7_776_000_000
HOLD_MS = 600_000

NOW = 10**12
BAD = Seen(Kind.OFFLINE, "a")
BETWEEN = Seen(Kind.OFFLINE, "a", Sight.BETWEEN)


@pytest.mark.parametrize(("name", "value"), asdict(Settings()).items())
def test_each_default_is_a_setting_that_may_be_set(name: str, value: int) -> None:
    check_setting(name, value)


def test_what_comes_and_goes_is_one_alarm() -> None:
    opened: dict[Key, int | None] = {BAD.key: None}
    assert step({}, [BAD], NOW).begin == [BAD]
    assert step({}, [BETWEEN], NOW).begin == []
    assert step(opened, [BETWEEN], NOW).clear == []
    assert step(opened, [], NOW).clear == [BAD.key]
    opened[BAD.key] = NOW
    assert step(opened, [], NOW + HOLD_MS - 1).end == []
    assert step(opened, [], NOW + HOLD_MS).end == [BAD.key]
    assert step(opened, [BAD], NOW + HOLD_MS).again == [BAD.key]
    assert step(opened, [BETWEEN], NOW + HOLD_MS).again == []


@example([True, *[False] * 40], 1)  # it ends, as no other example does
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 3))
def test_an_alarm_neither_flaps_nor_is_lost(minutes: list[bool], limit: int) -> None:
    since: dict[Key, int | None] = {}
    last_bad: int | None = None
    begun = 0
    for minute, is_bad in enumerate(minutes):
        now = minute * 60_000
        changes = step(since, [BAD] if is_bad else [], now, limit)
        begun += len(changes.begin)
        since |= dict.fromkeys([seen.key for seen in changes.begin] + changes.again)
        since |= dict.fromkeys(changes.clear, now)
        for key in changes.end:
            assert last_bad is not None
            assert now - last_bad >= HOLD_MS
            del since[key]
        last_bad = now if is_bad else last_bad
        assert (BAD.key in since) or not is_bad
    assert begun <= 1 + sum(1 for _ in minutes) // 11


def test_more_than_may_be_open_is_a_number() -> None:
    seen = [Seen(Kind.OFFLINE, str(n)) for n in range(5)] + [Seen(Kind.CLONE, "x")]
    changes = step({(Kind.OFFLINE, "0"): None}, seen, NOW, 3)
    assert [each.subject for each in changes.begin] == ["x", "1", "2"]
    assert changes.surplus == {Kind.OFFLINE: 2}


@pytest.mark.parametrize(
    ("name", "value"),
    [("colour", 1), ("clone", 2), ("offline_minutes", -1), ("battery_percent", 91)],
)
def test_a_setting_that_is_none(name: str, value: int) -> None:
    with pytest.raises(FieldError, match="setting" if name == "colour" else name):
        check_setting(name, value)


class Fleet:
    """A device of a family's, one of a tester's, one under development, one that is nobody's."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ids: dict[str, int] = {}
        database.call(self._make)

    def _make(self, session: Any) -> None:
        family = accounts.add(session, "mum", "scrypt$", 0, Role.PARENT)
        tester = accounts.add(session, "tom", "scrypt$", 0, Role.TESTER)
        self.tester = tester.id
        names = ("family", "tester", "developed", "free")
        for digit, name in zip("abcd", names, strict=True):
            made = devices.add(session, digit * 14, 0, version=int(name != "developed"))
            made.status, made.last_heartbeat_time, made.battery = ACTIVATED, NOW, 50
            self.ids[name] = made.id
        for name, owner in (("family", family), ("tester", tester)):
            session.add(Binding(device_id=self.ids[name], account_id=owner.id, create_time=1))

    def put(self, name: str, **values: Any) -> None:
        def change(session: Any) -> None:
            for key, value in values.items():
                setattr(session.get_one(Device, self.ids[name]), key, value)

        self.database.call(change)

    def look(
        self, *online: str, twins: tuple[str, ...] = (), now: int = NOW
    ) -> set[tuple[str, str]]:
        ids = [self.ids[name] for name in online]
        named = {digit * 14: name for digit, name in zip("abcd", self.ids, strict=True)}
        seen = self.database.call(alarms.look, ids, twins, now)
        return {(str(each.kind), named.get(each.subject, each.subject)) for each in seen}


@pytest.fixture
def fleet(database: Database) -> Fleet:
    return Fleet(database)


def test_who_is_silent_for_long_and_whom_one_expects(fleet: Fleet) -> None:
    later = NOW + Settings().offline_minutes * 60_000 + 1
    assert fleet.look() == set()
    assert fleet.look("tester", now=later) == {("offline", "family"), ("offline", "developed")}
    fleet.database.call(alarms.set_setting, "offline_minutes", 0)
    assert fleet.look(now=later) == set()


def test_a_familys_battery_is_the_familys(fleet: Fleet) -> None:
    for name in fleet.ids:
        fleet.put(name, battery=5)
    every = {("battery", "tester"), ("battery", "developed"), ("battery", "free")}
    assert fleet.look() == every
    seen = fleet.database.call(alarms.look, [], (), NOW)
    fleet.database.call(alarms.apply, seen, NOW)
    operator = Viewer(99, Role.OPERATOR)
    shown = fleet.database.call(alarms.listing, ended=False, limit=9, viewer=operator)
    assert {alarm.subject for alarm in shown} == {"c" * 14, "d" * 14}
    mine = Viewer(fleet.tester, Role.OPERATOR)
    assert len(fleet.database.call(alarms.listing, ended=False, limit=9, viewer=mine)) == 3
    fleet.put("free", battery=20)
    (between,) = (s for s in fleet.database.call(alarms.look, [], (), NOW) if s.subject == "d" * 14)
    assert between.sight is Sight.BETWEEN
    fleet.put("free", battery=25)
    assert ("battery", "free") not in fleet.look()


def test_a_version_to_which_updates_fail_and_a_clone(fleet: Fleet) -> None:
    def update(session: Any) -> None:
        releases.add_package(session, "3.0", Target("p", 7, "0" * 32, "0" * 64), "", 0)
        made = releases.add_strategy(session, "3.0", StrategyType.PASSIVE, [], [], 0)
        rollout_acts.start(session, made.id, 0)
        for place, device_id in enumerate(fleet.ids.values()):
            ota.create(session, device_id, 1, None, NOW).status = (
                "FAILED" if place == 0 else "SUCCESS"
            )

    fleet.database.call(update)
    assert fleet.look(twins=("b" * 14,)) == {("clone", "tester")}
    fleet.database.call(alarms.set_setting, "failing_updates", 4)
    fleet.database.call(alarms.set_setting, "clone", 0)
    assert fleet.look(twins=("b" * 14,)) == {("version", "story-machine 3.0")}


def test_an_alarms_life_and_who_is_told(fleet: Fleet) -> None:
    call = fleet.database.call
    hook = call(webhooks.add, "https://example.org/alarms", NOW)
    seen = [Seen(Kind.CLONE, "a" * 14, device_id=fleet.ids["family"])]
    (alarm,) = call(alarms.apply, seen, NOW)
    assert call(alarms.apply, seen, NOW + 1) == []
    assert call(alarms.counts) == {"clone": 1}
    assert call(alarms.acknowledge, alarm.id, "ada", NOW + 2).ack_by == "ada"
    assert call(alarms.acknowledge, alarm.id, "tom", NOW + 3).ack_by == "ada"
    assert call(alarms.apply, [], NOW + 4) == []
    (ended,) = call(alarms.apply, [], NOW + 4 + HOLD_MS)
    assert alarms.state_of(ended) == "ended"
    bodies = [json.loads(body) for body in call(lambda s: list(s.scalars(select(Delivery.body))))]
    assert [(b["event"], b["alarm"]["id"], b["alarm"]["state"]) for b in bodies] == [
        ("alarm.opened", alarm.id, "open"), ("alarm.ended", alarm.id, "ended"),
    ]  # fmt: skip
    assert hook.secret not in str(bodies)
    assert call(alarms.listing, ended=False, limit=9) == []
    assert len(call(alarms.listing, ended=True, limit=9)) == 1
    call(alarms.forget_old, NOW + KEPT_MS + 5 + HOLD_MS)
    assert call(alarms.listing, ended=True, limit=9) == []
    with pytest.raises(NotFoundError, match="alarm 99"):
        call(alarms.acknowledge, 99, "ada", NOW)
