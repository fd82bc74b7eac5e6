"""The data point ``play``. The device keeps the queue; the cloud only sends commands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import ClassVar

from machine.chime import SoundProof, check_position, play_chime
from machine.errors import RefusedError, ResourceError
from machine.player import Player
from resources.datapoint import DataPoint
from resources.titles.library import Library, Queue
from resources.titles.sound_file import check_sound
from wire.datapoints import Value
from wire.story_points import PLAY
from wire.text import fold

# Seconds. The start of the agent and what a child orders first go before the reading of the card.
MEDIA_FIRST_SECONDS = 10.0
MEDIA_SECONDS = 30.0
# Titles that one order passes over: together they must leave time for one that plays, within the
# dispatch's limit.
SKIP_LIMIT = 20
# Of these an error names so many.
SKIPS_SHOWN = 3

_log = logging.getLogger(__name__)


class Command(Enum):
    """Commands that can be sent instead of a title, in the document's words and in English."""

    NEXT = ("下一首", "next")
    PREVIOUS = ("上一首", "previous")
    PAUSE = ("暂停", "pause")
    RESUME = ("继续", "resume")
    STOP = ("停止", "stop")


def parse_play(text: str) -> Command | str:
    """Parse the data point's value: a command, or what to play without a leading 播放."""
    wanted = text.strip()
    for command in Command:
        if fold(wanted) in command.value:
            return command
    return wanted.removeprefix("播放").strip() or wanted


