"""RAUC's D-Bus interface (de.pengutronix.rauc.Installer), each call with a deadline.

What comes over the bus is turned into our own types here; nothing behind this module sees a D-Bus
value. Works with RAUC 1.8 and newer: only what that version has is used.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wire.errors import show

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

NAME = "de.pengutronix.rauc"
INTERFACE = "de.pengutronix.rauc.Installer"
PROPERTIES = "org.freedesktop.DBus.Properties"
_DBUS = "org.freedesktop.DBus"
# How often a wait looks whether it was asked to stop, in seconds.
_TICK = 0.2


class RaucError(OSError):
    """RAUC did not do what it was asked; an OSError, as a failing disk is to the updater."""


class RaucUnavailableError(RaucError):
    """No bus, no service on it, or the service went away."""


class RaucTimeoutError(RaucError):
    """RAUC did not answer, or did not get on, within the time it has."""


class RaucRefusedError(RaucError):
    """RAUC answered with an error; the text is its own."""


class RaucStoppedError(RaucError):
    """We were asked to stop waiting; RAUC goes on with what it does."""


@dataclass(frozen=True, slots=True)
class RaucDeadlines:
    """Seconds that RAUC has.

    Attributes:
        connect: for the bus.
        call: for an answer; marking a slot runs the boot loader's script.
        stall: between two signs of progress of an installation; a slow SD card writes 1 % of
            a 2 GiB image in about 10 s, and syncing it at the end takes minutes.
        install: for an installation altogether.
    """

    connect: float = 5.0
    call: float = 30.0
    stall: float = 600.0
    install: float = 7200.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot as RAUC sees it.

    Attributes:
        name: as in system.conf, "rootfs.0".
        boot_name: as the boot loader calls it, "A"; "" for a slot that is not booted by itself.
        state: "booted", "active" (belongs to the booted one) or "inactive".
        boot_status: "good", "bad" or "" when the boot loader does not say.
        status: "ok" after an installation that was completed, "pending" within one, "" never written.
        version: of the bundle that was written into it, "" when none was.
        device: the block device, "/dev/mmcblk0p2".
    """

    name: str
    boot_name: str
    state: str
    boot_status: str
    status: str
    version: str
    device: str = ""

    @property
    def is_booted(self) -> bool:
        """Whether this system runs from it."""
        return self.state == "booted"


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """What a bundle says about itself."""

    compatible: str
    version: str


def parse_slots(body: object) -> tuple[Slot, ...]:
    """Turn GetSlotStatus' answer, a(sa{sv}), into slots; raises RaucRefusedError naming the member."""
    try:
        rows = [(name, _plain(members)) for name, members in body]  # type: ignore[attr-defined]
        return tuple(_parse_slot(name, members) for name, members in rows)
    except (TypeError, ValueError, AttributeError) as error:
        raise RaucRefusedError(f"slot status: got {show(str(body), 120)}: {error}") from error


def _parse_slot(name: object, members: Mapping[str, object]) -> Slot:
    def text(member: str) -> str:
        value = members.get(member, "")
        if not isinstance(value, str):
            raise TypeError(f"{member}: got {show(value)}, expected a string")
        return value

    if not isinstance(name, str):
        raise TypeError(f"name: got {show(name)}, expected a string")
    return Slot(
        name=name,
        boot_name=text("bootname"),
        state=text("state"),
        boot_status=text("boot-status"),
        status=text("status"),
        version=text("bundle.version"),
        device=text("device"),
    )


def _plain(members: Mapping[str, Any]) -> dict[str, object]:
    return {name: variant.value for name, variant in members.items()}


@asynccontextmanager
async def rauc_bus(deadlines: RaucDeadlines, address: str | None = None) -> AsyncIterator[RaucBus]:
    """Connect to the bus; ``address``: another than the system's.

    Raises:
        RaucUnavailableError: there is no bus.
    """
    from dbus_fast import BusType  # noqa: PLC0415  # 3 MB that only an image update needs
    from dbus_fast.aio import MessageBus  # noqa: PLC0415

    try:
        bus = MessageBus(bus_address=address, bus_type=BusType.SYSTEM)
        async with asyncio.timeout(deadlines.connect):
            await bus.connect()
    except Exception as error:  # what MessageBus and connect are documented to raise
        reason = str(error) or f"no answer in {deadlines.connect:g} s"
        raise RaucUnavailableError(f"D-Bus: {reason}") from error
    try:
        yield RaucBus(bus, deadlines)
    finally:
        bus.disconnect()


