"""The settings' table ``battery``."""

from __future__ import annotations

from machine.battery import BatteryKind, ChargingCurrent
from wire.records import dataclass


@dataclass(frozen=True, slots=True)
class BatterySettings:
    """The gauge, and the levels of the charge at which something is done (docs/playing.md)."""

    kind: BatteryKind = BatteryKind.AUTO
    """``auto``, ``sysfs``, ``max17040``, ``ina219``, ``ina226`` or ``none``."""
    bus: int = 1
    """N of /dev/i2c-N; 1 is the Raspberry Pi's header."""
    address: int = 0
    """The gauge's 7-bit address; 0: the chip's usual (0x36, 0x40)."""
    cells: int = 1
    """Cells in series, for the INAs."""
    curve: str = ""
    """``volts:percent`` of one cell, for the INAs; empty: lithium-ion."""
    shunt_ohms: float = 0.1
    """The board's shunt, for the INAs."""
    charging: ChargingCurrent = ChargingCurrent.POSITIVE
    """The sign of the INAs' current while charging: ``positive``, ``negative`` or ``unknown``."""
    warn_percent: int = 15
    """At and below this, the first warning; 0: none."""
    warn_again_percent: int = 8
    """At and below this, the second warning; 0: none."""
    off_percent: int = 4
    """At and below this, the machine powers off, if ``switch.armed``; 0: never."""
