"""The battery: what it tells of itself, and which kinds there are.

A kind reads its gauge anew at each time, since a battery is taken out, a driver loads late, and a bus fails. What
cannot be believed is unknown, never 0 or 100 %: the former would power the machine off, the latter hide an empty battery.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from wire.errors import FieldError
from wire.records import dataclass

# Gauges that learn run some percent over; 255 and 65535 are no charge but a bus without an answer.
PERCENT_MAX = 120


@dataclass(frozen=True, slots=True)
class Charge:
    """One reading.

    Attributes:
        percent: 0 to 100, None if unknown.
        powered: whether external power feeds the machine, None if unknown.
        fault: why ``percent`` is unknown.
    """

    percent: int | None
    powered: bool | None
    fault: str = ""


MAINS = Charge(100, powered=True)
"""A machine without a battery."""


class Battery(Protocol):
    """One kind of gauge."""

    @property
    def name(self) -> str:
        """One line for people: which gauge."""

    def read(self) -> Charge:
        """Read it; blocks for a bus's transfer, and never raises."""


class NoBattery:
    """A machine on mains."""

    name = "no battery: power is answered as 100 (mains)"

    def read(self) -> Charge:
        """Return 100 %."""
        return MAINS


class BatteryKind(StrEnum):
    """The settings' ``battery.kind``."""

    AUTO = "auto"
    """What the kernel shows; without a battery there, mains."""
    SYSFS = "sysfs"
    """What the kernel shows; without a battery there, the charge is unknown."""
    MAX17040 = "max17040"
    """Maxim MAX17040, 17041, 17043, 17044, 17048, 17049 on I²C."""
    INA219 = "ina219"
    """TI INA219 on I²C: the charge by the voltage."""
    INA226 = "ina226"
    """TI INA226 on I²C: the charge by the voltage."""
    NONE = "none"
    """Mains."""


class ChargingCurrent(StrEnum):
    """Which sign of the current that an INA measures means that the battery is charged."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNKNOWN = "unknown"
    """It measures the load, whatever feeds it."""


def believable(percent: float) -> int | None:
    """Return a gauge's percent within 0 to 100, None if it is none (NaN, negative, 255)."""
    return min(100, round(percent)) if 0 <= percent <= PERCENT_MAX else None


Curve = Sequence[tuple[float, float]]
"""(volts of one cell, percent), both rising."""

# A lithium-ion cell at rest or at a small current, from makers' discharge curves at 0.2 C; 3.0 V is empty
# for a machine, since what is left gives minutes.
LITHIUM: Curve = (
    (3.00, 0), (3.30, 3), (3.45, 7), (3.60, 13), (3.68, 20), (3.74, 30), (3.77, 40), (3.79, 50),
    (3.82, 60), (3.87, 70), (3.92, 80), (4.00, 90), (4.15, 100),
)  # fmt: skip
# Of one cell; a voltage beyond them is a bus's error, or no battery at all.
CELL_VOLTS = (2.0, 5.0)


def parse_curve(text: str, name: str) -> Curve:
    """Parse ``"3.0:0 3.7:40 4.2:100"``, volts of one cell and percent; raises FieldError for ``name``."""
    expected = "two or more volts:percent of one cell, both rising, such as 3.0:0 3.7:40 4.2:100"
    try:
        pairs = [tuple(map(float, point.split(":"))) for point in text.split()]
        curve = [(volts, percent) for volts, percent in pairs]
    except ValueError as error:
        raise FieldError(name, text, expected) from error
    low, high = CELL_VOLTS
    rising = all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(curve))
    inside = all(low <= volts <= high and 0 <= percent <= 100 for volts, percent in curve)
    if len(curve) < 2 or not (rising and inside):
        raise FieldError(name, text, expected)
    return curve


def percent_of(volts: float, curve: Curve = LITHIUM) -> int | None:
    """Return the charge of a cell of ``volts``, None if that is no cell's voltage (also NaN)."""
    low, high = CELL_VOLTS
    if not low <= volts <= high:
        return None
    before = curve[0]
    if volts <= before[0]:
        return round(before[1])
    for point in curve:
        if volts <= point[0]:
            part = (volts - before[0]) / (point[0] - before[0])
            return round(before[1] + part * (point[1] - before[1]))
        before = point
    return round(before[1])
