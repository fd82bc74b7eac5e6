"""The machine's level: kept by the agent, and put on each sound device before it plays anything.

A sound server may start after the agent, be restarted, or get another default output, and each of
them begins at a level of its own, often the loudest. The mixer is therefore looked for again at each use
before which a sound server or a card may have come or gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from machine.errors import UnavailableError
from machine.mixers import Mixer, PulseMixer, StandInMixer, find_mixer, read_surroundings

# A watch ends with the sound server; one that starts later is watched at most this late.
WATCH_AGAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


class KeptLevel:
    """A `Mixer` that finds the machine's mixer, and keeps the level across devices."""

    def __init__(
        self,
        find: Callable[[], Awaitable[Mixer]] = find_mixer,
        surroundings: Callable[[], str | None] = read_surroundings,
    ) -> None:
        """Find the mixer with ``find``, which never fails: a stand-in means none.

        It is called again if ``surroundings`` differs from the last time, or is None: it runs
        programs, for 30 ms where nothing is to be found.
        """
        self._find = find
        self._surroundings = surroundings
        self._looked_at: str | None = None
        self._mixer: Mixer = StandInMixer()
        self._device: str | None = None
        self._kept: float | None = None
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        """The mixer in use."""
        return self._mixer.name

    async def get(self) -> float:
        """Return the level of the device in use; raises UnavailableError."""
        async with self._lock:
            await self._settle()
            level = await self._mixer.get()
            if not isinstance(self._mixer, StandInMixer):
                self._kept = level
            return level

    async def set(self, level: float) -> None:
        """Set the level, and keep it for later devices; raises UnavailableError.

        On a machine that has had no mixer yet nothing can be heard, and the level is in force from
        the first sound on. A mixer that has gone is an error, and then the level is not kept.
        """
        async with self._lock:
            await self._look()
            await self._mixer.set(level)
            self._kept = level
            self._device = await self._mixer.identify()

    async def restore(self, *, renewed: bool = False) -> None:
        """Put the kept level on a device that is new since the last use; raises UnavailableError.

        On the same device the level stays: a knob on the machine may have changed it. With
        ``renewed`` the device was away meanwhile, as a USB card that bears the same name again.
        """
        async with self._lock:
            if renewed:
                self._device = None
            await self._settle()

    async def is_dummy(self) -> bool:
        """Return whether the sound server plays to nobody; False if there is no server to ask."""
        try:
            return isinstance(self._mixer, PulseMixer) and await self._mixer.is_dummy()
        except UnavailableError:
            return False

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Call ``on_change`` when devices come or go, until cancelled."""
        while True:
            if isinstance(self._mixer, PulseMixer):
                with contextlib.suppress(OSError, ValueError):  # not started; an endless line
                    await self._mixer.watch(on_change)
            await asyncio.sleep(WATCH_AGAIN_SECONDS)

    async def identify(self) -> str:
        """Return which device is in use."""
        return await self._mixer.identify()

    async def close(self) -> None:
        """Close the mixer."""
        await self._mixer.close()

    async def _settle(self) -> None:
        await self._look()
        device = await self._mixer.identify()
        if device == self._device:
            return
        if self._kept is not None:
            _log.info("volume: another sound device: %.0f %%", self._kept * 100)
            await self._mixer.set(self._kept)
        self._device = device

    async def _look(self) -> None:
        """Look for a better mixer than the one in use; raises UnavailableError if it has gone.

        A sound server is the best and is kept: what its card does without it is not its level.
        """
        if isinstance(self._mixer, PulseMixer):
            return
        surroundings = await asyncio.to_thread(self._surroundings)
        if surroundings is not None and surroundings == self._looked_at:
            return
        found = await self._find()
        if isinstance(found, StandInMixer) and not isinstance(self._mixer, StandInMixer):
            self._device = self._looked_at = None
            raise UnavailableError(f"{self._mixer.name}: not found any more")
        self._looked_at = surroundings
        if isinstance(found, StandInMixer) or found.name == self._mixer.name:
            return
        _log.info("volume: %s", found.name)
        await self._mixer.close()
        self._mixer, self._device = found, None
