"""The meter: one reading at a time, and a deadline."""

from __future__ import annotations

import asyncio
import threading

from machine.battery import Charge
from resources.energy.meter import Meter


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
