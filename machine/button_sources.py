"""Where the levels of buttons come from: GPIO lines of the kernel's device or by gpiozero, or nothing.

What keeps the contract of `Source` can be added; keys of input devices are in `machine.input_keys`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from base.backoff import Backoff
from machine.button_settings import ButtonSettings, Key, Pull, Reader
from machine.errors import UnavailableError
from machine.gpio_chip import READ_EVENTS, Flag, Lines, find_chip, open_lines

# A line that floats beside a motor may give 10,000 edges a second: it is then only looked at now and then.
FLOOD_READS, FLOOD_SECONDS = 20, 1.0
# A chip that is gone is looked for again after these.
RETRY_FIRST, RETRY_MAX = 5.0, 60.0

_PULLS = {Pull.UP: Flag.PULL_UP, Pull.DOWN: Flag.PULL_DOWN, Pull.NONE: Flag.NO_PULL}

_log = logging.getLogger(__name__)


class Take(Protocol):
    """Takes a key's level."""

    def __call__(self, key: Key, at: float, *, pressed: bool) -> None:
        """Take it in the event loop's thread; ``at``: monotonic seconds."""


class Source(Protocol):
    """Gives levels from `open` to `close`."""

    @property
    def name(self) -> str:
        """One line for people."""

    @property
    def fault(self) -> str | None:
        """Why it gives no levels, though it was opened; None if it does."""

    async def open(self, take: Take) -> Mapping[Key, bool]:
        """Begin; return the levels of now. Raises UnavailableError."""

    def close(self) -> None:
        """End; also after an `open` that failed."""


