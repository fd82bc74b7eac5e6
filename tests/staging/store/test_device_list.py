"""Pages of the list of devices: filters, orders, search, and what each role may find out by them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from staging.identity.rights import Role, Viewer
from staging.store import (
    Database,
    accounts,
    device_list,
    device_query,
    devices,
    listings,
    ota,
    product_setup,
    products,
    releases,
    rollout_acts,
    tags,
)
from staging.store.effects import Wanted as Reported
from staging.store.effects import apply_all
from staging.store.history import HistoryPoint, When
from staging.store.models import Binding, Device, OtaTask
from staging.store.releases import StrategyType, Target

NAMES = ("own", "free", "developed", "family", "other")


class Fleet:
    """Five devices, one of each standing to the operator; ``other`` is of another product and batch."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ids: dict[str, int] = {}
        database.call(self._make)

    def _make(self, session: Any) -> None:
        operator = accounts.find_or_make(session, "operator", 0)
        parent = accounts.find_or_make(session, "parent", 0)
        self.operator = Viewer(operator.id, Role.OPERATOR)
        self.tester = Viewer(operator.id, Role.TESTER)
        for place, name in enumerate(NAMES[:4]):
            version = 0 if name == "developed" else 1
            made = devices.add(session, f"{place + 1:x}" * 14, 10 + place, version=version)
            made.name, made.last_heartbeat_time = f"{name} 50%_bear", 100 - place
            self.ids[name] = made.id
        lamp = product_setup.add_product(session, "Lamp", 0, test_devices=0)
        _, (other,) = product_setup.add_batch(session, lamp.id, "Winter", 1, 20)
        self.ids["other"] = other.id
        for name, owner in (("own", operator), ("family", parent)):
            session.add(Binding(device_id=self.ids[name], account_id=owner.id, create_time=1))

    def page(self, viewer: Viewer | None, online: tuple[str, ...] = (), **given: str) -> list[str]:
        values = {name: value.split("|") for name, value in given.items()}
        wanted = device_query.parse({"sort": ["added"], "order": ["up"]} | values)
        ids = [self.ids[name] for name in online]
        found = self.database.call(device_list.page, wanted, viewer, ids)
        assert found.total == self.database.call(device_list.total, wanted, viewer, ids)
        named = {number: name for name, number in self.ids.items()}
        return [named[number] for number in found.ids]


@pytest.fixture
def fleet(database: Database) -> Fleet:
    return Fleet(database)


def test_each_filter(fleet: Fleet) -> None:
    def check(expected: str, online: tuple[str, ...] = ("family",), **given: str) -> None:
        assert fleet.page(fleet.operator, online, **given) == expected.split(), given

    def activate(session: Any) -> None:
        for name in ("own", "family"):
            devices.note_registration(session, fleet.ids[name], 1)
        session.get(Device, fleet.ids["free"]).os_version_id = products.os_version(
            session, session.get(Device, fleet.ids["free"]).product_id, "1.2"
        ).id

    fleet.database.call(activate)
    fleet.database.call(tags.change, fleet.ids["free"], ["Bench", "红色"])
    fleet.database.call(tags.change, fleet.ids["own"], ["\uff22ENCH"])
    check("own free developed family other")
    check("family", presence="online")
    check("own", presence="offline")
    check("free developed other", presence="never")
    check("own family", presence="online|offline")
    check("", online=(), presence="online")
    check("own free developed family", product="story-machine")
    check("other", batch="Winter")
    check("free", version="1.2")
    check("own free", tag="bench")
    check("free", tag="bench|红色")
    check("own", owner="own")
    check("free other", owner="free")
    check("developed family", owner="development|family")
    check("other", product="Lamp", owner="free")
    check("", product="Lamp", owner="own")
    check("", product="nothing")
    check("", product="story-machine", tag="nothing")


