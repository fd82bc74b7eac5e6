"""One connection to a D-Bus, and one method call over it, each with a deadline.

logind (power-off, restart) and RAUC (system images) are reached by it. dbus-fast is imported at the
first connection: it takes 3 MB that most days of a machine do not need.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from wire.records import dataclass

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

# The bus itself sends these when there is no service, or when it died during the call (D-Bus
# Specification, "Message Bus Names" and the errors of dbus-daemon).
_NO_SERVICE = frozenset({
    "org.freedesktop.DBus.Error.Disconnected",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.NoReply",
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
})  # fmt: skip


class DBusError(Exception):
    """A call did not succeed; the message is the reason, in one line."""


class DBusUnavailableError(DBusError):
    """There is no bus or no such service, or one of them went away."""


class DBusTimeoutError(DBusError):
    """No answer within the deadline."""


class DBusRefusedError(DBusError):
    """The service answered with an error; the message is the service's text, "" without one."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of an object of a service.

    ``signature`` has the types of the arguments (D-Bus Specification, "Type System").
    """

    destination: str
    path: str
    interface: str
    member: str
    signature: str = ""


@asynccontextmanager
async def connect(deadline: float, address: str | None = None) -> AsyncIterator[MessageBus]:
    """Connect to the bus at ``address``, None: the system's, and disconnect at the end.

    Raises:
        DBusUnavailableError: there is no bus, or it does not answer in ``deadline`` seconds.
    """
    from dbus_fast import BusType  # noqa: PLC0415  # see the module's head
    from dbus_fast.aio import MessageBus  # noqa: PLC0415

    try:
        bus = MessageBus(bus_address=address, bus_type=BusType.SYSTEM)
        async with asyncio.timeout(deadline):
            await bus.connect()
    except Exception as error:  # the only class that MessageBus and connect document
        raise DBusUnavailableError(str(error) or f"no answer in {deadline:g} s") from error
    try:
        yield bus
    finally:
        bus.disconnect()


async def call(
    bus: MessageBus, method: Method, *arguments: object, deadline: float
) -> Sequence[Any]:
    """Call a method and return its results.

    Raises:
        DBusTimeoutError: no answer in ``deadline`` seconds.
        DBusUnavailableError: the bus or the service went away.
        DBusRefusedError: the service answered with an error.
    """
    from dbus_fast import Message, MessageType  # noqa: PLC0415  # see the module's head

    message = Message(
        destination=method.destination,
        path=method.path,
        interface=method.interface,
        member=method.member,
        signature=method.signature,
        body=list(arguments),
    )
    try:
        async with asyncio.timeout(deadline):
            reply = await bus.call(message)
    except TimeoutError as error:
        raise DBusTimeoutError(f"no answer in {deadline:g} s") from error
    except (EOFError, OSError) as error:  # dbus-fast raises them when the bus disconnects
        raise DBusUnavailableError("the bus went away") from error
    if reply is None:
        raise DBusRefusedError("")
    if reply.message_type is MessageType.ERROR:
        text = str(reply.body[0]) if reply.body else ""
        known = reply.error_name in _NO_SERVICE
        raise DBusUnavailableError(text) if known else DBusRefusedError(text)
    return list(reply.body)