class ChipSource:
    """Lines of /dev/gpiochipN: the kernel gives each edge with its time, and no library is loaded."""

    def __init__(
        self,
        settings: ButtonSettings,
        open_: Callable[..., Lines] = open_lines,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the lines of ``settings``."""
        self._settings = settings
        self._keys = {line: key for key, line in settings.lines()}
        self._chip = find_chip(settings.chip)
        self._open = open_
        self._clock = clock
        self._lines: Lines | None = None
        self._take: Take | None = None
        self._reads = 0
        self._window = 0.0
        self._resuming: asyncio.TimerHandle | None = None
        self.fault: str | None = None
        self._backoff = Backoff(RETRY_MAX, first=RETRY_FIRST)

    @property
    def name(self) -> str:
        """The chip and its lines, and why they are not read if they were and are not any more."""
        named = ", ".join(f"{key} {line}" for line, key in self._keys.items())
        gone = f": {self.fault}" if self.fault else ""
        return f"{self._chip or 'no GPIO chip'}: {named}{gone}"

    async def open(self, take: Take) -> Mapping[Key, bool]:
        """Ask the kernel for the lines."""
        return self._ask(take)

    def _ask(self, take: Take) -> dict[Key, bool]:
        # A driver may be loaded late, and a chip on USB be plugged in at any time.
        self._chip = find_chip(self._settings.chip)
        if self._chip is None:
            raise UnavailableError("no GPIO chip: expected /dev/gpiochip0 (Linux 5.10 or newer)")
        flags = Flag.INPUT | Flag.EDGES | _PULLS[self._settings.pull]
        if self._settings.active_low:
            flags |= Flag.ACTIVE_LOW
        self._take = take
        self._lines = self._open(self._chip, list(self._keys), flags)
        levels = self._lines.levels()
        asyncio.get_running_loop().add_reader(self._lines.descriptor, self._read)
        return {self._keys[line]: level for line, level in levels.items()}

    def _read(self) -> None:
        try:
            self._read_edges()
        except OSError as error:  # the chip was unplugged, or its driver unloaded
            self._lose(error)

    def _read_edges(self) -> None:
        if self._lines is None or self._take is None:
            return
        edges = self._lines.read()
        for edge in edges:
            self._take(self._keys[edge.line], edge.at, pressed=edge.rising)
        if len(edges) >= READ_EVENTS:
            # The kernel's buffer may have run over, so the last edge is not the level of now.
            self._look()
        self._rest_in_a_flood()

    def _lose(self, error: OSError) -> None:
        """Let the lines go, and ask for them again: whoever held a button does not hold it any more."""
        _log.warning("buttons: %s: %s", self.name, error.strerror)
        self.close()
        self.fault = error.strerror or str(error)
        if self._take is not None:
            for key in self._keys.values():
                self._take(key, self._clock(), pressed=False)
        self._try_later()

    def _try_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._resuming = loop.call_later(self._backoff.next(), self._try_again)

    def _try_again(self) -> None:
        self._resuming = None
        if self._take is None:
            return
        try:
            levels = self._ask(self._take)
        except (UnavailableError, OSError):
            self.close()
            self._try_later()
            return
        self.fault = None
        self._backoff.reset()
        _log.info("buttons: %s", self.name)
        for key, pressed in levels.items():
            self._take(key, self._clock(), pressed=pressed)

    def _look(self) -> None:
        if self._lines is not None and self._take is not None:
            now = self._clock()
            for line, level in self._lines.levels().items():
                self._take(self._keys[line], now, pressed=level)

    def _rest_in_a_flood(self) -> None:
        now = self._clock()
        if now - self._window >= FLOOD_SECONDS:
            self._window, self._reads = now, 0
        self._reads += 1
        if self._reads >= FLOOD_READS and self._lines is not None and self._resuming is None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._lines.descriptor)
            self._resuming = loop.call_later(FLOOD_SECONDS, self._resume)

    def _resume(self) -> None:
        self._resuming = None
        if self._lines is not None:
            try:
                self._look()
            except OSError as error:
                self._lose(error)
                return
            asyncio.get_running_loop().add_reader(self._lines.descriptor, self._read)

    def close(self) -> None:
        """Free the lines."""
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        if self._lines is not None:
            asyncio.get_running_loop().remove_reader(self._lines.descriptor)
            self._lines.close()
            self._lines = None


class GpiozeroSource:
    """gpiozero's buttons. It is imported in a thread: that takes 0.16 s on a PC, and longer on a Pi."""

    name = "gpiozero"
    fault: str | None = None

    def __init__(
        self, settings: ButtonSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the lines of ``settings``."""
        self._settings = settings
        self._clock = clock
        self._buttons: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False

    async def open(self, take: Take) -> Mapping[Key, bool]:
        """Make the buttons; again after a try that failed."""
        self._closed = False
        return await asyncio.to_thread(self._make, take, asyncio.get_running_loop())

    def _make(self, take: Take, loop: asyncio.AbstractEventLoop) -> dict[Key, bool]:
        try:
            # What it tries first and falls back from is nothing that anybody can change.
            warnings.filterwarnings("ignore", module=r"gpiozero\.")
            import gpiozero  # noqa: PLC0415  # see the class
        except ImportError as error:
            raise UnavailableError("buttons: gpiozero is missing: the extra [gpio]") from error
        levels: dict[Key, bool] = {}
        try:
            for key, line in self._settings.lines():
                button = gpiozero.Button(line, **self._wiring())
                with self._lock:
                    self._buttons.append(button)
                button.when_pressed = self._teller(loop, take, key, pressed=True)
                button.when_released = self._teller(loop, take, key, pressed=False)
                levels[key] = bool(button.is_pressed)
        except UnavailableError:
            self.close()
            raise
        except Exception as error:
            # Its libraries have errors of their own: lgpio.error says "GPIO busy".
            self.close()
            raise UnavailableError(f"gpiozero: {str(error) or type(error).__name__}") from error
        if self._closed:  # while this thread was making them
            self.close()
        return levels

    def _wiring(self) -> dict[str, bool | None]:
        if self._settings.pull is Pull.NONE:
            return {"pull_up": None, "active_state": not self._settings.active_low}
        pull_up = self._settings.pull is Pull.UP
        if pull_up is not self._settings.active_low:
            raise UnavailableError(
                f"gpiozero: got pull {self._settings.pull} and active_low {self._settings.active_low},"
                ' expected "up" with true, "down" with false, or the reader "chip"'
            )
        return {"pull_up": pull_up}

    def _teller(
        self, loop: asyncio.AbstractEventLoop, take: Take, key: Key, *, pressed: bool
    ) -> Callable[[], None]:
        def tell() -> None:
            """Be called in gpiozero's thread."""
            at = self._clock()
            if not loop.is_closed():
                loop.call_soon_threadsafe(lambda: take(key, at, pressed=pressed))

        return tell

    def close(self) -> None:
        """Free the pins."""
        with self._lock:
            self._closed = True
            buttons, self._buttons = self._buttons, []
        for button in buttons:
            button.close()


def find_source(settings: ButtonSettings) -> Source | None:
    """Return what reads the lines of ``settings``, None if it names none."""
    if not dict(settings.lines()):
        return None
    reader = settings.reader
    if reader is Reader.AUTO:
        has_library = importlib.util.find_spec("gpiozero") is not None
        by_library = has_library and find_chip(settings.chip) is None
        reader = Reader.GPIOZERO if by_library else Reader.CHIP
    return GpiozeroSource(settings) if reader is Reader.GPIOZERO else ChipSource(settings)
