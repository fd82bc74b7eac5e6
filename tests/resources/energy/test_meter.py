"""The meter: one reading at a time, and a deadline."""

from __future__ import annotations

import asyncio
import threading

import pytest

from machine.battery import MAINS, Charge
from resources.energy.meter import Meter, show


class SlowGauge:
    """A bus that the test lets answer."""

    name = "battery: slow"

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.reads = 0

    def read(self) -> Charge:
        self.reads += 1
        self.answers.wait(60)
        return Charge(50, powered=False)


async def test_a_hung_bus_is_unknown_and_holds_one_thread() -> None:
    gauge = SlowGauge()
    meter = Meter(gauge, seconds=0.01)
    try:
        for _ in range(3):
            assert await meter.read() == Charge(None, None, "no answer in 0.01 s")
        assert gauge.reads == 1
    finally:
        gauge.answers.set()
    assert await Meter(gauge, seconds=60).read() == Charge(50, powered=False)


async def test_those_who_ask_together_share_a_reading_and_each_may_give_up() -> None:
    gauge = SlowGauge()
    meter = Meter(gauge, seconds=60)
    one, other = asyncio.create_task(meter.read()), asyncio.create_task(meter.read())
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait([one])
    gauge.answers.set()
    assert await other == Charge(50, powered=False)
    assert gauge.reads == 1
    assert await meter.read() == Charge(50, powered=False)
    assert gauge.reads == 2


@pytest.mark.parametrize(
    ("charge", "shown"),
    [
        (None, ""),
        (MAINS, ""),
        (Charge(45, powered=False), ": 45 %, no external power"),
        (Charge(45, powered=True), ": 45 %, external power"),
        (Charge(45, None), ": 45 %"),
        (Charge(None, None, "INA219: no answer"), ": unknown (INA219: no answer)"),
    ],
)
def test_a_charge_is_shown(charge: Charge | None, shown: str) -> None:
    assert show(charge) == shown


async def test_its_name_has_the_last_reading() -> None:
    gauge = SlowGauge()
    gauge.answers.set()
    meter = Meter(gauge, seconds=60)
    assert meter.name == "battery: slow"
    await meter.read()
    assert meter.name == "battery: slow: 50 %, no external power"
