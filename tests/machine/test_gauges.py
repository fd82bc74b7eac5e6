"""The gauges' registers, as their data sheets give them, on a simulated bus."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.battery import Charge, ChargingCurrent
from machine.gauges import INA219, INA226, InaChip, InaGauge, Max17040, judge_max17040

WORD = st.integers(0, 0xFFFF)
VCELL, SOC, VERSION, CRATE = 0x02, 0x04, 0x08, 0x16
SHUNT, BUS = 0x01, 0x02


class Chip(dict[int, int]):
    """Registers in memory; a missing one does not answer."""

    def read(self, register: int) -> int:
        if register not in self:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        return self[register]


def test_a_max17040_tells_no_charging_state() -> None:
    # 3.7 V: 2960 steps of 1.25 mV in the high 12 bits; 56.5 %.
    chip = Chip({VCELL: 2960 << 4, SOC: 0x3880, VERSION: 0x0002})
    assert Max17040(chip).read() == Charge(56, None)


@pytest.mark.parametrize(("rate", "powered"), [(0x0064, True), (0xFF9C, False), (0x0002, None)])
def test_a_max17048_has_a_rate(rate: int, powered: bool | None) -> None:  # noqa: FBT001
    # The data sheet's steps: 78.125 µV, 1/256 %, 0.208 % an hour.
    chip = Chip({VCELL: round(3.9 / 78.125e-6), SOC: 80 << 8, VERSION: 0x0012, CRATE: rate})
    assert Max17040(chip).read() == Charge(80, powered)


@pytest.mark.parametrize(
    ("volts", "charge", "why"),
    [
        (0xFFFF, 0xFFFF, "got 5.12 V"),
        (0x0000, 0x0000, "got 0.00 V"),
        (2960 << 4, 0xFFFF, "256.0 %"),
        (2960 << 4, 0x7D00, "125.0 %"),
        (0x2000, 0x3200, "got 0.64 V"),
        (3200 << 4, 0x0000, "got 0.0 % at 4.00 V"),  # never started: a full cell, and no charge
    ],
)
def test_what_a_max17040_cannot_mean_is_unknown(volts: int, charge: int, why: str) -> None:
    got = judge_max17040(volts, charge, None)
    assert got.percent is None
    assert why in got.fault


def test_an_empty_cell_is_empty() -> None:
    assert judge_max17040(2480 << 4, 0x0080, None) == Charge(0, None)  # 3.1 V, 0.5 %


@pytest.mark.parametrize(
    ("chip", "bus", "shunt"),
    [
        (INA219, (945 << 3) | 0b10, -2000 & 0xFFFF),  # 3.78 V, ready; -20 mV: -0.2 A
        (INA226, round(3.78 / 1.25e-3), -8000 & 0xFFFF),
    ],
)
def test_an_ina_tells_the_charge_by_the_voltage(chip: InaChip, bus: int, shunt: int) -> None:
    assert InaGauge(Chip({BUS: bus, SHUNT: shunt}), chip).read() == Charge(45, powered=False)


@pytest.mark.parametrize(
    ("amperes", "charging", "powered"),
    [
        (-0.2, ChargingCurrent.POSITIVE, False),
        (0.2, ChargingCurrent.POSITIVE, True),
        (0.0, ChargingCurrent.POSITIVE, True),  # full, and nothing is taken from it
        (0.2, ChargingCurrent.NEGATIVE, False),
        (-0.2, ChargingCurrent.NEGATIVE, True),
        (-0.2, ChargingCurrent.UNKNOWN, None),
    ],
)
def test_the_current_tells_external_power(
    amperes: float,
    charging: ChargingCurrent,
    powered: bool | None,  # noqa: FBT001
) -> None:
    shunt = round(amperes * 0.01 / 10e-6) & 0xFFFF
    chip = Chip({BUS: 945 << 3, SHUNT: shunt})
    assert InaGauge(chip, INA219, shunt_ohms=0.01, charging=charging).read().powered is powered


def test_cells_in_series() -> None:
    chip = Chip({BUS: (2 * 945) << 3, SHUNT: 0})
    assert InaGauge(chip, INA219, cells=2).read().percent == 45
    assert InaGauge(chip, INA219, cells=1).read() == Charge(
        None, None, "INA219: got 7.56 V for 1 cells"
    )


def test_a_loud_sound_does_not_empty_the_battery() -> None:
    chip = Chip({BUS: 980 << 3, SHUNT: 0})  # 3.92 V
    gauge = InaGauge(chip, INA219)
    assert [gauge.read().percent for _ in range(3)] == [80, 80, 80]
    chip[BUS] = 850 << 3  # 3.40 V
    assert gauge.read().percent == 80


@pytest.mark.parametrize("bus", [0xFFFF, 0x0000, 0x0002, 0xFFFE])
def test_what_an_ina_cannot_mean_is_unknown(bus: int) -> None:
    got = InaGauge(Chip({BUS: bus, SHUNT: 0}), INA219).read()
    assert got.percent is None
    assert got.fault.startswith("INA219: ")


def test_a_bus_without_an_answer_is_no_full_battery_of_eight_cells() -> None:
    got = InaGauge(Chip({BUS: 0xFFFF, SHUNT: 0}), INA219, cells=8).read()
    assert got == Charge(None, None, "INA219: no answer")


def test_a_bus_without_an_answer_is_unknown_and_an_odd_reading_is_forgotten() -> None:
    assert Max17040(Chip()).read() == Charge(None, None, "MAX17040: Remote I/O error")
    chip = Chip()
    gauge = InaGauge(chip, INA226)
    assert gauge.read() == Charge(None, None, "INA226: Remote I/O error")
    chip.update({BUS: round(3.78 / 1.25e-3), SHUNT: 0})
    assert gauge.read().percent == 45


@given(volts=WORD, charge=WORD, rate=st.none() | WORD)
def test_any_registers_of_a_max17040_are_a_charge_or_a_reason(
    volts: int, charge: int, rate: int | None
) -> None:
    check(judge_max17040(volts, charge, rate))


@given(bus=WORD, shunt=WORD, cells=st.integers(1, 8))
def test_any_registers_of_an_ina_are_a_charge_or_a_reason(bus: int, shunt: int, cells: int) -> None:
    for chip in (INA219, INA226):
        check(InaGauge(Chip({BUS: bus, SHUNT: shunt}), chip, cells=cells).read())


def check(charge: Charge) -> None:
    assert (charge.percent is None) == bool(charge.fault)
    assert charge.percent is None or 0 <= charge.percent <= 100