class RaucBus:
    """RAUC, over one connection."""

    def __init__(self, bus: MessageBus, deadlines: RaucDeadlines) -> None:
        """Talk over ``bus``, which stays the caller's."""
        self._bus = bus
        self._deadlines = deadlines

    async def slots(self) -> tuple[Slot, ...]:
        """Return all slots; raises RaucError."""
        return parse_slots((await self._call(INTERFACE, "GetSlotStatus"))[0])

    async def info(self, bundle: Path) -> BundleInfo:
        """Verify a bundle's signature and return what it says about itself.

        Raises:
            RaucRefusedError: not a bundle, or not signed by whom this machine trusts.
            RaucError: another fault.
        """
        compatible, version = await self._call(INTERFACE, "Info", "s", [str(bundle)])
        return BundleInfo(str(compatible), str(version))

    async def mark(self, state: str, slot: str) -> None:
        """Mark ``slot`` "good", "bad" or "active"; raises RaucError."""
        await self._call(INTERFACE, "Mark", "ss", [state, slot])

    async def operation(self) -> str:
        """Return "idle" or "installing"; raises RaucError."""
        return str(await self._property("Operation"))

    async def wait_until_idle(self, stop: threading.Event) -> None:
        """Wait for an installation that an earlier run of ours left going.

        Raises:
            RaucTimeoutError: it does not end.
            RaucStoppedError: ``stop`` was set.
        """
        try:
            async with asyncio.timeout(self._deadlines.install):
                while await self.operation() != "idle":
                    if stop.is_set():
                        raise RaucStoppedError("stopped while RAUC was busy")
                    await asyncio.sleep(_TICK)
        except TimeoutError as error:
            raise RaucTimeoutError(f"busy for {self._deadlines.install:g} s") from error

    async def install(
        self, bundle: Path, stop: threading.Event, percent: Callable[[int], None]
    ) -> None:
        """Write a bundle into the slots that are not booted; ``percent`` gets 0 to 100.

        What RAUC wrote, and its note that the slot is whole, are on the disk when this returns.

        Raises:
            RaucRefusedError: RAUC gave up; the text is its LastError.
            RaucTimeoutError: no progress, or no end, in time.
            RaucUnavailableError: the service went away.
            RaucStoppedError: ``stop`` was set; RAUC goes on, `wait_until_idle` waits for it.
        """
        watch = _Watch(percent)
        await self._subscribe()
        self._bus.add_message_handler(watch.hear)
        try:
            await self._call(INTERFACE, "InstallBundle", "sa{sv}", [str(bundle), {}])
            await watch.wait(self._deadlines, stop)
            if watch.result != 0:
                raise RaucRefusedError(str(await self._property("LastError")) or "no reason given")
        finally:
            self._bus.remove_message_handler(watch.hear)
        # RAUC syncs the slot, but not a status file that is new; a power cut would lose it.
        await asyncio.to_thread(os.sync)

    async def _subscribe(self) -> None:
        for rule in (
            f"type='signal',sender='{NAME}'",
            f"type='signal',sender='{_DBUS}',member='NameOwnerChanged',arg0='{NAME}'",
        ):
            await self._call(_DBUS, "AddMatch", "s", [rule])

    async def _property(self, name: str) -> object:
        return (await self._call(PROPERTIES, "Get", "ss", [INTERFACE, name]))[0].value

    async def _call(
        self, interface: str, member: str, signature: str = "", body: list[object] | None = None
    ) -> list[Any]:
        from dbus_fast import Message, MessageType  # noqa: PLC0415  # see rauc_bus

        message = Message(
            destination=_DBUS if interface == _DBUS else NAME,
            path="/org/freedesktop/DBus" if interface == _DBUS else "/",
            interface=interface,
            member=member,
            signature=signature,
            body=body or [],
        )
        try:
            async with asyncio.timeout(self._deadlines.call):
                reply = await self._bus.call(message)
        except TimeoutError as error:
            text = f"{member}: no answer in {self._deadlines.call:g} s"
            raise RaucTimeoutError(text) from error
        except (EOFError, OSError) as error:  # dbus-fast's words for a bus that went away
            raise RaucUnavailableError(f"{member}: the bus went away") from error
        if reply is None or reply.message_type is MessageType.ERROR:
            raise _refusal(member, reply)
        return list(reply.body)


def _refusal(member: str, reply: Message | None) -> RaucError:
    text = show(str(reply.body[0]), 300).strip('"') if reply and reply.body else "no reason given"
    name = (reply.error_name or "") if reply else ""
    # The bus itself answers so when there is no service, or when it died over the question.
    if name.startswith(f"{_DBUS}.Error.") and name.rpartition(".")[2] in {
        "ServiceUnknown",
        "NameHasNoOwner",
        "NoReply",
        "Disconnected",
        "Spawn.ServiceNotFound",
    }:
        return RaucUnavailableError(f"{member}: {text}")
    return RaucRefusedError(text)


class _Watch:
    """Hears the signals of one installation."""

    def __init__(self, percent: Callable[[int], None]) -> None:
        self.result: int | None = None
        self._percent = percent
        self._gone = False
        self._heard = asyncio.Event()

    def hear(self, message: Message) -> None:
        """Take a message of the bus; what is not ours is left."""
        if message.member == "Completed" and message.interface == INTERFACE:
            self.result = int(message.body[0])
        elif message.member == "NameOwnerChanged" and message.body[0] == NAME:
            self._gone = not message.body[2]
        elif message.member == "PropertiesChanged" and message.body[0] == INTERFACE:
            progress = message.body[1].get("Progress")
            if progress is not None:
                self._percent(max(0, min(100, int(progress.value[0]))))
        else:
            return
        self._heard.set()

    async def wait(self, deadlines: RaucDeadlines, stop: threading.Event) -> None:
        """Return when the installation is over, whatever its result."""
        loop = asyncio.get_running_loop()
        end = loop.time() + deadlines.install
        stalled = loop.time() + deadlines.stall
        while self.result is None:
            if self._gone:
                raise RaucUnavailableError("the service went away while installing")
            if stop.is_set():
                raise RaucStoppedError("stopped while RAUC was installing")
            if loop.time() >= min(end, stalled):
                raise RaucTimeoutError("no progress" if loop.time() < end else "no end")
            try:
                async with asyncio.timeout(_TICK):
                    await self._heard.wait()
            except TimeoutError:
                continue
            self._heard.clear()
            stalled = loop.time() + deadlines.stall
