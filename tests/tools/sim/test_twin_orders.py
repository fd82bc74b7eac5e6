"""What the simulation finds wrong with orders to a device that two machines are."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tools.sim import twin_orders
from tools.sim.open_api import Answer
from tools.sim.twin_orders import TwinOrders, give
from wire.codes import Code
from wire.exchange import Request

DONE, TIMED_OUT, BUSY = Answer(200, 0, "2.04"), Answer(504, 0, ""), Answer(503, 0, "")


async def judged(by: Sequence[tuple[str, float]], answer: Answer | None) -> list[str]:
    """Return what is wrong with an order that was done ``by`` these machines, and answered at 10 s."""
    orders = TwinOrders()
    value = orders.begin()
    for name, now in by:
        request = Request("PUT", ("volume",), payload=value.encode())
        assert (await orders.carry_out(name, now, request)).code == Code.CHANGED
    orders.answered(value, 10.0, answer)
    return orders.broken


@pytest.mark.parametrize(
    ("by", "answer", "told"),
    [
        ([("a", 9.0)], DONE, ""),
        ([], TIMED_OUT, ""),
        ([("a", 9.0)], TIMED_OUT, ""),  # its answer was lost
        ([("a", 9.0)], None, ""),
        ([("a", 9.0), ("b", 9.5)], DONE, "was done 2 times: by a at 9.0 s, by b at 9.5 s"),
        ([], DONE, "was answered as done, and nobody has done it"),
        ([("a", 14.0)], TIMED_OUT, "was done 4.0 s after the app was told that it was not"),
    ],
)
async def test_an_order_is_done_by_one_in_its_time_or_by_none(
    by: Sequence[tuple[str, float]], answer: Answer | None, told: str
) -> None:
    wanted = [f"order 0 to a device that two machines are {told}"] if told else []
    assert await judged(by, answer) == wanted


@pytest.mark.parametrize(("by", "is_broken"), [("ab", False), ("aa", True), ("aba", True)])
async def test_a_broker_may_hand_on_what_the_other_one_has_not_acknowledged(
    by: str,
    is_broken: bool,  # noqa: FBT001
) -> None:
    orders = TwinOrders()
    orders.is_by_broker, value = True, orders.begin()
    for name in by:
        await orders.carry_out(name, 9.0, Request("PUT", ("volume",), payload=value.encode()))
    orders.answered(value, 10.0, DONE)
    assert bool(orders.broken) is is_broken


async def test_what_is_no_order_of_theirs_is_not_found() -> None:
    orders = TwinOrders()
    for request in (
        Request("PUT", ("volume",), payload=b"7"),
        Request("GET", ("volume",)),
        Request("PUT", ("play",), payload=orders.begin().encode()),
    ):
        assert (await orders.carry_out("a", 1.0, request)).code == Code.NOT_FOUND
    assert orders.broken == []


@pytest.mark.parametrize(
    ("answer", "is_broken"), [(DONE, False), (BUSY, False), (None, False), (TIMED_OUT, True)]
)
def test_one_of_two_that_is_there_does_what_it_is_told(
    answer: Answer | None,
    is_broken: bool,  # noqa: FBT001
) -> None:
    orders = TwinOrders()
    orders.must_be_done(orders.begin(), answer)
    assert bool(orders.broken) is is_broken


@pytest.mark.parametrize(
    ("is_by_broker", "moves", "is_broken"),
    [(True, 0, True), (True, 1, False), (False, 1, True)],
)
async def test_an_answer_is_lost_where_the_other_one_takes_the_place_at_the_broker(
    monkeypatch: pytest.MonkeyPatch,
    is_by_broker: bool,  # noqa: FBT001
    moves: int,
    is_broken: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(twin_orders, "order", lambda *_told: None)
    orders, works = TwinOrders(), list[Coroutine[Any, Any, None]]()
    orders.is_by_broker = is_by_broker
    twins = SimpleNamespace(orders=orders, uuid="a", are_there=True, moves=7)

    async def ask(_api: Any, _request: Any) -> Answer:
        twins.moves += moves
        return TIMED_OUT

    apps = SimpleNamespace(ask=ask, tokens=SimpleNamespace(is_refused=False, key=None))
    gateway = SimpleNamespace(is_online=lambda _uuid: True)
    api = SimpleNamespace(begin=works.append)
    world: Any = SimpleNamespace(
        cloud=SimpleNamespace(some_api=lambda: api, gateway=gateway),
        observer=SimpleNamespace(apps=apps, count=lambda _what: None),
        twins=twins,
        loop=SimpleNamespace(time=lambda: 10.0),
    )
    give(world, is_settled=True)
    for work in works:
        await work
    assert bool(orders.broken) is is_broken
