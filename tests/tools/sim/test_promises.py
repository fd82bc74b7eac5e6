"""What the simulation takes for promised: settings that were answered, one at a time or several at once, and a sleep timer that is off."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest

from resources.loudness.steps import level_of
from tools.sim.board import Sounds
from tools.sim.promises import Order, Promises
from tools.sim.silence import has_reason
from wire.codes import Code


class Home:
    """A machine with one setting, whose orders the test answers."""

    def __init__(self) -> None:
        self.value = "off"
        battery = SimpleNamespace(powered=True, level=100.0)
        self.sounds = Sounds(random.Random(1))  # a simulation
        machine: Any = SimpleNamespace(
            in_memory=False, boots=1, starts=1, damaged=set(), battery=battery, sounds=self.sounds,
            life=None, buried=[],
        )  # fmt: skip
        self.machine = machine
        self.now = 0.0
        self.promises = Promises(machine, lambda: self.now)

    async def get(self) -> str:
        return self.value

    def answer(self, order: Order, text: str, code: Code = Code.CHANGED) -> None:
        points = dict.fromkeys(("rules", "sleep_timer", "microphone", "volume_limits"), self)
        asyncio.run(self.promises.answered(order, points, text, code))
        self.promises.end(order)

    def look_at_timer(self) -> None:
        async def look() -> None:
            self.machine.on = SimpleNamespace(loop=asyncio.get_running_loop())
            await self.promises.look_at_timer({"sleep_timer": self})

        asyncio.run(look())


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


@pytest.mark.parametrize(("step", "is_broken"), [(8, False), (9, True), (16, True)])
def test_a_lower_limit_is_in_force_by_its_answer(step: int, is_broken: bool) -> None:  # noqa: FBT001
    home = Home()
    home.sounds.level, home.value = level_of(step), "max=8 min=0 start=last"
    home.answer(home.promises.begin("volume_limits"), "max=8")
    assert bool(home.promises.broken) is is_broken


def test_a_mixer_that_was_stuck_is_taken_for_one_with_coarse_steps() -> None:
    home = Home()
    home.sounds.was_stuck = True
    home.sounds.level, home.value = level_of(9), "max=8 min=0 start=last"
    home.answer(home.promises.begin("volume_limits"), "max=8")
    assert home.promises.broken == []


@pytest.mark.parametrize(
    ("ordered", "now", "told", "is_broken"),
    [
        ("3", 60.0, "2", False), ("3", 60.0, "10", True), ("3", 60.0, "off", True), ("off", 60.0, "off", False),
        ("off", 60.0, "3", True), ("end", 60.0, "off", False), ("3", 130.0, "10", False),
    ],
    ids=["counts", "was moved", "is gone", "off", "is there", "until a story's end", "may have been moved"],
)  # fmt: skip
def test_a_sleep_timer_is_what_was_ordered_until_an_order_may_move_it(
    ordered: str,
    now: float,
    told: str,
    is_broken: bool,  # noqa: FBT001
) -> None:
    home = Home()
    home.answer(home.promises.begin("sleep_timer"), ordered)
    home.now, home.value = now, told
    home.look_at_timer()
    assert bool(home.promises.broken) is is_broken


@pytest.mark.parametrize("what", ["another order", "another start"])
def test_of_a_sleep_timer_nothing_is_known_after(what: str) -> None:
    home = Home()
    home.answer(home.promises.begin("sleep_timer"), "3")
    if what == "another order":
        home.promises.end(home.promises.begin("sleep_timer"))  # nobody was answered
    else:
        home.machine.starts += 1
    home.value = "10"
    home.look_at_timer()
    assert home.promises.broken == []


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
