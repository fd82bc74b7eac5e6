"""The battery, as the kernel shows it under /sys/class/power_supply."""

from __future__ import annotations

from pathlib import Path

from machine.errors import UnavailableError

# Kernel documentation, ABI/testing/sysfs-class-power.
POWER_SUPPLY = Path("/sys/class/power_supply")


def find_battery(folder: Path = POWER_SUPPLY) -> Path | None:
    """Return the first battery that powers the machine and reports its charge, or None."""
    for supply in sorted(folder.glob("*")):
        # A wireless mouse's battery has scope "Device"; the machine's own has none or "System".
        foreign = _read(supply / "scope") == "Device"
        if _read(supply / "type") == "Battery" and not foreign and (supply / "capacity").exists():
            return supply
    return None


def _read(path: Path) -> str:
    """Return an attribute's text, "" if it is missing or cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def read_charge(battery: Path) -> int:
    """Return the charge in percent of ``battery``, a folder; raises UnavailableError."""
    try:
        return min(100, max(0, int((battery / "capacity").read_text())))
    except (OSError, ValueError) as error:
        raise UnavailableError(f"power: the battery cannot be read: {error}") from error