def test_the_search_looks_at_everything_and_is_literal(fleet: Fleet) -> None:
    fleet.database.call(tags.change, fleet.ids["free"], ["100%"])
    for search, expected in (
        ("222", "free"),
        ("DDD", ""),
        ("winter", "other"),
        ("LAMP", "other"),
        ("story-mach 0.0.0.0", "own free developed family"),
        ("100%", "free"),
        ("%_bear", "own"),
        ("_%", ""),
        ("50%_bear own", "own"),
        ("nothing own", ""),
        ("';--", ""),
    ):
        assert fleet.page(fleet.operator, q=search) == expected.split(), search
    fleet.database.call(devices.rename, fleet.ids["own"], "bär", 0)
    assert fleet.page(fleet.operator, q="ba\u0308r") == ["own"]
    assert fleet.page(None, q="50%_bear") == [
        "free",
        "developed",
        "family",
    ]  # the data folder's owner


def test_a_tester_finds_nothing_that_is_a_familys_or_nobodys(fleet: Fleet) -> None:
    assert fleet.page(fleet.tester) == ["own", "developed"]
    for given in ({"q": "444"}, {"owner": "family"}, {"owner": "free"}, {"presence": "online"}):
        assert fleet.page(fleet.tester, ("family", "free"), **given) == []
    ids = set(fleet.ids.values())
    seen = fleet.database.call(device_list.seen, ids, fleet.tester)
    assert seen == {fleet.ids["own"], fleet.ids["developed"]}
    assert fleet.database.call(device_list.seen, ids, fleet.operator) == ids


def test_neither_search_nor_order_tells_what_a_family_named_or_reported(fleet: Fleet) -> None:
    def report(name: str, battery: int) -> None:
        points = [HistoryPoint("power", battery), HistoryPoint("volume", battery)]
        fleet.database.call(apply_all, fleet.ids[name], None, [Reported(points)], 500)

    report("own", 40)
    report("free", 90)
    orders = set()
    for battery in (1, 50, 99):
        report("family", battery)
        fleet.database.call(devices.rename, fleet.ids["family"], f"{battery:03} secret", 0)
        for sort in ("battery", "volume", "device"):
            orders.add((sort, *fleet.page(fleet.operator, sort=sort, order="up")))
        assert fleet.page(fleet.operator, q="secret") == []
    assert len(orders) == 3
    assert fleet.page(fleet.operator, sort="battery", order="down")[:2] == ["free", "own"]
    assert fleet.page(None, sort="battery", order="down")[:2] == ["family", "free"]


def test_what_a_device_reported_last_is_kept_for_the_order(fleet: Fleet) -> None:
    number = fleet.ids["own"]

    def kept() -> tuple[int | None, int | None]:
        device = fleet.database.call(lambda s: s.get_one(Device, number))
        return device.battery, device.volume

    for value, battery in (
        (80, 80),
        ("70", 70),
        (True, None),
        (60, 60),
        ("full", None),
        (5000, None),
        (9, 9),
    ):
        fleet.database.call(
            apply_all, number, None, [Reported([HistoryPoint("power", value)])], 1000
        )
        assert kept() == (battery, None)
    late = Reported([HistoryPoint("power", 99)], 0, When(5, late=True))
    fleet.database.call(apply_all, number, None, [late], 1001)
    assert kept() == (9, None)
    fleet.database.call(devices.unbind, number, 2000)
    assert kept() == (None, None)


def test_each_column_sorts_both_ways_and_every_device_is_on_one_page(fleet: Fleet) -> None:
    def run_versions(session: Any) -> None:
        for name, version in (("own", "1.9"), ("free", "1.10"), ("developed", "1.9.1")):
            device = session.get(Device, fleet.ids[name])
            device.os_version_id = products.os_version(session, device.product_id, version).id

    fleet.database.call(run_versions)
    fleet.database.call(tags.change, fleet.ids["own"], ["b", "c"])
    fleet.database.call(tags.change, fleet.ids["free"], ["a"])
    for sort, expected in (
        ("device", "free developed family other own"),
        ("presence", "free developed family other own"),
        ("version", "family other own developed free"),
        ("heartbeat", "other family developed free own"),
        ("owner", "free other family developed own"),
        ("product", "other own free developed family"),
        ("batch", "own free developed family other"),
        ("tags", "developed family other free own"),
        ("added", "own free developed family other"),
        ("update", "own free developed family other"),
    ):
        found = fleet.page(fleet.operator, ("own",), sort=sort, order="up")
        if sort == "device":
            found.remove("other")  # its uuid is random
            found.insert(3, "other")
        assert found == expected.split(), sort
        down = fleet.page(fleet.operator, ("own",), sort=sort, order="down")
        assert sorted(down) == sorted(NAMES)