class PlayPoint(DataPoint):
    """Plays titles, folders and URLs; continues with the next track of a folder by itself."""

    description: ClassVar = PLAY

    def __init__(
        self, player: Player, library: Library, on_change: Callable[[str], Awaitable[None]]
    ) -> None:
        """Play tracks of ``library`` on ``player``.

        ``on_change`` is called with the title, "" for none, when it changes without a
        successful request.
        """
        self._player = player
        self._library = library
        self._on_change = on_change
        self._queue = Queue()
        self._skipped: list[str] = []
        self._lock = asyncio.Lock()
        self._loading = False
        self._orders = 0
        self._advance: asyncio.Task[None] | None = None

    @property
    def back_end(self) -> str:
        """The player in use."""
        return self._player.name

    @property
    def playing(self) -> bool:
        """Whether a track is playing, paused or being loaded."""
        # Between two tracks of a folder nothing is loaded, but the lock is held.
        return self._queue.current is not None or self._lock.locked() or self._orders > 0

    @property
    def skipped(self) -> list[str]:
        """Titles passed over since the last order because they cannot be played, each with why."""
        return list(self._skipped)

    async def get(self) -> str:
        """Return the title (or URL) of the loaded track, "" if there is none."""
        track = self._queue.current
        return track.title if track else ""

    async def put(self, value: Value) -> None:
        """Carry out a command, or play what ``value`` names; returns when it plays."""
        self._orders += 1
        try:
            await self._put(parse_play(str(value)))
        finally:
            self._orders -= 1

    async def _put(self, wanted: Command | str) -> None:
        found = None
        if not isinstance(wanted, Command):
            found = await asyncio.to_thread(self._library.find, wanted)
        if self._loading and (found or wanted is Command.STOP):
            await self._player.stop()  # the order that loads a slow source fails, and lets go
        async with self._lock:
            before = await self.get()
            self._skipped = []
            try:
                if isinstance(wanted, Command):
                    await self._carry_out(wanted)
                elif found is not None:
                    await self._start_near(found, 1 if found.whole else 0)
            except ResourceError:
                # The previous track has ended nevertheless, and nothing else reports that.
                if await self.get() != before:
                    await self._on_change(await self.get())
                raise

    async def keep_media_read(self) -> None:
        """Read what changed on the card ahead of orders, until cancelled.

        Reading 50,000 titles for the first time takes seconds on a small machine.
        """
        wait = MEDIA_FIRST_SECONDS
        while True:
            await asyncio.sleep(wait)
            wait = MEDIA_SECONDS
            try:
                await asyncio.to_thread(self._library.refresh)
            except ResourceError as error:
                _log.info("%s", error)  # whoever orders a title is told

    async def position(self) -> float | None:
        """Return the seconds played of the current track, None without one."""
        return await self._player.position()

    async def prove_sound(self, volume: int) -> SoundProof:
        """Play a chime at ``volume`` percent through the story player; requests wait meanwhile.

        A story that is playing is not interrupted; its position is checked instead.
        """
        async with self._lock:
            if self._queue.current is not None:
                return check_position(self._player.output, await self.position())
            return await play_chime(self._player, volume)

    async def close(self) -> None:
        """Stop playing and close the player."""
        if self._advance is not None:
            self._advance.cancel()
        await self._player.close()
        # Another thread may be reading a slow card.
        await asyncio.to_thread(self._library.close)

    async def _carry_out(self, command: Command) -> None:
        if command is Command.STOP:
            self._queue = Queue()
            await self._player.stop()
            return
        if self._queue.current is None:
            raise RefusedError(f"play: nothing is playing, so there is no {command.value[1]}")
        if command in (Command.NEXT, Command.PREVIOUS):
            step = 1 if command is Command.NEXT else -1
            moved = self._queue.move(step)
            if moved is None:
                raise RefusedError(f"play: there is no {command.value[1]} track")
            await self._start_near(moved, step)
        else:
            await self._player.pause(paused=command is Command.PAUSE)

    async def _start_near(self, queue: Queue, step: int) -> None:
        """Start the current track, or the first one in steps of ``step`` that can be played.

        Raises:
            RefusedError: there is none within SKIP_LIMIT tracks; with ``step`` 0 only one is tried.
        """
        near = queue
        while True:
            try:
                await self._start(near)
            except RefusedError as error:
                self._skip(near, error)
                moved = near.move(step) if step and len(self._skipped) < SKIP_LIMIT else None
                if moved is None:
                    raise self._none_plays(error) from error
                near = moved
            else:
                return

    def _skip(self, queue: Queue, error: ResourceError) -> None:
        title = queue.current.title if queue.current else ""
        _log.warning("play: %s is skipped: %s", title, error)
        self._skipped = [*self._skipped, f"{title}: {error}"][-SKIP_LIMIT:]

    def _none_plays(self, last: RefusedError) -> RefusedError:
        tried = len(self._skipped)
        if tried < 2:
            return last
        shown = "; ".join(self._skipped[:SKIPS_SHOWN]) + ("; …" if tried > SKIPS_SHOWN else "")
        return RefusedError(f"play: none of {tried} titles can be played: {shown}")

    async def _start(self, queue: Queue) -> None:
        track = queue.current
        if track is None:
            raise RefusedError("play: an empty folder")
        if track.is_file:  # before the previous track ends
            await asyncio.to_thread(check_sound, track.source)
        self._queue = Queue()  # the previous track ends here, even if the new one fails
        self._loading = True
        try:
            await self._player.play(track.source, lambda reason: self._on_end(queue, reason))
        finally:
            self._loading = False
        self._queue = queue

    def _on_end(self, ended: Queue, reason: str | None) -> None:
        if reason:
            _log.warning("play: %s broke off: %s", ended.current, reason)
        self._advance = asyncio.create_task(self._go_on(ended))

    async def _go_on(self, ended: Queue) -> None:
        """Start the track after the one that ended; tracks that cannot be played are skipped."""
        passed: Queue | None = ended
        while passed is not None:
            # Released between tries, so that a folder of broken files does not block a request.
            async with self._lock:
                # A request that came in between has already changed the queue; it takes precedence.
                if self._queue is not passed:
                    return
                passed = await self._try_next(passed)
        await self._on_change(await self.get())

    async def _try_next(self, queue: Queue) -> Queue | None:
        """Start the next track or end the queue; return the queue at a track to be skipped."""
        moved = queue.move(1)
        if moved is None:
            self._queue = Queue()
            return None
        try:
            await self._start(moved)
        except ResourceError as error:
            self._skip(moved, error)
            self._queue = moved
            return moved
        return None
