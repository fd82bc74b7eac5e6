"""The data point ``switch``: the document's 关机, which powers the machine off."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar, Protocol

from resources.datapoint import DataPoint
from resources.errors import UnavailableError
from wire.datapoints import DataPointDescription, DataType, Method, Value

# The answer must reach the cloud before the network goes down.
POWER_OFF_DELAY = 1.0
DBUS_TIMEOUT = 5.0

_log = logging.getLogger(__name__)


class PowerOff(Protocol):
    """What ends the machine's day."""

    @property
    def name(self) -> str:
        """Say in one line what this is."""

    async def check(self) -> None:
        """Raise UnavailableError if the machine could not be powered off now."""

    async def power_off(self) -> None:
        """Power off; raises UnavailableError."""


class StandInPowerOff:
    """Notes the order and stays on: the bench, or a machine whose settings do not arm it."""

    name = "power-off is not armed: the order is noted and the machine stays on"

    async def check(self) -> None:
        """Never fails."""

    async def power_off(self) -> None:
        """Say that nothing happens."""
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
        """Power off without asking anybody."""
        await self._call("PowerOff", "b", [False])

    async def _call(self, member: str, signature: str, body: list[object]) -> list[object]:
        # 3 MB that are only needed once in a machine's day.
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
        except Exception as error:  # what MessageBus.connect and call are documented to raise
            reason = str(error) or f"no answer in {DBUS_TIMEOUT:g} s"
            raise UnavailableError(f"logind: {reason}") from error
        if reply is None or reply.message_type is MessageType.ERROR:
            raise UnavailableError(f"logind: {reply.body if reply else 'no answer'}")
        return list(reply.body)


class SwitchPoint(DataPoint):
    """``true`` powers off; a machine that answers is on, so reading gives ``false``."""

    description: ClassVar = DataPointDescription(
        name="switch",
        type=DataType.BOOL,
        label="关机",
        description="关闭设备",
        methods=(Method.GET, Method.PUT),
    )

    def __init__(self, power_off: PowerOff) -> None:
        """Drive ``power_off``."""
        self._power_off = power_off
        self._pending: asyncio.Task[None] | None = None

    @property
    def back_end(self) -> str:
        """What would power the machine off."""
        return self._power_off.name

    async def get(self) -> bool:
        """Answer false: a machine that is off answers nothing."""
        return False

    async def put(self, value: Value) -> None:
        """Order the power-off on ``true``; ``false`` changes nothing."""
        if value and self._pending is None:
            await self._power_off.check()
            self._pending = asyncio.create_task(self._power_off_soon())

    async def close(self) -> None:
        """Drop an order that has not been carried out."""
        if self._pending is not None:
            self._pending.cancel()

    async def _power_off_soon(self) -> None:
        try:
            await asyncio.sleep(POWER_OFF_DELAY)
            await self._power_off.power_off()
        except UnavailableError as error:
            _log.error("power-off failed: %s", error)  # a reason, not a bug
        finally:
            self._pending = None
