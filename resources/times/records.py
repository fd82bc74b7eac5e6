"""What of timer, rules and the day's minutes is written when, and by whom: one writer, never in the way of a fade."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections.abc import Callable
from dataclasses import replace

from base.threads import in_thread
from resources.times.day_book import DayBook
from resources.times.evening import Evening, Stage
from resources.times.rules import Kept
from resources.times.rules_clock import RulesClock
from resources.times.store import AHEAD_SECONDS, TimesStore

# Seconds between two notes of the time while nothing plays.
NOTE_SECONDS = 3600.0

_log = logging.getLogger(__name__)


class Records:
    """Writes what changed; a disk that refuses is logged once, and tried again each half minute."""

    def __init__(
        self,
        store: TimesStore,
        evening: Evening,
        clock: RulesClock,
        book: DayBook,
        ticks: Callable[[], float],
    ) -> None:
        """Write to ``store``; ``ticks``: seconds since the machine's start."""
        self._store = store
        self._evening = evening
        self._clock = clock
        self._book = book
        self._ticks = ticks
        self._wanted = asyncio.Event()
        self._lock = asyncio.Lock()  # a file that is replaced has one writer
        # What is on the disk, None while that is not known.
        self._kept: Kept | None = evening.rules.kept
        self._timer: dict[str, object] | None = evening.timer.to_json()
        self._fault: str | None = None
        self._failed_at = -math.inf
        self._sounded, self._refused, self._noted = False, False, -math.inf
        self._ahead = False

    def want(self) -> None:
        """Have what changed written soon."""
        self._wanted.set()

    def note(self, stage: Stage) -> None:
        """Have the day's minutes and the time written if that is due; the rules were ticked just now.

        That is when a story begins or ends to sound, each half minute of it, and when quiet hours begin:
        after a start without the time they go on from there.
        """
        rules = self._evening.rules
        if self._fault is not None and self._ticks() - self._failed_at >= AHEAD_SECONDS:
            self._wanted.set()
        if not rules.any:
            return
        now, sounds, refuses = self._ticks(), stage is Stage.SOUNDING, rules.refused()
        every = AHEAD_SECONDS if sounds else NOTE_SECONDS
        changed = (sounds, refuses) != (self._sounded, self._refused)
        if changed or now - self._noted >= every:
            self._sounded, self._refused, self._noted = sounds, refuses, now
            self._ahead = sounds and rules.measured
            self._wanted.set()

    async def save_rules(self) -> None:
        """Write the rules now; raises OSError."""
        async with self._lock:
            await self._write_rules()
        self._noted = -math.inf

    async def save_timer(self) -> None:
        """Write the sleep timer now; raises OSError."""
        async with self._lock:
            await self._write_timer()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wanted.wait()
            await self.write()

    async def write(self) -> None:
        """Write what is wanted."""
        if self._wanted.is_set():
            self._wanted.clear()
            await self._write(AHEAD_SECONDS if self._ahead else 0.0)

    async def close(self) -> None:
        """Write what is: nothing plays any more."""
        await self._write(0.0)

    async def _write(self, ahead: float) -> None:
        try:
            async with self._lock:
                await self._write_changes(ahead)
        except OSError as error:
            if self._fault != str(error):
                _log.error("sleep timer and rules are not stored: %s", error)
            self._fault, self._failed_at = str(error), self._ticks()
        else:
            self._fault = None

    async def _write_changes(self, ahead: float) -> None:
        if self._evening.timer.to_json() != self._timer:
            await self._write_timer()
        if self._evening.rules.kept != self._kept:
            await self._write_rules()
        if self._evening.rules.any:
            await self._write_played(ahead)

    async def _write_timer(self) -> None:
        timer = self._evening.timer.to_json()
        self._timer = None  # until it is known what is on the disk
        await in_thread(self._store.save_timer, timer)
        self._timer = timer

    async def _write_rules(self) -> None:
        kept = self._evening.rules.kept
        self._kept = None  # until it is known what is on the disk
        await in_thread(self._store.save_rules, kept)
        self._kept = kept

    async def _write_played(self, ahead: float) -> None:
        played, unsure = self._book.played(), 0.0 if self._clock.sure else ahead
        written = replace(played, seconds=played.seconds + ahead, unsure=played.unsure + unsure)
        seen, dated = self._clock.note(), self._clock.dated
        await in_thread(functools.partial(self._store.save_played, written, seen, dated=dated))
