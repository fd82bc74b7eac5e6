"""What the machine remembers of titles: how far each was heard, and whether it goes on there.

What is noted counts at once, and is on the disk a moment later: nobody who gives an order waits for a
slow card. A machine whose disk fails plays on and remembers until it is switched off.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from base.threads import in_thread
from machine.errors import RefusedError, UnavailableError
from resources.playing.beat_file import Beat
from resources.playing.policies import around, policy_in_file
from resources.playing.position_store import PositionStore
from resources.playing.queue import PlayMode, Queue, Track
from resources.playing.resume import Choice, Heard, Policy, go_on_in, last_in, policy_of, start_at

# Titles and folders whose policy a family has set.
POLICIES_LIMIT = 1_000
# Titles that are kept in memory while the disk fails.
UNWRITTEN_LIMIT = 500
# Seconds before the disk is tried again.
RETRY_SECONDS = 60.0

_MODE, _LAST, _POLICY = "mode", "last", "policy:"
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Positions:
    """Notes how far titles are heard, and says where they begin."""

    def __init__(
        self,
        folder: Path | None = None,
        choice: Choice = Choice.AUTO,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep files in ``folder``; opens nothing yet.

        Args:
            folder: the state folder; None remembers nothing beyond the end of the process.
            choice: the setting ``play.resume``.
            clock: seconds since 1970, for people to read; nothing is decided by it.
        """
        self._store = PositionStore(folder) if folder is not None else None
        self._choice = choice
        self._clock = clock
        self._turn = 0
        self._rows: dict[str, Heard] = {}
        self._notes: dict[str, str] = {}
        self._unwritten: dict[str, str | None] = {}
        self._opening: asyncio.Task[None] | None = None
        self._opened = False
        self._fault = ""  # why the disk fails
        self._disk, self._keeping = asyncio.Lock(), asyncio.Lock()
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Open the files at the first use; without them nothing is remembered from before."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        await asyncio.shield(self._opening)

    @property
    def mode(self) -> PlayMode:
        """The mode of playing that was set last."""
        value = self._notes.get(_MODE)
        return PlayMode(value) if value in set(PlayMode) else PlayMode.ORDER

    @mode.setter
    def mode(self, mode: PlayMode) -> None:
        self._set_note(_MODE, mode.value)

    async def keep_mode(self, mode: PlayMode) -> None:
        """Set the mode; raises UnavailableError if it cannot be stored, and then it is as before."""
        await self._keep(_MODE, mode.value, "play_mode")

    @property
    def last(self) -> str | tuple[str, ...]:
        """What was ordered last: a name, or a list of names; () if nothing was."""
        try:
            names = json.loads(self._notes.get(_LAST, "[]"))
        except (ValueError, RecursionError):
            return ()
        if isinstance(names, str):
            return names
        return tuple(map(str, names)) if isinstance(names, list) else ()

    @last.setter
    def last(self, names: str | tuple[str, ...]) -> None:
        if names != self.last:
            self._set_note(_LAST, json.dumps(names, ensure_ascii=False))

    async def start_of(self, track: Track) -> float:
        """Return the second at which a title begins."""
        heard = await self._heard(track.key)
        if heard is None or heard.finished:
            return 0.0
        return start_at(await self._policy(track, heard), heard)

    async def left_at(self, track: Track) -> float:
        """Return the second at which a title was left, a little earlier, whatever its policy."""
        return start_at(Policy.STORY, await self._heard(track.key))

    async def last_of(self, queue: Queue, *, again: bool) -> Queue:
        """Return the last order's queue at the title that was heard last; ``again``: not at the next."""
        if len(queue) < 2:
            return queue
        latest = await self._latest()
        return await asyncio.to_thread(lambda: last_in(queue, latest, again=again))

    async def arrange(self, queue: Queue) -> Queue:
        """Return the queue of a whole folder or list at the story that it was left at."""
        if not queue.whole or len(queue) < 2:
            return queue
        latest = await self._latest()
        if not latest:
            return queue

        def policy(track: Track, heard: Heard) -> Policy:
            said = self._said(track.key) or policy_in_file(track)
            return policy_of(said, self._choice, heard)

        return await asyncio.to_thread(go_on_in, queue, latest, policy)

    def note(self, track: Track, at: float, length: float | None, *, finished: bool) -> None:
        """Note that ``track`` was heard up to ``at`` seconds, or to its end."""
        if track.key:
            place = 0.0 if finished else at
            self._turn += 1
            self._rows.pop(track.key, None)
            self._rows[track.key] = Heard(place, length, finished, self._turn, self._clock())
            self._wake.set()

    async def beat(self, track: Track, at: float, length: float | None) -> None:
        """Write where ``track`` is now, so that a power cut costs no more than what follows."""
        if not track.key:
            return
        await self.load()
        self._turn += 1
        beat = Beat(self._turn, track.key.encode(errors="surrogateescape"), at, length)
        async with self._disk:
            store, written = self._store, None
            if store is not None and self._opened:
                written = await self._try(lambda: store.beat(beat))
        if not written:
            self.note(track, at, length, finished=False)

    async def forget(self, keys: Iterable[str] | None) -> None:
        """Forget titles, None: all; raises UnavailableError if the disk fails."""
        await self.load()
        forgotten = list(self._rows if keys is None else keys)
        popped = {key: self._rows.pop(key) for key in forgotten if key in self._rows}
        store = self._store
        if store is not None:
            async with self._disk:
                try:
                    await in_thread(store.forget, None if keys is None else forgotten)
                except (sqlite3.Error, OSError) as error:
                    self._rows = popped | self._rows
                    raise UnavailableError(f"play: nothing can be forgotten: {error}") from error

    async def set_policy(self, key: str, policy: Policy | None) -> None:
        """Set the policy of a title, or of a folder, whose key ends with a slash.

        Raises:
            RefusedError: there are too many.
            UnavailableError: it cannot be stored, and is as before.
        """
        name = _POLICY + key
        known = sum(note.startswith(_POLICY) for note in self._notes)
        if policy is not None and name not in self._notes and known >= POLICIES_LIMIT:
            raise RefusedError(f"play.resume: expected at most {POLICIES_LIMIT} titles and folders")
        await self._keep(name, None if policy is None else policy.value, "play.resume")

    async def run(self) -> None:
        """Write what is noted, until cancelled; a file that could not be opened is tried again."""
        await self.load()
        if not self._opened:
            self._wake.set()
        while True:
            await self._wake.wait()
            if not await self.flush():
                await asyncio.sleep(RETRY_SECONDS)

    async def flush(self) -> bool:
        """Write what is noted now; False if the disk fails."""
        await self.load()
        await self._open()  # if that failed before
        self._wake.clear()
        rows, notes, store = dict(self._rows), dict(self._unwritten), self._store
        if store is None or (self._opened and not (rows or notes)):
            self._drop_oldest()
            return True
        async with self._disk:
            written = self._opened and await self._try(lambda: store.write(rows, notes))
        if not written:
            self._wake.set()
            self._drop_oldest()
            return False
        for key, heard in rows.items():
            if self._rows.get(key) == heard:
                del self._rows[key]
        for name, value in notes.items():
            if name in self._unwritten and self._unwritten[name] == value:
                del self._unwritten[name]
        return True

    async def close(self) -> None:
        """Write what is noted and close the files."""
        if self._rows or self._unwritten:
            await self.flush()
        async with self._disk:
            if self._store is not None and self._opened:
                self._opened = False
                await self._try(self._store.close)

    async def _open(self) -> None:
        """Open the files; what was noted before that is the latest."""
        async with self._disk:
            store = self._store
            if store is None or self._opened or (turn := await self._try(store.open)) is None:
                return
            notes = await self._try(store.notes)
            self._opened = True
            self._turn += turn
            self._rows = {
                key: Heard(h.at, h.length, h.finished, h.turn + turn, h.when)
                for key, h in self._rows.items()
            }
            self._notes = (notes or {}) | self._notes
            self._take_up(store.unnoted)

    def _take_up(self, beat: Beat | None) -> None:
        """Keep a place that the disk has no room for: `flush` writes it."""
        if beat is not None and (key := os.fsdecode(beat.key)) not in self._rows:
            self._rows[key] = Heard(beat.at, beat.length, turn=beat.turn)
            self._wake.set()

    async def _keep(self, name: str, value: str | None, what: str) -> None:
        """Set a note that an order waits for; one that comes meanwhile waits, or this one's failure would take it back."""
        async with self._keeping:
            before, stored = self._notes.get(name), False
            self._set_note(name, value)
            try:
                stored = await self.flush()
            finally:  # also if the order is given up meanwhile
                if not stored:
                    self._set_note(name, before)
        if not stored:
            raise UnavailableError(f"{what}: not stored: the disk does not take it: {self._fault}")

    def _set_note(self, name: str, value: str | None) -> None:
        if value is None:
            self._notes.pop(name, None)
        else:
            self._notes[name] = value
        self._unwritten[name] = value
        self._wake.set()

    async def _heard(self, key: str) -> Heard | None:
        if not key:
            return None
        await self.load()
        found, store = self._rows.get(key), self._store
        if found is None and store is not None and self._opened:
            async with self._disk:
                found = self._rows.get(key) or await self._try(lambda: store.heard(key), reads=True)
        return found

    async def _latest(self) -> list[tuple[str, Heard]]:
        await self.load()
        rows, store = dict(self._rows), self._store
        if store is not None and self._opened:
            async with self._disk:
                rows = dict(await self._try(store.latest, reads=True) or []) | rows
        return sorted(rows.items(), key=lambda row: -row[1].turn)

    async def _policy(self, track: Track, heard: Heard) -> Policy:
        said = self._said(track.key)
        if said is None and track.is_file:
            said = await asyncio.to_thread(policy_in_file, track)
        return policy_of(said, self._choice, heard)

    def _said(self, key: str) -> Policy | None:
        """Return the policy that was set for a title, or for the nearest folder around it."""
        value = next((v for k in around(key) if (v := self._notes.get(_POLICY + k))), None)
        return Policy(value) if value in set(Policy) else None

    async def _try(self, work: Callable[[], T], *, reads: bool = False) -> T | None:
        """Return the result of ``work`` on the disk, None after an error, which is logged.

        An order that is broken off waits for the end of what it writes: the next one must not write beside it. What it
        only ``reads`` is left behind: no order for a story waits for a card that hangs beyond its deadline.
        """
        try:
            result = await (asyncio.to_thread(work) if reads else in_thread(work))
        except (sqlite3.Error, OSError) as error:
            level = logging.DEBUG if self._fault else logging.WARNING
            _log.log(level, "play: what is heard is not remembered on the disk: %s", error)
            self._fault = str(error)
            return None
        self._fault = ""
        return result

    def _drop_oldest(self) -> None:
        while len(self._rows) > UNWRITTEN_LIMIT:
            del self._rows[next(iter(self._rows))]
