"""Keeps the machine's ledger of the child's voice on its disk, and has the cloud erase what a parent erases.

It works without the cloud: what is ordered then waits on the disk, is shown as waiting, and is done when the cloud is
there. Nothing of it is read or imported before the first use; `agent.family` is what the agent holds of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

from agent.link import Link, LinkError, ReportRejectedError
from agent.voice.ledger_book import Book, Entry, dump_book, parse_book, spoken_of
from base.backoff import Backoff
from base.files import read_record, write_atomically
from base.threads import in_thread
from wire.abilities import VOICE_ERASE
from wire.errors import WireError
from wire.family import ERASE_LIMIT, erase_report

FILE_NAME = "voice_ledger.json"
FILE_MAX = 1024 * 1024
# Seconds after a try that failed; a cloud whose store is full is asked rarely.
RETRY_FIRST, RETRY_MAX = 2.0, 300.0

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Ledger:
    """The ledger of one machine."""

    def __init__(self, state: Path, now: Callable[[], float]) -> None:
        """Keep it in ``state``; ``now`` gives Unix time, which is a lower bound while nobody knows it."""
        self._path = state / FILE_NAME
        self._now = now
        self._book: Book | None = None
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self.fault: str | None = None
        """Why the file does not take it, None if it does; the book is then in memory."""

    async def add(self, entry: Entry) -> None:
        """Enter one time that the microphone was open; its number is given here."""
        await self._change(lambda book: book.add(entry))

    async def note_days(self, days: int) -> None:
        """Note for how many days the cloud keeps voice; 0: until it is erased."""

        def note(book: Book) -> None:
            book.days = days

        book = await self._opened()
        if book.days != days:
            await self._change(note)

    async def forget(self, until: float) -> None:
        """Drop what is of a family that has gone, up to a time (Unix seconds)."""
        now = self._now()
        await self._change(lambda book: book.forget(until, now))

    async def erase(self, numbers: Collection[int] | None) -> tuple[int, set[int]]:
        """Order voice to be erased, all with None.

        Returns:
            How many entries that concerns, and the numbers that no entry has: then nothing is ordered.
        """
        now = int(self._now())

        def order(book: Book) -> tuple[int, set[int]]:
            missing = book.missing(numbers or ())
            return (0 if missing else book.erase(numbers, now)), missing

        found = await self._change(order)
        self._wanted.set()
        return found

    async def shown(self) -> Mapping[str, object]:
        """Return what page and command show."""
        return {**(await self._opened()).shown(), "fault": self.fault}

    async def run(self, link: Link) -> None:
        """Have the cloud erase what waits, until cancelled."""
        await link.registered.wait()  # a start need not read the file
        backoff = Backoff(RETRY_MAX, first=RETRY_FIRST)
        while True:
            self._wanted.clear()
            if not (await self._opened()).waiting():
                await self._wanted.wait()
                continue
            await link.registered.wait()
            if await self._erase_there(link):
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next())

    async def _erase_there(self, link: Link) -> bool:
        """Ask the cloud once; return whether it has erased what was asked."""
        if VOICE_ERASE not in link.cloud_abilities:
            return (
                False  # another cloud, or the link has just gone: it stays waiting, and is shown so
            )
        entries = (await self._opened()).waiting()[:ERASE_LIMIT]
        try:
            await link.report(erase_report(spoken_of(entries)))
        except (LinkError, ReportRejectedError) as error:
            _log.info("voice: the cloud has not erased it yet: %s", error)
            return False
        numbers, now = {entry.number for entry in entries}, int(self._now())
        await self._change(lambda book: book.note_erased(numbers, now))
        return True

    async def _opened(self) -> Book:
        if self._book is None:
            async with self._lock:
                await self._read()
        assert self._book is not None  # noqa: S101  # for mypy: `_read` has made it
        return self._book

    async def _change(self, change: Callable[[Book], _T]) -> _T:
        """Change the book, and put it onto the disk; one that takes nothing leaves it in memory."""
        async with self._lock:
            book = await self._read()
            result = change(book)
            try:
                await in_thread(write_atomically, self._path, dump_book(book), mode=0o600)
            except OSError as error:
                self._note_fault(f"{self._path}: {error.strerror}")
            else:
                self.fault = None
            return result

    async def _read(self) -> Book:
        if self._book is None:
            self._book = await asyncio.to_thread(self._load)
        return self._book

    def _load(self) -> Book:
        try:
            return parse_book(read_record(self._path, FILE_MAX))
        except FileNotFoundError:
            return Book()
        except (OSError, WireError) as error:
            _log.warning("voice: the ledger begins anew: %s", error)
            return Book()

    def _note_fault(self, fault: str) -> None:
        if self.fault != fault:
            _log.error("voice: the ledger is not kept: %s", fault)
        self.fault = fault
