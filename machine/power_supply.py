"""Batteries and chargers as the kernel shows them under /sys/class/power_supply.

Source: the kernel's ABI/testing/sysfs-class-power. Every attribute may be missing, and reading one may fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from machine.battery import MAINS, Charge, believable
from wire.records import dataclass

POWER_SUPPLY = Path("/sys/class/power_supply")
# Of a number: the kernel's have 64 bits.
DIGITS_MAX = 20
# Pairs that give a charge where ``capacity`` is missing, by their unit: µWh, µAh.
_PAIRS = ("energy", "charge")
# One of these makes a battery a gauge.
_GAUGE = ("capacity", *(f"{unit}_full" for unit in _PAIRS))


@dataclass(frozen=True, slots=True)
class Cell:
    """One battery of the machine.

    Attributes:
        name: its folder's.
        percent: None if unknown.
        sizes: what it holds when full, by unit ("energy": µWh).
        status: the kernel's word: Charging, Discharging, Full, Not charging, Unknown; "" without one.
    """

    name: str
    percent: int | None
    sizes: dict[str, int]
    status: str


class SystemBattery:
    """All batteries that power the machine, together."""

    def __init__(self, folder: Path = POWER_SUPPLY, *, required: bool = False) -> None:
        """Look in ``folder``. Without a battery there it is mains, unless one is ``required`` or was there before."""
        self._folder = folder
        self._required = required
        self._seen: list[str] = []

    @property
    def name(self) -> str:
        """The batteries that were seen last."""
        if self._seen:
            return f"battery: {', '.join(self._seen)}"
        if self._required:
            return "no battery found: power is unknown"
        return "no battery found: power is answered as 100 (mains)"

    def read(self) -> Charge:
        """Read them all."""
        supplies = sorted(self._folder.glob("*"))
        cells = [cell for supply in supplies if (cell := read_cell(supply)) is not None]
        online = read_online(supplies)
        if cells:
            self._seen = [cell.name for cell in cells]
            return combine(cells, online=online)
        if self._seen:
            return Charge(None, online, f"the battery {', '.join(self._seen)} is gone")
        if unread := [supply.name for supply in supplies if _fails(supply / "type")]:
            return Charge(None, online, f"{', '.join(unread)} cannot be read, and may be a battery")
        return Charge(None, online, "no battery found") if self._required else MAINS


def read_cell(supply: Path) -> Cell | None:
    """Return a battery that powers the machine and is there, else None.

    A wireless mouse's battery has the scope "Device"; the machine's own has none, or "System". One that neither
    tells its charge nor what it is made of is not a gauge; one whose attributes are there and cannot be read is, and
    its charge is unknown.
    """
    if _read(supply / "type") != "Battery" or _read(supply / "scope") == "Device":
        return None
    if _read(supply / "present") == "0":
        return None
    if not any((supply / name).exists() for name in _GAUGE):
        return None
    sizes = {unit: size for unit in _PAIRS if (size := _number(supply / f"{unit}_full") or 0) > 0}
    return Cell(supply.name, _percent(supply, sizes), sizes, _read(supply / "status"))


def _percent(supply: Path, sizes: dict[str, int]) -> int | None:
    capacity = _number(supply / "capacity")
    if capacity is not None:
        return believable(capacity)
    for unit, size in sizes.items():
        now = _number(supply / f"{unit}_now")
        if now is not None:
            return believable(100 * now / size)
    return None


def read_online(supplies: Iterable[Path]) -> bool | None:
    """Return whether a charger or mains adapter gives power, None if the kernel knows none.

    ``online`` is 1 for a fixed voltage and 2 for a programmable one.
    """
    known = [
        online
        for supply in supplies
        if _read(supply / "type") not in {"", "Battery", "UPS"}
        and (online := _number(supply / "online")) is not None
    ]
    return any(online > 0 for online in known) if known else None


def combine(cells: Iterable[Cell], *, online: bool | None) -> Charge:
    """Return the charge of several batteries: by their sizes if all tell them in one unit, else the mean."""
    known = list(cells)
    powered = is_powered([cell.status for cell in known], online=online)
    names = ", ".join(cell.name for cell in known if cell.percent is None)
    if names:
        return Charge(None, powered, f"the battery {names} tells no charge")
    unit = next((unit for unit in _PAIRS if all(unit in cell.sizes for cell in known)), None)
    weights = [cell.sizes[unit] if unit else 1 for cell in known]
    percents = [cell.percent or 0 for cell in known]
    total = sum(percent * weight for percent, weight in zip(percents, weights, strict=True))
    return Charge(round(total / sum(weights)), powered)


def is_powered(statuses: Iterable[str], *, online: bool | None) -> bool | None:
    """Return whether external power feeds the machine.

    A battery that is being emptied tells more than a plug that is in: a weak charger does not feed the machine.
    """
    known = set(statuses)
    if "Charging" in known:
        return True
    if "Discharging" in known:
        return False
    return True if known == {"Full"} and online is None else online


def _read(path: Path) -> str:
    """Return an attribute's text, "" if it is missing or cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _fails(path: Path) -> bool:
    """Return whether an attribute is there, and cannot be read."""
    try:
        path.read_bytes()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _number(path: Path) -> int | None:
    text = _read(path)
    try:
        return int(text) if len(text) <= DIGITS_MAX else None
    except ValueError:
        return None
