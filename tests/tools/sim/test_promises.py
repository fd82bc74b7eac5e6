"""What the simulation takes for promised: settings that were answered, one at a time or several at once, and a sleep timer that is off."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tools.sim.promises import Order, Promises
from tools.sim.silence import has_reason
from wire.codes import Code


class Home:
    """A machine with one setting, whose orders the test answers."""

    def __init__(self) -> None:
        self.value = "off"
        battery = SimpleNamespace(powered=True, level=100.0)
        sounds = SimpleNamespace(turns=0)
        machine: Any = SimpleNamespace(
            in_memory=False, boots=1, damaged=set(), battery=battery, sounds=sounds
        )
        self.machine = machine
        self.promises = Promises(machine, lambda: 0.0)

    async def get(self) -> str:
        return self.value

    def answer(self, order: Order, text: str, code: Code = Code.CHANGED) -> None:
        points = {"rules": self, "sleep_timer": self, "microphone": self}
        asyncio.run(self.promises.answered(order, points, text, code))
        self.promises.end(order)


def test_the_last_of_several_orders_at_once_says_what_stays() -> None:
    home = Home()
    older, newer = home.promises.begin("rules"), home.promises.begin("rules")
    home.value = "daily 30"
    home.answer(newer, "daily 30")
    assert home.promises.kept == {}
    home.value = "daily 60"
    home.answer(older, "daily 60")  # carried out after the newer one: it is what stays
    assert home.promises.kept == {"rules": "daily 60"}


def test_one_that_was_refused_beside_another_promises_nothing() -> None:
    home = Home()
    home.answer(home.promises.begin("rules"), "off")
    older, newer = home.promises.begin("rules"), home.promises.begin("rules")
    home.value = "daily 30"
    home.answer(newer, "daily 30")
    home.answer(older, "daily 60", Code.SERVICE_UNAVAILABLE)
    assert home.promises.kept == {}


def test_a_microphone_that_is_off_until_a_restart_is_no_promise_of_the_order_beside_it() -> None:
    home = Home()
    on, off = home.promises.begin("microphone"), home.promises.begin("microphone")
    home.value = "False"
    home.answer(off, "off", Code.SERVICE_UNAVAILABLE)
    home.answer(on, "on")  # it was on, so there was nothing to store
    assert home.promises.kept == {}
    home.answer(home.promises.begin("microphone"), "off")
    assert home.promises.kept == {"microphone": "False"}


def test_one_that_was_refused_alone_leaves_what_was_promised() -> None:
    home = Home()
    home.answer(home.promises.begin("rules"), "off")
    home.answer(home.promises.begin("rules"), "daily 60", Code.SERVICE_UNAVAILABLE)
    assert home.promises.kept == {"rules": "off"}


@pytest.mark.parametrize(
    ("name", "text", "may_stop"),
    [("sleep_timer", "off", False), ("sleep_timer", "5", True), ("rules", "off", False), ("rules", "daily 30", True)],
)  # fmt: skip
def test_what_may_stop_a_story(name: str, text: str, may_stop: bool) -> None:  # noqa: FBT001
    home = Home()
    assert not has_reason(home.machine, home.promises)
    order = home.promises.begin(name)
    assert has_reason(home.machine, home.promises)  # nobody knows what it will be
    home.value = text
    home.answer(order, text)
    assert has_reason(home.machine, home.promises) is may_stop


def test_an_empty_battery_and_damaged_rules_may_stop_a_story() -> None:
    home = Home()
    home.machine.battery.powered, home.machine.battery.level = False, 5.0
    assert has_reason(home.machine, home.promises)
    home = Home()
    home.machine.damaged.add("/rules.json")
    assert has_reason(home.machine, home.promises)
