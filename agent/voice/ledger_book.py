"""The machine's ledger of what its microphone was opened for, as a book in memory: pure, bounded, and kept as JSON.

It has no sound and no words: why the microphone was opened, how long, how much was sent, where to, and what has become of
it there. `agent.voice.ledger` keeps the book on the disk.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from enum import StrEnum

from wire.errors import WireError
from wire.family import Spoken
from wire.fields import get_int, get_string, is_object, parse_object
from wire.records import dataclass

# Two months of a child that speaks to it five times a day; 60 KB.
ENTRIES_MAX = 300
DAY_SECONDS = 86_400
# Seconds of one entry; more is damage.
_SECONDS_MAX = 1e9
# What is used of an utterance that the cloud never had.
NOWHERE = ""


class Erased(StrEnum):
    """Whether an utterance's voice is erased."""

    NO = "no"
    WAITING = "waiting"
    """Ordered; the cloud has not confirmed it yet."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Entry:
    """One time that the microphone was open, or that a sound was sent from a file.

    Attributes:
        number: of the entry.
        at: when it began, Unix seconds.
        why: `wire.family.Why`.
        open: seconds for which the microphone was open.
        seconds: seconds of speech that were sent.
        bytes: of speech that were sent.
        utterance: its number in the segments; None: nothing was sent.
        end: how it ended (`agent.voice.listener.End`).
        to: the cloud's host and port; "": nobody has it.
        erased: whether that was erased.
        erased_at: when, Unix seconds; None: not yet.
    """

    number: int
    at: int
    why: str
    open: float = 0.0
    seconds: float = 0.0
    bytes: int = 0
    utterance: int | None = None
    end: str = ""
    to: str = NOWHERE
    erased: str = Erased.NO
    erased_at: int | None = None


class Book:
    """The entries, oldest first."""

    def __init__(
        self, entries: Sequence[Entry] = (), next_number: int = 1, days: int | None = None
    ) -> None:
        """Begin with entries of before; ``days``: how long the cloud keeps voice, None: it has not said."""
        self.entries = list(entries)
        self.next_number = next_number
        self.days = days

    def add(self, entry: Entry) -> Entry:
        """Add an entry, with the next number; the oldest goes where there are too many."""
        added = replace(entry, number=self.next_number)
        self.next_number += 1
        self.entries.append(added)
        while len(self.entries) > ENTRIES_MAX:
            # What the cloud is still to erase is not forgotten before that.
            free = (e for e in self.entries[:-1] if e.erased != Erased.WAITING)
            self.entries.remove(next(free, self.entries[0]))
        return added

    def erase(self, numbers: Collection[int] | None, now: int) -> int:
        """Order voice to be erased, all with None; return how many entries that concerns.

        What nobody has is erased at once.
        """
        count = 0
        for place, entry in enumerate(self.entries):
            if entry.erased != Erased.NO or (numbers is not None and entry.number not in numbers):
                continue
            count += 1
            is_there = entry.to != NOWHERE
            erased = Erased.WAITING if is_there else Erased.DONE
            at = None if is_there else now
            self.entries[place] = replace(entry, erased=erased, erased_at=at)
        return count

    def missing(self, numbers: Collection[int]) -> set[int]:
        """Return those of the numbers that no entry has."""
        return set(numbers) - {entry.number for entry in self.entries}

    def waiting(self) -> list[Entry]:
        """Return the entries whose voice the cloud is still to erase."""
        return [entry for entry in self.entries if entry.erased == Erased.WAITING]

    def note_erased(self, numbers: Collection[int], now: int) -> None:
        """Note that the cloud has erased the voice of these entries."""
        for place, entry in enumerate(self.entries):
            if entry.number in numbers and entry.erased == Erased.WAITING:
                self.entries[place] = replace(entry, erased=Erased.DONE, erased_at=now)

    def forget(self, until: float, now: float) -> None:
        """Drop the entries up to a time (Unix seconds): they are of a family that has gone.

        So are those of a time that is still to come: the clock was ahead then, and has been set since.
        """
        end = now + DAY_SECONDS
        self.entries = [entry for entry in self.entries if until < entry.at <= end]

    def to_json(self) -> dict[str, object]:
        """Render for the file."""
        listed = [asdict(entry) for entry in self.entries]
        return {"next": self.next_number, "days": self.days, "entries": listed}

    def shown(self) -> dict[str, object]:
        """Render for page and command, newest first; ``deleted_at``: when the cloud deletes it by itself."""
        shown = [asdict(entry) | {"deleted_at": self._deleted_at(entry)} for entry in self.entries]
        return {"days": self.days, "entries": shown[::-1]}

    def _deleted_at(self, entry: Entry) -> int | None:
        if entry.to == NOWHERE or entry.erased == Erased.DONE or not self.days:
            return None
        return entry.at + self.days * DAY_SECONDS


def spoken_of(entries: Sequence[Entry]) -> list[Spoken]:
    """Return the utterances of entries as the cloud is asked to erase them."""
    return [Spoken(e.utterance, e.at * 1000) for e in entries if e.utterance is not None]


def parse_book(data: bytes) -> Book:
    """Read a book; an entry that is damaged is left out. Raises WireError if it is no book."""
    source = parse_object(data, "voice ledger")
    listed, days = source.get("entries"), source.get("days")
    if not isinstance(listed, list):
        raise WireError("voice ledger: entries: expected a list")
    entries = [entry for entry in map(_entry, listed[-ENTRIES_MAX:]) if entry is not None]
    last = max((entry.number for entry in entries), default=0)
    kept = days if isinstance(days, int) and not isinstance(days, bool) else None
    return Book(entries, max(get_int(source, "next"), last + 1), kept)


def _entry(value: object) -> Entry | None:
    if not is_object(value):
        return None
    try:
        return Entry(
            number=get_int(value, "number"), at=get_int(value, "at"), why=get_string(value, "why"),
            open=_seconds(value, "open"), seconds=_seconds(value, "seconds"),
            bytes=get_int(value, "bytes"), utterance=_maybe(value, "utterance"),
            end=get_string(value, "end", empty=True), to=get_string(value, "to", empty=True),
            erased=Erased(get_string(value, "erased")), erased_at=_maybe(value, "erased_at"),
        )  # fmt: skip
    except (WireError, ValueError):
        return None


def _maybe(source: Mapping[str, object], name: str) -> int | None:
    return None if source.get(name) is None else get_int(source, name)


def _seconds(source: Mapping[str, object], name: str) -> float:
    value = source.get(name)
    # A number of hundreds of digits, which damage has made, is no float.
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value < _SECONDS_MAX
    ):
        raise WireError(f"{name}: expected seconds")
    return float(value)


def dump_book(book: Book) -> bytes:
    """Render the file."""
    return json.dumps(book.to_json(), ensure_ascii=False).encode()
