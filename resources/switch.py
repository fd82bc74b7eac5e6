"""The data point ``switch`` (关机 in the document), which powers the machine off."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar, Protocol

from resources.datapoint import DataPoint
from resources.errors import UnavailableError
from wire.datapoints import DataPointDescription, DataType, Method, Value

# Seconds; the answer must reach the cloud before the network goes down.
POWER_OFF_DELAY = 1.0
DBUS_TIMEOUT = 5.0

_log = logging.getLogger(__name__)


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
        answer = await self._call("CanPowerOff", "", [])
        if answer != ["yes"]:
            raise UnavailableError(f"logind refuses to power off: {answer}")

    async def power_off(self) -> None:
        """Power off without interactive authorization."""
        await self._call("PowerOff", "b", [False])

    async def _call(self, member: str, signature: str, body: list[object]) -> list[object]:
        # Imported here because it takes 3 MB and is rarely needed.
        from dbus_fast import BusType, Message, MessageType  # noqa: PLC0415
        from dbus_fast.aio import MessageBus  # noqa: PLC0415

        message = Message(
            destination="org.freedesktop.login1",
            path="/org/freedesktop/login1",
            interface="org.freedesktop.login1.Manager",
            member=member,
            signature=signature,
            body=body,
        )
        try:
            async with asyncio.timeout(DBUS_TIMEOUT):
                bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
                try:
                    reply = await bus.call(message)
                finally:
                    bus.disconnect()
        except Exception as error:  # the only class that connect and call document
            reason = str(error) or f"no answer in {DBUS_TIMEOUT:g} s"
            raise UnavailableError(f"logind: {reason}") from error
        if reply is None or reply.message_type is MessageType.ERROR:
            raise UnavailableError(f"logind: {reply.body if reply else 'no answer'}")
        return list(reply.body)


class SwitchPoint(DataPoint):
    """Powers off on ``true``; a machine that answers is on, so the value is always ``false``."""

    description: ClassVar = DataPointDescription(
        name="switch",
        type=DataType.BOOL,
        label="关机",
        description="关闭设备",
        methods=(Method.GET, Method.PUT),
    )

    def __init__(self, power_off: PowerOff) -> None:
        """Power off through ``power_off``."""
        self._power_off = power_off
        self._pending: asyncio.Task[None] | None = None

    @property
    def back_end(self) -> str:
        """The power-off back end in use."""
        return self._power_off.name

    async def get(self) -> bool:
        """Return false: a machine that is off does not answer."""
        return False

    async def put(self, value: Value) -> None:
        """Schedule the power-off on ``true``; ``false`` has no effect. Raises UnavailableError."""
        if value and self._pending is None:
            await self._power_off.check()
            self._pending = asyncio.create_task(self._power_off_soon())

    async def close(self) -> None:
        """Cancel a pending power-off."""
        if self._pending is not None:
            self._pending.cancel()

    async def _power_off_soon(self) -> None:
        try:
            await asyncio.sleep(POWER_OFF_DELAY)
            await self._power_off.power_off()
        except UnavailableError as error:
            _log.error("power-off failed: %s", error)  # expected: no traceback
        finally:
            self._pending = None
