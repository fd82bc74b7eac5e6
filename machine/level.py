"""The machine's level: kept by the agent, and put on each sound output before it plays anything.

A sound server may start after the agent, be restarted, or get another output, and each of them
begins at a level of its own, often the loudest. So all outputs are watched and bear one level,
which never exceeds the limit, whoever sets it. What is decided is in `machine.outputs`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from base.tasks import ended
from machine.errors import UnavailableError
from machine.mixers import Mixer, StandInMixer, find_mixer, read_surroundings
from machine.outputs import Outputs, is_near, ramp, ramp_steps, settle

# A server that starts later, and a card that is plugged in, are seen at most this late; at each use
# at once.
LOOK_SECONDS = 2.0
# The same where it costs a program's run (ALSA) and nothing plays.
QUIET_SECONDS = 20.0
# Between two looks for a mixer on a machine that has one that cannot be used.
RETRY_SECONDS = 1.0
# After this an output that has not taken its level, as one whose driver is stuck, is told again.
AGAIN_SECONDS = 20.0
# Between two looks at outputs that change all the time, as by a slider that is dragged.
PACE_SECONDS = 0.005

_log = logging.getLogger(__name__)

Finder = Callable[[Callable[[], None]], Awaitable[Mixer]]


class KeptLevel:
    """Finds the machine's mixer, keeps one level on all of its outputs, and tells of changes."""

    def __init__(
        self,
        find: Finder = find_mixer,
        surroundings: Callable[[], str | None] = read_surroundings,
    ) -> None:
        """Find the mixer with ``find``.

        It is called again if ``surroundings`` differ from the last time, or are None.
        """
        self._find = find
        self._surroundings = surroundings
        self._looked_at: str | None = None
        self._missing = ""
        self._retry_at = 0.0
        self._again_at: float | None = None  # an output has not taken its level
        self._mixer: Mixer = StandInMixer()
        self._known: Outputs | None = None
        self._kept: float | None = None
        self._target: float | None = None
        self._orders = 0
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._following: asyncio.Task[None] | None = None
        self.limit: Callable[[], float] = lambda: 1.0
        """The loudest level, asked at each use."""
        self.locked: Callable[[], bool] = lambda: False
        """Whether a level that a knob or another program sets is put back."""
        self.on_turn: Callable[[float], None] = lambda _level: None
        """Called with the level that a knob or another program has set, within the limit."""

    @property
    def name(self) -> str:
        """The mixer in use, or why there is none."""
        if not self._missing and self._known is not None and self._known.is_dummy:
            return f"{self._mixer.name}: it has no device: volume is kept but not heard"
        return self._missing or self._mixer.name

    @property
    def kept(self) -> float | None:
        """The level that is kept for later outputs, None if nobody has set one."""
        return self._kept

    @property
    def target(self) -> float | None:
        """The level that a ramp leads to, None if there is no ramp."""
        return self._target

    @property
    def known(self) -> Outputs | None:
        """The outputs as they were at the last use."""
        return self._known

    def remember(self, level: float, known: Outputs | None = None) -> None:
        """Keep ``level``, of an earlier run of the agent, for the outputs that are found.

        On ``known`` outputs a knob may have been turned meanwhile, and the level that they have stays.
        """
        self._kept, self._known = level, known

    async def get(self) -> float:
        """Return the level that is in force, or that a ramp leads to; raises UnavailableError."""
        if self._target is not None:
            return self._target
        async with self._lock:
            await self._look()
            return (await self._settle()).level

    async def peek(self) -> float:
        """Return the level as it is, without a look at the limit; raises UnavailableError."""
        async with self._lock:
            await self._look()
            return (await self._mixer.read()).level

    async def set(self, level: float, seconds: float | None = None) -> bool:
        """Set the level, at most the limit; returns when it is in force on all outputs.

        A change of more than a step is a ramp, or lasts ``seconds``; a later call ends it, and it returns
        False. Raises UnavailableError: a mixer is missing or has gone; the level is then not kept.
        """
        self._orders += 1
        order = self._orders
        end = min(level, self.limit())
        try:
            async with self._lock:
                await self._look()
                start = min(1.0, (await self._mixer.read()).level)
                self._target = end
            await self._ramp(order, start, end, seconds)
            return order == self._orders
        finally:
            if order == self._orders:
                self._target = None

    async def _ramp(self, order: int, start: float, end: float, seconds: float | None) -> None:
        """Put the levels from ``start`` to ``end``; a later order puts its own."""
        count, wait = ramp_steps(start, end, seconds)
        if isinstance(self._mixer, StandInMixer):
            count = 1
        for number in range(1, count + 1):
            async with self._lock:
                if order != self._orders:
                    return
                level = ramp(start, end, number / count)
                # Read each time: an output that comes during a ramp must not stay at its own level.
                outputs = await self._mixer.read()
                await self._mixer.put(dict.fromkeys(outputs.levels, level))
                if number == count:
                    self._accept(await self._mixer.read(), outputs, level)
            if number < count:
                await asyncio.sleep(wait)

    def _accept(self, outputs: Outputs, told: Outputs, level: float) -> None:
        """Keep ``level``; raises UnavailableError if the output that is heard has not taken it.

        Of ``outputs`` as they are now, those that were not ``told`` the level are yet to be settled.
        """
        self._known = outputs.only(told)
        self._changed.set()
        if outputs.default in told.levels and not is_near(outputs.level, level):
            raise UnavailableError(f"{self._mixer.name}: {outputs.default} does not take the level")
        self._kept = level

    async def restore(self, *, renewed: bool = False) -> None:
        """Put the kept level on all outputs that are new; raises UnavailableError.

        On a known one the level stays: a knob on the machine may have changed it. With ``renewed`` the
        device was away meanwhile, as a USB card that bears the same name again.
        """
        async with self._lock:
            await self._look()
            if self._target is None:
                if renewed:
                    self._known = None
                await self._settle()

    async def is_dummy(self) -> bool:
        """Return whether the sound server plays to nobody; False if there is no server to ask."""
        try:
            return self._mixer.alive and (await self._mixer.read()).is_dummy
        except UnavailableError:
            return False

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Call ``on_change`` when outputs come or go, until cancelled."""
        self.follow()
        self._listeners.append(on_change)
        self._changed.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._listeners.remove(on_change)

    def follow(self) -> None:
        """Begin to watch the outputs; it ends with `close`."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Watch no longer, and close the mixer."""
        try:
            if self._following is not None:
                await ended(self._following)
        finally:
            await self._mixer.close()

    async def _follow(self) -> None:
        seen = self._known
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    await self._changed.wait()
                pause = PACE_SECONDS
            except TimeoutError:
                pause = 0.0  # nothing changes
            self._changed.clear()
            try:
                await self._follow_once()
            except UnavailableError as error:
                _log.debug("volume: %s", error)
            if self._known is None or not self._known.is_as(seen):
                self._tell_listeners()
            seen = self._known
            if pause:
                await asyncio.sleep(pause)

    async def _follow_once(self) -> None:
        async with self._lock:
            await self._look()
            if self._target is None and not isinstance(self._mixer, StandInMixer):
                await self._settle()

    @property
    def _patience(self) -> float | None:
        """How long to wait for a sign of the mixer before looking at it."""
        if self._tells:
            return None if self._again_at is None else AGAIN_SECONDS
        is_free = self._missing or isinstance(self._mixer, StandInMixer)
        return LOOK_SECONDS if is_free or self._listeners else QUIET_SECONDS

    @property
    def _tells(self) -> bool:
        """Whether the mixer tells of changes by itself, its end included."""
        return self._mixer.tells and self._mixer.alive

    def _tell_listeners(self) -> None:
        for listener in self._listeners:
            listener()

    async def _settle(self) -> Outputs:
        """Let all outputs have the level that they must have, and return them."""
        again = self._again_at is not None and self._now() >= self._again_at
        known = self._taken() if again else self._known
        try:
            seen = now = await self._mixer.read()
            settled = settle(now, known, self._kept, self.limit(), locked=self.locked())
            if settled.puts:
                told = _log.debug if again else _log.info
                told("volume: %.0f %% on %s", settled.level * 100, ", ".join(settled.puts))
                await self._mixer.put(settled.puts)
                now = await self._mixer.read()
        except UnavailableError:
            self._known = None
            raise
        self._known = now.only(seen)
        self._note_taken(now, settled.level, again=again)
        if not isinstance(self._mixer, StandInMixer):
            self._kept = settled.level
        if settled.turned:
            self.on_turn(settled.level)
        return now

    def _taken(self) -> Outputs | None:
        """Return what is known of those that have taken their level; one that has not is else taken for one that rounds it."""
        known, kept = self._known, self._kept
        if known is None or kept is None:
            return known
        wanted = min(kept, self.limit())
        levels = {key: found for key, found in known.levels.items() if is_near(found, wanted)}
        return replace(known, levels=levels)

    def _note_taken(self, now: Outputs, level: float, *, again: bool) -> None:
        """Note whether all outputs have taken the ``level``, and when those that have not are told ``again``."""
        if all(is_near(found, level) for found in now.levels.values()):
            self._again_at = None
        elif again or self._again_at is None:
            self._again_at = self._now() + AGAIN_SECONDS

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _look(self) -> None:
        """Look for a mixer if another one may be found.

        A sound server is the best and is kept: what its card does without it is not its level.

        Raises:
            UnavailableError: there should be one, or was one.
        """
        if self._tells:
            return
        surroundings, now = self._surroundings(), self._now()
        if surroundings is not None and surroundings == self._looked_at:
            if not self._missing:
                return
            if now < self._retry_at:
                raise UnavailableError(self._missing)
        self._looked_at, self._retry_at = surroundings, now + RETRY_SECONDS
        try:
            await self._take(await self._find(self._changed.set))
        except UnavailableError as error:
            self._missing, self._known = str(error), None
            raise
        self._missing = ""

    async def _take(self, found: Mixer) -> None:
        """Use ``found`` in place of the mixer; raises UnavailableError if it is worse."""
        if found.rank < self._mixer.rank:
            await found.close()
            raise UnavailableError(f"{self._mixer.name}: not found any more")
        if found.rank > self._mixer.rank:
            _log.info("volume: %s", found.name)
        await self._mixer.close()
        self._mixer = found
