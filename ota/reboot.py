"""Restart the machine through systemd-logind, for an installer that changes the whole system.

The boot loader chooses what starts. RAUC's backend has configured it beforehand, and has stored the
argument that the restart needs (Raspberry Pi: ``0 tryboot``, in /run/systemd/reboot-param).
"""

from __future__ import annotations

import asyncio

# Seconds; logind answers at once, so after a minute no answer will come.
REBOOT_TIMEOUT = 60.0
_NAME = "org.freedesktop.login1"


class RebootError(OSError):
    """The restart of the machine could not be requested."""


async def reboot_machine(address: str | None = None) -> None:
    """Request the restart; the process then receives SIGTERM.

    Args:
        address: a D-Bus address; None: the system bus.

    Raises:
        RebootError: no bus, or logind refuses.
    """
    # Imported here: it takes 3 MB of memory that are needed only for a restart.
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
    except Exception as error:  # MessageBus.connect and call are documented to raise it
        reason = str(error) or f"no answer in {REBOOT_TIMEOUT:g} s"
        raise RebootError(f"logind: {reason}") from error
    if reply is None or reply.message_type is MessageType.ERROR:
        raise RebootError(f"logind: {reply.body if reply else 'no answer'}")
