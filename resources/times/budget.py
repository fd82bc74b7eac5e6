"""How long the microphone is open each day, and in which hours it stays closed: parents' rules for listening.

They are judged as those for playing: by the same clock, which never goes back, and by the seconds of the
microphone on the monotonic clock. What a session may last is on the disk when it begins, so a battery that
is pulled meanwhile gains nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from base.clock import TrustedTime
from base.threads import in_thread
from machine.errors import UnavailableError
from resources.times.build import Clocks, real_clocks
from resources.times.day_book import DayBook
from resources.times.rules import Kept, ParentsRules
from resources.times.rules_clock import RulesClock
from resources.times.store import TimesStore
from wire.rules import LISTENING, Rules

PREFIX = "listening_"
# Seconds that are written ahead: the longest session, of `agent.voice.states`.
AHEAD_SECONDS = 35.0
# Seconds between two notes of the time, and until a disk that refused is tried again.
NOTE_SECONDS, RETRY_SECONDS = 3600.0, 30.0
UNREADABLE = f"{LISTENING}: the parents' rules cannot be read, so the microphone stays closed: set them again, or off"

_log = logging.getLogger(__name__)


class ListeningBudget:
    """Refuses, counts and stores; `run` it."""

    def __init__(
        self,
        rules: ParentsRules,
        clock: RulesClock,
        book: DayBook,
        store: TimesStore,
        ticks: Callable[[], float],
    ) -> None:
        """Judge by ``rules``, and store them and what ``book`` counts in ``store``.

        Args:
            rules: decide.
            clock: their clock.
            book: counts the seconds of the open microphone.
            store: keeps them.
            ticks: seconds since the machine's start.
        """
        self._rules = rules
        self._clock = clock
        self._book = book
        self._store = store
        self._ticks = ticks
        self._open_since: float | None = None
        self._holders = 0
        self._wanted = asyncio.Event()
        self._ordering = asyncio.Lock()
        self._writing = asyncio.Lock()  # a file that is replaced has one writer
        self._fault: str | None = None
        # What is on the disk, None while that is not known.
        self._stored: Kept | None = rules.kept

    @property
    def rules(self) -> Rules:
        """What is in force; raises UnavailableError if what was stored cannot be read: "off" would be untrue."""
        if self._rules.kept.damaged:
            raise UnavailableError(UNREADABLE)
        return self._rules.rules

    async def order(self, rules: Rules) -> None:
        """Set the rules; they are in force when they are on disk.

        Raises:
            FieldError: a bonus without a daily measure.
            UnavailableError: they cannot be stored, and the old ones remain.
        """
        async with self._ordering:
            before = self._rules.kept
            self._rules.order(rules)
            try:
                await self._save_rules()
            except BaseException as error:
                self._rules.kept = before  # what was told to have failed is not in force later
                self._wanted.set()
                if isinstance(error, OSError):
                    reason = f"{LISTENING}: not stored: {error.strerror}"
                    raise UnavailableError(reason) from error
                raise
        self._wanted.set()

    async def _save_rules(self) -> None:
        async with self._writing:
            await self._write_rules()

    async def _write_rules(self) -> None:
        kept = self._rules.kept
        if kept != self._stored:
            self._stored = None
            await in_thread(self._store.save_rules, kept)
            self._stored = kept

    # The gate.

    def refusal(self) -> str | None:
        """Return why the microphone must stay closed now, None if it may be opened.

        Rules that cannot be read may have closed it, so it is: an open microphone is what they were there to prevent.
        """
        self._account()
        return UNREADABLE if self._rules.kept.damaged else self._rules.refusal()

    def opened(self) -> None:
        """Count from now; two that listen at once count once."""
        self._holders += 1
        if self._open_since is None:
            self._open_since = self._ticks()
            self._wanted.set()

    def closed(self) -> None:
        """Count until now."""
        self._account()
        self._holders = max(0, self._holders - 1)
        if not self._holders:
            self._open_since = None
        self._wanted.set()

    def _account(self) -> None:
        if self._open_since is None:
            self._rules.tick(0.0)
            return
        now = self._ticks()
        self._rules.tick(now - self._open_since)
        self._open_since = now

    def status(self) -> dict[str, object]:
        """Return what a parent may want to know: minutes listened and left, and why it does not listen."""
        self._account()
        told = self._rules.status()
        told["listenedMinutes"] = told.pop("playedMinutes")
        return {**told, "refusal": self.refusal(), "notStored": self._fault}

    # What survives a start.

    async def run(self) -> None:
        """Store what is counted until cancelled."""
        while True:
            await self._write()
            wait = RETRY_SECONDS if self._fault else NOTE_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wanted.wait()
            self._wanted.clear()

    async def close(self) -> None:
        """Store what was counted: nothing is heard any more."""
        self._account()
        self._open_since, self._holders = None, 0
        await self._write()

    async def _write(self) -> None:
        """Store all; a disk that refuses is logged once, and tried again."""
        try:
            async with self._writing:
                await self._write_rules()
                if self._rules.any:
                    await self._write_counted()
        except OSError as error:
            if self._fault is None:
                _log.error("the minutes of listening are not stored: %s", error)
            self._fault = error.strerror or str(error)
        else:
            self._fault = None

    async def _write_counted(self) -> None:
        self._account()
        ahead = 0.0 if self._open_since is None else AHEAD_SECONDS
        counted = self._book.played()
        unsure = counted.unsure + (0.0 if self._clock.sure else ahead)
        written = replace(counted, seconds=counted.seconds + ahead, unsure=unsure)
        seen, dated = self._clock.note(), self._clock.dated
        await in_thread(functools.partial(self._store.save_played, written, seen, dated=dated))


def build_budget(
    trusted: TrustedTime, state: Path, clocks: Clocks | None = None
) -> ListeningBudget:
    """Return the budget that the state folder ``state`` has; ``clocks``: None: the machine's."""
    clocks = clocks or real_clocks(trusted)
    ticks, store = clocks.ticks, TimesStore(state, PREFIX)
    counted, seen, dated = store.load_played() or (None, None, False)
    clock = RulesClock(trusted, ticks, clocks.boot, clocks.local, clocks.known, seen, dated=dated)
    book = DayBook(clock, ticks, counted)
    rules = ParentsRules(clock, book, ticks, store.load_rules(), LISTENING)
    return ListeningBudget(rules, clock, book, store, ticks)
