"""Fuel gauges on I²C: Maxim's MAX17040 family, and TI's INA219 and INA226, which measure a voltage only.

Sources: the data sheets (Maxim MAX17040/17041, MAX17043/17044, MAX17048/17049; TI SBOS448 and SBOS547).
A machine has one of them on a UPS board. Nothing is written to a chip: each measures from its power-on reset.
"""

from __future__ import annotations

import statistics
from collections import deque

from machine.battery import (
    CELL_VOLTS,
    LITHIUM,
    Charge,
    ChargingCurrent,
    Curve,
    believable,
    percent_of,
)
from machine.i2c import Registers
from wire.records import dataclass

MAX17040_ADDRESS, INA_ADDRESS = 0x36, 0x40
# A bus without an answer pulls all bits high.
NO_ANSWER = 0xFFFF

_VCELL, _SOC, _VERSION, _CRATE = 0x02, 0x04, 0x08, 0x16
# VCELL: 12 bits of 1.25 mV in the high bits (17040), or 16 bits of 78.125 µV (17048): the same scale.
# The 17041, 17044 and 17049 measure two cells, in steps twice as wide, and so VCELL is that of one cell for all.
_VCELL_VOLTS = 78.125e-6
# VERSION of the 17048 and 17049 is 0x001n; only they have CRATE, in 0.208 % an hour.
_WITH_RATE = 0x0010
_RATE_PERCENT = 0.208
# Percent an hour: less is the gauge's own noise.
_RATE_NOISE = 1.0
# A gauge that was never started (its battery was plugged in with a bounce) answers so with a cell that is half full.
_EMPTY_PERCENT, _EMPTY_VOLTS = 2, 3.75


class Max17040:
    """A gauge of Maxim's that counts the charge itself."""

    def __init__(self, registers: Registers) -> None:
        """Read ``registers``."""
        self._registers = registers

    name = "battery: MAX17040"

    def read(self) -> Charge:
        """Read charge, voltage, and the rate where there is one."""
        try:
            volts = self._registers.read(_VCELL)
            charge = self._registers.read(_SOC)
            version = self._registers.read(_VERSION)
            rate = self._registers.read(_CRATE) if version & 0xFFF0 == _WITH_RATE else None
        except OSError as error:
            return Charge(None, None, f"MAX17040: {error.strerror}")
        return judge_max17040(volts, charge, rate)


def judge_max17040(volts: int, charge: int, rate: int | None) -> Charge:
    """Return what the registers VCELL, SOC and CRATE (None: the chip has none) mean."""
    cell = volts * _VCELL_VOLTS
    low, high = CELL_VOLTS
    if NO_ANSWER in {volts, charge} or not low <= cell <= high:
        return Charge(None, None, f"MAX17040: got {cell:.2f} V for a cell and {charge / 256:.1f} %")
    percent = believable(charge / 256)
    if percent is None or (percent <= _EMPTY_PERCENT and cell > _EMPTY_VOLTS):
        return Charge(None, None, f"MAX17040: got {charge / 256:.1f} % at {cell:.2f} V a cell")
    return Charge(percent, None if rate is None else _is_charged(_signed(rate) * _RATE_PERCENT))


def _is_charged(percent_an_hour: float) -> bool | None:
    """Return whether a rate is that of charging; a small one is a full battery's, or an idle machine's."""
    if abs(percent_an_hour) < _RATE_NOISE:
        return None
    return percent_an_hour > 0


@dataclass(frozen=True, slots=True)
class InaChip:
    """What differs between TI's monitors.

    Attributes:
        name: the chip's.
        shift: how many low bits of the bus voltage are flags.
        bus_volts: of one step of the bus voltage.
        shunt_volts: of one step of the shunt's voltage.
    """

    name: str
    shift: int
    bus_volts: float
    shunt_volts: float


INA219 = InaChip("INA219", 3, 4e-3, 10e-6)
INA226 = InaChip("INA226", 0, 1.25e-3, 2.5e-6)
_SHUNT, _BUS = 0x01, 0x02
# Amperes: a machine that runs from its battery takes more, and a full battery on a charger less.
_RESTING_CURRENT = 0.03
# A loud sound pulls the voltage down for a moment: the middle of so many readings is taken.
_READINGS = 5


class InaGauge:
    """The charge by the voltage of the battery."""

    def __init__(
        self,
        registers: Registers,
        chip: InaChip,
        *,
        cells: int = 1,
        curve: Curve = LITHIUM,
        shunt_ohms: float = 0.1,
        charging: ChargingCurrent = ChargingCurrent.POSITIVE,
    ) -> None:
        """Read ``chip`` through ``registers``.

        Args:
            registers: of the chip.
            chip: INA219 or INA226.
            cells: of the battery, in series.
            curve: of one cell.
            shunt_ohms: of the board's shunt.
            charging: the sign of the current into the battery.
        """
        self._registers = registers
        self._chip = chip
        self._cells = cells
        self._curve = curve
        self._shunt_ohms = shunt_ohms
        self._charging = charging
        self._percents: deque[int] = deque(maxlen=_READINGS)

    @property
    def name(self) -> str:
        """The chip's name."""
        return f"battery: {self._chip.name}"

    def read(self) -> Charge:
        """Read voltage and current."""
        try:
            bus, shunt = self._registers.read(_BUS), self._registers.read(_SHUNT)
        except OSError as error:
            return Charge(None, None, f"{self._chip.name}: {error.strerror}")
        if bus == NO_ANSWER:
            return Charge(None, None, f"{self._chip.name}: no answer")
        return self._judge(bus, _signed(shunt))

    def _judge(self, bus: int, shunt: int) -> Charge:
        volts = (bus >> self._chip.shift) * self._chip.bus_volts
        percent = percent_of(volts / self._cells, self._curve)
        if percent is None:
            what = f"{volts:.2f} V for {self._cells} cells"
            return Charge(None, None, f"{self._chip.name}: got {what}")
        self._percents.append(percent)
        amperes = shunt * self._chip.shunt_volts / self._shunt_ohms
        return Charge(round(statistics.median(self._percents)), self._is_powered(amperes))

    def _is_powered(self, amperes: float) -> bool | None:
        """Return whether something else than the battery feeds the machine: nothing is taken from it."""
        if self._charging is ChargingCurrent.UNKNOWN:
            return None
        inward = amperes if self._charging is ChargingCurrent.POSITIVE else -amperes
        return inward > -_RESTING_CURRENT


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word
