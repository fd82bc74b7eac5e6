"""The data points ``power`` and ``charging``."""

from __future__ import annotations

import pytest

from machine.battery import Charge, NoBattery
from resources.dispatch import Dispatch
from resources.energy.meter import Meter
from resources.points.power import ChargingPoint, PowerPoint
from wire.codes import Code
from wire.datapoints import Value
from wire.exchange import Answer


class Gauge:
    """A battery that tells what the test wants."""

    name = "battery: test"

    def __init__(self, charge: Charge) -> None:
        self.charge = charge

    def read(self) -> Charge:
        return self.charge


async def nothing(_name: str, _value: Value) -> None:
    pass


async def ask(name: str, charge: Charge) -> Answer:
    meter = Meter(Gauge(charge))
    dispatch = Dispatch([PowerPoint(meter), ChargingPoint(meter)], nothing)
    return await dispatch.request("GET", name)


@pytest.mark.parametrize(
    ("charge", "power", "charging"),
    [
        (Charge(75, powered=False), "75", "false"),
        (Charge(0, powered=True), "0", "true"),
        (Charge(100, powered=True), "100", "true"),
    ],
)
async def test_what_is_known_is_told(charge: Charge, power: str, charging: str) -> None:
    assert await ask("power", charge) == Answer.from_text(Code.CONTENT, power)
    assert await ask("charging", charge) == Answer.from_text(Code.CONTENT, charging)


async def test_what_is_unknown_is_5_03_and_never_0_or_100() -> None:
    unknown = Charge(None, None, "INA219: Remote I/O error")
    assert await ask("power", unknown) == Answer.from_text(
        Code.SERVICE_UNAVAILABLE, "power: the battery cannot be read: INA219: Remote I/O error"
    )
    assert await ask("charging", unknown) == Answer.from_text(
        Code.SERVICE_UNAVAILABLE, "charging: unknown: INA219: Remote I/O error"
    )
    silent = await ask("charging", Charge(50, None))
    assert silent.text == "charging: unknown: the gauge does not tell"


async def test_without_a_battery_it_is_mains() -> None:
    meter = Meter(NoBattery())
    assert await PowerPoint(meter).get() == 100
    assert await ChargingPoint(meter).get() is True
    assert "mains" in PowerPoint(meter).back_end == ChargingPoint(meter).back_end


@pytest.mark.parametrize("name", ["power", "charging"])
async def test_neither_can_be_set(name: str) -> None:
    meter = Meter(NoBattery())
    dispatch = Dispatch([PowerPoint(meter), ChargingPoint(meter)], nothing)
    assert (await dispatch.request("PUT", name, "1")).code is Code.METHOD_NOT_ALLOWED