def test_the_page_that_the_list_opens_with_is_the_beginning_of_all_pages(fleet: Fleet) -> None:
    fleet.database.call(devices.note_registration, fleet.ids["family"], 1)
    fleet.database.call(devices.note_registration, fleet.ids["free"], 1)
    for online, size, order, words in itertools.product(
        ((), ("free",), ("own", "other")), (2, 3, 50), ("up", "down"), ("", "bear", "lamp")
    ):
        down = order == "down"
        wanted = device_query.Wanted(search=words, size=size, descending=down)
        ids = [fleet.ids[name] for name in online]
        every = fleet.database.call(device_list.numbers, wanted, None, ids, limit=50)
        found = fleet.database.call(device_list.page, wanted, None, ids)
        assert (found.ids, found.total) == (every[:size], len(every)), (online, size, order, words)


def test_pages_share_no_device_and_leave_none_out(fleet: Fleet) -> None:
    def every(session: Any) -> list[int]:
        found: list[int] = []
        for number in (1, 2, 3, 4):
            wanted = device_query.Wanted(page=number, size=2)
            part = device_list.page(session, wanted, fleet.operator, [fleet.ids["free"]])
            assert part.total == len(NAMES)
            found += part.ids
        return found

    found = fleet.database.call(every)
    assert found[0] == fleet.ids["free"]
    assert sorted(found) == sorted(fleet.ids.values())
    wanted = device_query.Wanted()
    assert len(fleet.database.call(device_list.numbers, wanted, fleet.operator, limit=3)) == 3


def test_updates_that_a_device_has_had(fleet: Fleet) -> None:
    def order(session: Any) -> None:
        package = releases.add_package(session, "1.1", Target("p", 1, "0" * 32, "0" * 64), "", 0)
        strategy = releases.add_strategy(session, "1.1", StrategyType.PASSIVE, [], [], 0)
        rollout_acts.start(session, strategy.id, 0)
        for name in ("own", "free", "developed", "family"):
            ota.create(session, fleet.ids[name], package.id, None, 50)

    def end(session: Any, name: str, status: str, at: int) -> None:
        task = session.query(OtaTask).filter_by(device_id=fleet.ids[name]).one()
        task.status, task.update_time = status, at

    fleet.database.call(order)
    assert fleet.page(fleet.operator, update="running") == ["own", "free", "developed", "family"]
    fleet.database.call(end, "own", "FAILED", 60)
    fleet.database.call(end, "free", "SUCCESS", 70)
    fleet.database.call(end, "family", "FAILED", 80)
    fleet.database.call(lambda s: setattr(s.get(Device, fleet.ids["family"]), "family_since", 90))
    assert fleet.page(fleet.operator, update="failed") == [
        "own"
    ]  # the other's is of a family that has gone
    assert fleet.page(fleet.operator, update="success") == ["free"]
    assert fleet.page(fleet.operator, update="running|failed") == ["own", "developed"]
    assert fleet.page(fleet.operator, update="none") == ["family", "other"]
    assert fleet.page(fleet.operator, sort="update", order="down")[:2] == ["free", "own"]


def test_what_can_be_chosen(fleet: Fleet) -> None:
    found = {each["name"]: each for each in fleet.database.call(listings.choices)}
    assert found["Lamp"]["batches"] == ["Winter", "0000"]
    assert found["story-machine"]["versions"] == ["0.0.0.0"]
