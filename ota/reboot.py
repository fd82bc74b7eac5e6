"""Restarting the machine, through systemd-logind, for an installer that changes the whole system.

What is started then is the boot loader's choice: RAUC's backend has told it before, and also left the
argument that the restart needs (Raspberry Pi: ``0 tryboot``, in /run/systemd/reboot-param).
"""

from __future__ import annotations

import asyncio

# logind answers at once; after a minute it is not going to.
REBOOT_TIMEOUT = 60.0
_NAME = "org.freedesktop.login1"


class RebootError(OSError):
    """The machine does not restart."""


async def reboot_machine(address: str | None = None) -> None:
    """Order the restart; SIGTERM follows.

    Args:
        address: another D-Bus address than the system's.

    Raises:
        RebootError: no bus, or logind refuses.
    """
    # 3 MB that are only needed once in a machine's day.
    from dbus_fast import BusType, Message, MessageType  # noqa: PLC0415
    from dbus_fast.aio import MessageBus  # noqa: PLC0415

    message = Message(
        destination=_NAME,
        path="/org/freedesktop/login1",
        interface=f"{_NAME}.Manager",
        member="Reboot",
        signature="b",
        body=[False],
    )
    try:
        async with asyncio.timeout(REBOOT_TIMEOUT):
            bus = await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect()
            try:
                reply = await bus.call(message)
            finally:
                bus.disconnect()
    except Exception as error:  # what MessageBus.connect and call are documented to raise
        reason = str(error) or f"no answer in {REBOOT_TIMEOUT:g} s"
        raise RebootError(f"logind: {reason}") from error
    if reply is None or reply.message_type is MessageType.ERROR:
        raise RebootError(f"logind: {reply.body if reply else 'no answer'}")
