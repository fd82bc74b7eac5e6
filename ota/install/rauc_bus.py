"""A client of RAUC's D-Bus interface (de.pengutronix.rauc.Installer); each call has a deadline.

This module converts D-Bus values to our own types; no other module sees a D-Bus value. It uses only
what RAUC 1.8 offers, and works with newer versions.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base.dbus import (
    DBusError,
    DBusTimeoutError,
    DBusUnavailableError,
    Method,
    call,
    connect,
)
from wire.errors import show
from wire.records import dataclass

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

NAME = "de.pengutronix.rauc"
INTERFACE = "de.pengutronix.rauc.Installer"
PROPERTIES = "org.freedesktop.DBus.Properties"
_DBUS = "org.freedesktop.DBus"
# RAUC reports errors as text only (src/bundle.c, src/install.c of 1.8 to 1.13). These are faults of
# the bundle; every other error is this machine's.
_BUNDLE_FAULTS = re.compile(
    r"signature|verif|[Cc]ompatible|[Ii]nvalid bundle|manifest|not a (valid )?bundle|[Bb]undle (size|format)"
    r"|checksum|too small|No matching (slot|image)|identifier",
)
# How often a wait checks whether it was asked to stop, in seconds.
_TICK = 0.2


class RaucError(OSError):
    """A RAUC call failed; an OSError, since the updater handles it like a failing disk."""


class RaucUnavailableError(RaucError):
    """There is no bus or no RAUC service, or the service disappeared."""


class RaucTimeoutError(RaucError):
    """RAUC did not answer, or made no progress, within the time limit."""


class RaucRefusedError(RaucError):
    """RAUC returned an error; the message is RAUC's own text."""


class RaucBundleError(RaucRefusedError):
    """RAUC refused the bundle: its signature, manifest or content."""


class RaucStoppedError(RaucError):
    """The wait was asked to stop; RAUC continues its work."""


@dataclass(frozen=True, slots=True)
class RaucDeadlines:
    """Time limits for RAUC, in seconds.

    Attributes:
        connect: for connecting to the bus.
        call: for a reply; marking a slot runs the boot loader's script.
        stall: between two progress signals of an installation; a slow SD card writes 1 % of a
            2 GiB image in about 10 s, and syncing it at the end takes minutes.
        install: for a whole installation.
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
        boot_name: the boot loader's name for it, "A"; "" for a slot that is not bootable.
        state: "booted", "active" (belongs to the booted one) or "inactive".
        boot_status: "good", "bad" or "" if the boot loader does not report it.
        status: "ok" after a complete installation, "pending" during one, "" if never written.
        version: version of the bundle written to it, "" if none was.
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
        """Whether this system runs from the slot."""
        return self.state == "booted"


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """The compatible string and version in a bundle's manifest."""

    compatible: str
    version: str


def parse_slots(body: object) -> tuple[Slot, ...]:
    """Parse the reply of GetSlotStatus, a(sa{sv}); raises RaucRefusedError naming the member."""
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
    """Connect to the bus at ``address`` (None: the system bus), and disconnect at the end.

    Raises:
        RaucUnavailableError: there is no bus.
    """
    try:
        async with connect(deadlines.connect, address) as bus:
            yield RaucBus(bus, deadlines)
    except DBusError as error:  # of the connection: those of calls are RaucErrors
        raise RaucUnavailableError(f"D-Bus: {error}") from error


class RaucBus:
    """The calls to RAUC over one D-Bus connection."""

    def __init__(self, bus: MessageBus, deadlines: RaucDeadlines) -> None:
        """Use ``bus``, which the caller must disconnect, and the time limits ``deadlines``."""
        self._bus = bus
        self._deadlines = deadlines

    async def slots(self) -> tuple[Slot, ...]:
        """Return all slots; raises RaucError."""
        return parse_slots((await self._call(INTERFACE, "GetSlotStatus"))[0])

    async def info(self, bundle: Path) -> BundleInfo:
        """Verify a bundle's signature and return its manifest's information.

        Raises:
            RaucRefusedError: not a bundle, or not signed by a key that this machine trusts.
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
        """Wait for an installation that an earlier run of the agent left running.

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
        """Write a bundle to the slots that are not booted; ``percent`` gets 0 to 100.

        The image and RAUC's record that the slot is complete are durable when this returns.

        Raises:
            RaucBundleError: RAUC refused the bundle; the message is RAUC's own text.
            RaucRefusedError: the installation failed; the message is RAUC's LastError.
            RaucTimeoutError: no progress, or no end, in time.
            RaucUnavailableError: the service disappeared.
            RaucStoppedError: ``stop`` was set; RAUC continues, and `wait_until_idle` waits for it.
        """
        watch = _Watch(percent)
        await self._subscribe()
        self._bus.add_message_handler(watch.hear)
        try:
            await self._call(INTERFACE, "InstallBundle", "sa{sv}", [str(bundle), {}])
            await watch.wait(self._deadlines, stop)
            if watch.result != 0:
                text = str(await self._property("LastError"))
                raise refusal_of(text or "no reason given")
        finally:
            self._bus.remove_message_handler(watch.hear)
        # RAUC syncs the slot, but not a new status file; a power cut would lose it.
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
        method = Method(
            _DBUS if interface == _DBUS else NAME,
            "/org/freedesktop/DBus" if interface == _DBUS else "/",
            interface,
            member,
            signature,
        )
        try:
            reply = await call(self._bus, method, *(body or ()), deadline=self._deadlines.call)
        except DBusTimeoutError as error:
            raise RaucTimeoutError(f"{member}: {error}") from error
        except DBusUnavailableError as error:
            raise RaucUnavailableError(f"{member}: {error}") from error
        except DBusError as error:
            raise refusal_of(show(str(error), 300).strip('"') or "no reason given") from error
        return list(reply)


def refusal_of(text: str) -> RaucRefusedError:
    """Return the error that RAUC's own ``text`` means."""
    return RaucBundleError(text) if _BUNDLE_FAULTS.search(text) else RaucRefusedError(text)


class _Watch:
    """Follows the signals of one installation."""

    def __init__(self, percent: Callable[[int], None]) -> None:
        self.result: int | None = None
        self._percent = percent
        self._gone = False
        self._heard = asyncio.Event()

    def hear(self, message: Message) -> None:
        """Handle a message of the bus; messages not about the installation are ignored."""
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
        """Wait until the installation is over; `result` then holds its result."""
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
