"""The light that is on whenever the microphone is open, whatever opens it, and whatever ends the agent.

A light of the kernel's (/sys/class/leds) is turned on and off by a shell that lives as long as the microphone is
open: it turns the light off when its pipe is closed, which the kernel does also for an agent that was killed. A
GPIO line is held by the agent itself. The kernel frees it then, and what a freed line does is the chip's
affair: on a Raspberry Pi up to 4 it becomes an input, which is dark.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from base.tasks import finished
from machine.button_settings import NONE, LightSettings
from machine.errors import UnavailableError
from machine.gpio_chip import Flag, Lines, find_chip, open_lines

LEDS = Path("/sys/class/leds")
# A shell needs a few milliseconds; the microphone does not wait for one that hangs.
GUARD_SECONDS = 1.0
WORDS_BYTES = 300
# Signals for the whole service come to the shell too, and it must outlive them. The trigger may be "heartbeat".
GUARD = """trap '' TERM INT HUP
{ echo none >"$1/trigger"; } 2>/dev/null
full=$(cat "$1/max_brightness") && echo "$full" >"$1/brightness" && echo on && cat >/dev/null
echo 0 >"$1/brightness"
"""

_log = logging.getLogger(__name__)


class Light(ABC):
    """A light; it is on while anybody is within `shining`."""

    name = "no light"

    def __init__(self) -> None:
        """Begin in the dark."""
        self._holders = 0
        self._lock = asyncio.Lock()
        self._lit = False
        self.fault: str | None = None
        """Why it could not be turned on or off, None if it could."""

    @property
    def state(self) -> str:
        """One line for people."""
        return f"{self.name}: {self.fault or ('on' if self._lit else 'off')}"

    @contextlib.asynccontextmanager
    async def shining(self) -> AsyncIterator[None]:
        """Be on while the block lasts. A light that fails is told, and keeps nothing closed: the cue sounds all the same."""
        self._holders += 1
        try:
            await finished(self._follow())
            yield
        finally:
            self._holders -= 1
            await finished(self._follow())

    async def _follow(self) -> None:
        async with self._lock:
            wanted = self._holders > 0
            if wanted == self._lit:
                return
            try:
                await (self._turn_on() if wanted else self._turn_off())
            except (UnavailableError, OSError) as error:
                if self.fault != str(error):
                    _log.warning("light: %s", error)
                self.fault = str(error)
            else:
                if wanted:
                    self.fault = None
            self._lit = wanted

    @abstractmethod
    async def _turn_on(self) -> None:
        """Be on when this returns; raises UnavailableError, OSError."""

    @abstractmethod
    async def _turn_off(self) -> None:
        """Be off when this returns; raises UnavailableError, OSError."""


class NoLight(Light):
    """A machine without one."""

    async def _turn_on(self) -> None:
        return

    async def _turn_off(self) -> None:
        return


class LedLight(Light):
    """A light of the kernel's."""

    def __init__(self, name: str, folder: Path = LEDS) -> None:
        """Use ``name`` in ``folder``; what an agent that was killed has left on is turned off."""
        super().__init__()
        self._led = folder / name
        self.name = f"led {name}"
        self._guard: Process | None = None
        try:
            self._put_out()
        except OSError as error:
            self.fault = f"{self._led}: {error.strerror}"

    def _put_out(self) -> None:
        (self._led / "brightness").write_text("0\n", "ascii")

    async def _turn_on(self) -> None:
        guard = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", GUARD, "story-light", str(self._led),
            stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True,
        )  # fmt: skip
        self._guard = guard
        if guard.stdout is None or guard.stderr is None:
            raise TypeError("guard: expected a process with pipes")
        words = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GUARD_SECONDS):
                if await guard.stdout.readline():
                    return
                words = (await guard.stderr.readline())[:WORDS_BYTES]
        await self._end_guard()
        said = " ".join(words.decode(errors="replace").split())
        raise UnavailableError(f"{self._led}: {said or 'it does not answer'}")

    async def _turn_off(self) -> None:
        await self._end_guard()
        if self.fault is None:
            await asyncio.to_thread(self._put_out)

    async def _end_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is None or guard.stdin is None:
            return
        guard.stdin.close()
        try:
            async with asyncio.timeout(GUARD_SECONDS):
                await guard.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                guard.kill()
            await guard.wait()


class GpioLight(Light):
    """A GPIO line."""

    def __init__(self, settings: LightSettings, open_: Callable[..., Lines] = open_lines) -> None:
        """Use the line of ``settings``, which is asked for when the light is needed first."""
        super().__init__()
        self._settings = settings
        self._open = open_
        self._lines: Lines | None = None
        self.name = f"gpio {settings.gpio}"

    async def _turn_on(self) -> None:
        if self._lines is None:
            chip = find_chip(self._settings.chip)
            if chip is None:
                raise UnavailableError("no GPIO chip: expected /dev/gpiochip0")
            low = Flag.ACTIVE_LOW if self._settings.active_low else Flag(0)
            self._lines = self._open(chip, [self._settings.gpio], Flag.OUTPUT | low)
        self._set(on=True)

    async def _turn_off(self) -> None:
        self._set(on=False)

    def _set(self, *, on: bool) -> None:
        if self._lines is None:
            return
        try:
            self._lines.set(on=on)
        except OSError:  # the chip was unplugged; it is asked for again when it is needed next
            self._lines.close()
            self._lines = None
            raise


def find_light(settings: LightSettings) -> Light:
    """Return the light of ``settings``."""
    if settings.led:
        return LedLight(settings.led)
    return GpioLight(settings) if settings.gpio != NONE else NoLight()
