"""Keys of the kernel's input devices: the gpio-keys overlay, USB and Bluetooth buttons, without a library.

A device comes and goes; it is looked for again every few seconds, by its name or by the keys that it has.
Source: linux/input.h and linux/input-event-codes.h.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from machine.button_settings import ButtonSettings, Key
from machine.button_sources import Take

DEVICES = Path("/dev/input")
LOOK_SECONDS = 5.0
# A keyboard's burst is a dozen events; what is left is read in the next turn.
READ_EVENTS = 64
EVENT = struct.Struct("@llHHi")
EV_KEY = 1
RELEASED, PRESSED = 0, 1
NAME_BYTES, BITS_BYTES = 128, 96
GET_NAME, GET_KEYS = 0x80804506, 0x80604521
CODES: Mapping[int, Key] = {
    582: Key.TALK,  # KEY_VOICECOMMAND
    167: Key.TALK,  # KEY_RECORD
    248: Key.MUTE,  # KEY_MICMUTE
    164: Key.PLAY_PAUSE,  # KEY_PLAYPAUSE
    207: Key.PLAY_PAUSE,  # KEY_PLAY
    163: Key.NEXT,  # KEY_NEXTSONG
    165: Key.PREVIOUS,  # KEY_PREVIOUSSONG
    115: Key.VOLUME_UP,
    114: Key.VOLUME_DOWN,
}
"""Of linux/input-event-codes.h."""
ALL = "all"

Control = Callable[[int, int, bytearray], object]

_log = logging.getLogger(__name__)


def parse_keys(data: bytes, codes: Mapping[int, Key]) -> list[tuple[Key, bool]]:
    """Return the keys that were pressed or released in what a device gave; repeats are none."""
    whole = len(data) // EVENT.size * EVENT.size
    return [
        (codes[code], value == PRESSED)
        for _sec, _usec, kind, code, value in EVENT.iter_unpack(data[:whole])
        if kind == EV_KEY and code in codes and value in {RELEASED, PRESSED}
    ]


class InputSource:
    """All input devices that the settings mean."""

    def __init__(
        self,
        settings: ButtonSettings,
        *,
        folder: Path = DEVICES,
        control: Control = fcntl.ioctl,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the devices in ``folder`` that ``settings.input`` names."""
        self._wanted = settings.input
        self._codes = {**CODES, **({settings.talk_code: Key.TALK} if settings.talk_code else {})}
        self._folder = folder
        self._control = control
        self._clock = clock
        self._open: dict[Path, tuple[int, str]] = {}
        self._down: dict[Path, set[Key]] = {}
        self._take: Take | None = None
        self._again: asyncio.TimerHandle | None = None
        self._refused: set[Path] = set()

    @property
    def name(self) -> str:
        """The devices' names."""
        found = ", ".join(name for _, name in self._open.values())
        return f"input: {found or self.fault}"

    @property
    def fault(self) -> str | None:
        """Why there are no keys; None if a device is there."""
        return None if self._open else f"no device named {self._wanted} is there"

    def find(self) -> tuple[list[str], list[Path]]:
        """Return the names of the devices that are meant, and those which this user may not read; none is kept open."""
        names: list[str] = []
        refused: list[Path] = []
        for path in sorted(self._folder.glob("event*")):
            try:
                device = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                refused.append(path)
                continue
            name = self._wanted_name(device)
            os.close(device)
            if name is not None:
                names.append(name)
        return names, refused

    async def open(self, take: Take) -> Mapping[Key, bool]:
        """Look for devices now, and again every few seconds."""
        self._take = take
        self._look()
        return {}

    def _look(self) -> None:
        for path in sorted(self._folder.glob("event*")):
            if path not in self._open:
                self._try(path)
        self._again = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _try(self, path: Path) -> None:
        try:
            device = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if path not in self._refused:
                self._refused.add(path)
                _log.warning(
                    "buttons: %s: %s; expected a device that the group input may read",
                    path, error.strerror,
                )  # fmt: skip
            return
        name = self._wanted_name(device)
        if name is None:
            os.close(device)
            return
        self._open[path], self._down[path] = (device, name), set()
        asyncio.get_running_loop().add_reader(device, self._read, path)
        _log.info("buttons: %s: %s", path, name)

    def _wanted_name(self, device: int) -> str | None:
        """Return the device's name if it is meant and has one of the keys."""
        name, bits = bytearray(NAME_BYTES), bytearray(BITS_BYTES)
        try:
            self._control(device, GET_NAME, name)
            self._control(device, GET_KEYS, bits)
        except OSError:
            return None
        text = bytes(name).partition(b"\0")[0].decode(errors="replace")
        is_meant = self._wanted == ALL or self._wanted.lower() in text.lower()
        has_keys = any(bits[code // 8] >> code % 8 & 1 for code in self._codes)
        return text if is_meant and has_keys else None

    def _read(self, path: Path) -> None:
        try:
            data = os.read(self._open[path][0], READ_EVENTS * EVENT.size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose(path)
            return
        for key, pressed in parse_keys(data, self._codes):
            self._tell(path, key, pressed=pressed)

    def _tell(self, path: Path, key: Key, *, pressed: bool) -> None:
        (self._down[path].add if pressed else self._down[path].discard)(key)
        if self._take is not None:
            self._take(key, self._clock(), pressed=pressed)

    def _lose(self, path: Path) -> None:
        """Take a device as gone: whoever held a key of it does not hold it any more."""
        for key in tuple(self._down[path]):
            self._tell(path, key, pressed=False)
        device, name = self._open.pop(path)
        del self._down[path]
        asyncio.get_running_loop().remove_reader(device)
        os.close(device)
        _log.info("buttons: %s: %s is gone", path, name)

    def close(self) -> None:
        """Let all devices go."""
        if self._again is not None:
            self._again.cancel()
        for path in tuple(self._open):
            self._lose(path)
