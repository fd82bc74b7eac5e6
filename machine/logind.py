"""Power-off and restart of the machine through systemd-logind (org.freedesktop.login1), over D-Bus.

What a restart boots is the boot loader's choice: RAUC's backend has set it before, and also left the
argument that the restart needs (Raspberry Pi: ``0 tryboot``, in /run/systemd/reboot-param).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from base.dbus import DBusError, Method, call, connect
from machine.errors import UnavailableError

# logind answers at once. A request waits for a power-off's answer, so it gives up soon; a restart
# into a new version has nobody waiting, and a loaded machine gets a minute.
POWER_OFF_TIMEOUT = 5.0
REBOOT_TIMEOUT = 60.0
_NAME = "org.freedesktop.login1"

_log = logging.getLogger(__name__)


class RebootError(OSError):
    """The machine does not restart."""


class LogindError(Exception):
    """logind cannot be reached, does not answer in time, or refuses; the text is the reason."""


class PowerOff(Protocol):
    """A back end that can power the machine off."""

    @property
    def name(self) -> str:
        """One line for people: the back end."""

    async def check(self) -> None:
        """Raise UnavailableError if the machine cannot be powered off now."""

    async def power_off(self) -> None:
        """Power off; raises UnavailableError."""


class StandInPowerOff:
    """Only logs the order: for a bench, or where the settings do not arm the power-off."""

    name = "power-off is not armed: the order is noted and the machine stays on"

    async def check(self) -> None:
        """Do nothing: it never fails."""

    async def power_off(self) -> None:
        """Log that the machine stays on."""
        _log.warning("%s", self.name)


class LogindPowerOff:
    """systemd-logind's PowerOff over D-Bus (org.freedesktop.login1)."""

    name = "logind"

    async def check(self) -> None:
        """Ask logind whether this user may power off."""
        answer = await self._call("CanPowerOff")
        if answer != ["yes"]:
            raise UnavailableError(f"logind refuses to power off: {answer}")

    async def power_off(self) -> None:
        """Power off without interactive authorization."""
        await self._call("PowerOff", False)

    @staticmethod
    async def _call(member: str, *flags: bool) -> list[object]:
        try:
            return await call_logind(member, *flags, deadline=POWER_OFF_TIMEOUT)
        except LogindError as error:
            raise UnavailableError(f"logind: {error}") from error


async def reboot_machine(address: str | None = None) -> None:
    """Order the restart; SIGTERM follows.

    Args:
        address: another D-Bus address than the system's.

    Raises:
        RebootError: no bus, or logind refuses.
    """
    try:
        await call_logind("Reboot", False, deadline=REBOOT_TIMEOUT, address=address)
    except LogindError as error:
        raise RebootError(f"logind: {error}") from error


async def call_logind(
    member: str, *flags: bool, deadline: float, address: str | None = None
) -> list[object]:
    """Call a method of logind's manager and return its answer.

    Args:
        member: the method.
        flags: its arguments; all that we call take booleans or nothing.
        deadline: seconds until it is given up.
        address: another D-Bus address than the system's.

    Raises:
        LogindError: no bus, no answer within ``deadline``, or logind refuses.
    """
    method = Method(_NAME, "/org/freedesktop/login1", f"{_NAME}.Manager", member, "b" * len(flags))
    try:
        async with asyncio.timeout(deadline), connect(deadline, address) as bus:
            return list(await call(bus, method, *flags, deadline=deadline))
    except TimeoutError as error:
        raise LogindError(f"no answer in {deadline:g} s") from error
    except DBusError as error:
        raise LogindError(str(error) or "it refuses without a reason") from error
