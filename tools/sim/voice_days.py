"""The child's voice in a simulated world's cloud: kept for its days, heard again by the parents, and erased (docs/family.md).

The real eraser runs, with days of a minute or two. What the store and its files have is compared with what was said, what was
ordered to be erased, and what is too old: nothing else may be gone, and nothing of that may be there.
"""

from __future__ import annotations

import contextlib
import contextvars
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

import staging.api.family
from staging import erasing
from staging.erasing import Eraser
from staging.errors import StoreBusyError
from staging.recognition.outcomes import FILE_NAME, VOICE, Outcome, OutcomeLog
from staging.store import Database, family, voice_keys
from staging.store.key_file import FILE_NAME as KEYS
from staging.store.models import Device, Erasure, Report
from staging.times import now_ms
from tools.sim.scenario import DAY_HOURS
from wire.reports import KEYS_VOICE

if TYPE_CHECKING:
    from staging.gateway.gateway import Gateway

USUAL = (erasing.DAY_MS, erasing.AGE_SECONDS, erasing.LOOK_SECONDS)
# How many times as long days and looks are in a whole day, and the seconds between two looks for orders there.
DAY_TIMES, DAY_LOOK_SECONDS = 60, 30.0
# Of one utterance: its number comes again after 100,000 others.
NEAR_MS = 600_000
# As docs/family.md has it: what is ordered is deleted within a minute; a start takes some seconds.
MINUTE_MS, START_MS = 60_000, 15_000
# How many of the latest keys and sounds are looked for in files, and bytes of a sound that are.
MARKS, SOUND_BYTES = 60, 48


@dataclass(frozen=True, slots=True)
class VoiceTerms:
    """For how many days voice is kept, each of so many ms; the seconds between two looks for what is too old, and for orders."""

    days: int
    day_ms: int
    seconds: float
    look: float = USUAL[2]

    @classmethod
    def of(cls, seed: int, hours: float) -> VoiceTerms:
        """Return a seed's; in a whole day of the simulation they are some hours long, and all is looked for more rarely."""
        rng = random.Random(f"voice days {seed}")  # noqa: S311  # a simulation
        days, day, seconds = (
            rng.randint(1, 2),
            rng.randint(40_000, 150_000),
            rng.uniform(10.0, 40.0),
        )
        if hours < DAY_HOURS:
            return cls(days, day, seconds)
        return cls(days, DAY_TIMES * day, DAY_TIMES * seconds, DAY_LOOK_SECONDS)

    @property
    def keep_ms(self) -> int:
        """How long voice is kept."""
        return self.days * self.day_ms


def set_voice_terms(terms: VoiceTerms | None) -> None:
    """Let the product's days of voice be those of ``terms``, for the next world."""
    told = USUAL if terms is None else (terms.day_ms, terms.seconds, terms.look)
    erasing.DAY_MS, erasing.AGE_SECONDS, erasing.LOOK_SECONDS = told
    staging.api.family.DAY_MS = told[0]


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of voice: of which utterance, which piece, and its sound.

    Attributes:
        key: what the store has it sealed with, by which it is looked for in files; b"" where there is no sound.
    """

    utterance: int
    segment: int
    sound: str
    key: bytes = field(default=b"", compare=False)

    @property
    def mark(self) -> bytes:
        """What of its sound is looked for in files; b"" where there is too little."""
        middle = len(self.sound) // 2
        return self.sound[middle : middle + SOUND_BYTES].encode() if middle > SOUND_BYTES else b""


@dataclass(slots=True)
class Said:
    """One utterance as its machine sends it; ``live`` says how many pieces the cloud has acknowledged."""

    began: int
    live: Any
    pieces: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class Order:
    """To erase all voice, or some utterances; times in ms.

    ``spans``: utterances by their numbers and starts, of which nothing that still comes is stored either: those that are to
    be erased, or where all are (``is_all``) those that had begun. ``answered``: when the answer came that nobody sees them
    any more; None: nobody knows whether it was carried out.
    """

    sent: int
    spans: Sequence[tuple[int, int]]
    is_all: bool = False
    answered: int | None = None

    def may_have(self, ts: int, utterance: int) -> bool:
        """Return whether a piece of this time may be gone by it."""
        is_before = self.answered is None or ts <= self.answered
        return self._names(ts, utterance) or (self.is_all and is_before)

    def has(self, ts: int, utterance: int) -> bool:
        """Return whether a piece of this time must be gone by it."""
        is_about = self._names(ts, utterance) or (self.is_all and ts <= self.sent)
        return self.answered is not None and is_about

    def _names(self, ts: int, utterance: int) -> bool:
        return any(
            number == utterance and abs(ts - start) < NEAR_MS for number, start in self.spans
        )


def read(session: Any, uuid: str) -> dict[int, Row]:
    """Return the voice that a store has of a machine, by its times (ms)."""
    wanted = select(Report.ts, Report.value).join(Device, Device.id == Report.device_id)
    wanted = wanted.where(Device.uuid == uuid, Report.key.in_(KEYS_VOICE))
    keys = voice_keys.of(session)
    assert keys is not None  # noqa: S101  # every cloud has them
    with keys._lock:  # noqa: SLF001
        found = dict(keys._file.found("SELECT id, key FROM keys"))  # noqa: SLF001
    rows = {}
    for ts, value in session.execute(wanted):
        sound, mark = keys.opened(value), voice_keys.mark_of(value)
        key = found.get(mark, b"") if mark else b""
        rows[ts] = Row(value["id"], value["segment"], sound.get("voice_data", ""), key)
    return rows


class VoiceWatch:
    """Of one world, over all starts of its cloud.

    Attributes:
        broken: what is gone that was to be kept, or is there that was to go.
    """

    def __init__(
        self, terms: VoiceTerms, uuid: str, count: Callable[[str], None], *, is_answered: bool
    ) -> None:
        """Judge the voice of the machine ``uuid`` by ``terms``; ``count`` counts for the totals; ``is_answered``: the cloud itself acknowledges voice (a broker gives it on unasked)."""
        self.terms, self._uuid, self._count = terms, uuid, count
        self._is_answered = is_answered
        self.damaged: Collection[str] = ()
        """Files of the cloud that ever had another bit: keys, or what was understood, may be gone by it."""
        self.broken: list[str] = []
        self.orders: list[Order] = []
        self.rows: dict[int, Row] = {}
        self._said: list[Said] = []
        self._of_key: dict[bytes, int] = {}
        """Of which utterance each key is."""
        self._times: dict[int, Row] = {}
        """What was ever in the store and is not known to be in no file."""
        self._sentences: dict[bytes, tuple[int, int]] = {}
        """What was understood: when (ms), and of which utterance."""
        self._going: dict[bytes, int] = {}
        """What is in no file any more once the eraser has done all that it knows of: keys, and of which utterance."""
        self._scrubbed: dict[bytes, int] = {}
        """Keys that are in no file any more, and of which utterance."""
        self._troubled_at = 0
        """When the cloud was last away, or its disk was full."""

    # What the machine says.

    def begin(self, live: Any) -> None:
        """Note that an utterance begins, by the true time: the machine's own clock may be a wrong one."""
        self._said.append(Said(contextvars.Context().run(now_ms), live))

    def say(self, live: Any, segment: Any) -> None:
        """Note a piece of one."""
        for said in self._said:
            if said.live is live:
                value = segment.to_json()
                sound = str(value.get("voice_data", ""))
                row = Row(segment.id, segment.segment, sound)
                said.pieces.append(row)

    # What the store has.

    def see(self, database: Any) -> dict[int, Row] | None:
        """Return what a store has now, beside the cloud's own reads; None: it cannot be read now."""
        with contextlib.suppress(SQLAlchemyError, StoreBusyError), database._session() as session:  # noqa: SLF001
            return read(session, self._uuid)
        return None

    def look(self, database: Database | None, folder: Path, *, is_full: bool) -> None:
        """Compare with what was there at the last look."""
        now = now_ms()
        if database is None or is_full:
            self._troubled_at = now
        rows = None if database is None else self.see(database)
        if rows is None:
            return
        self._compare(rows, now, now)
        if self._is_answered and not self._is_damaged(KEYS):
            self._find_lost(rows, now)
        if now - self._troubled_at > MINUTE_MS + START_MS:
            self._find_old(rows, now)
            self._scrubbed |= self._too_old(rows, now)
            self.find_in_files(folder, self._scrubbed, rows)
        self._look_at_sentences(folder, now)

    def _is_damaged(self, name: str) -> bool:
        return any(path.startswith(f"/{name}") for path in self.damaged)

    def _compare(self, rows: Mapping[int, Row], began: int, ended: int) -> None:
        """Find what is gone too early, and what is not gone that somebody has erased, at a look between two times."""
        for ts, row in self.rows.items():
            if ts not in rows and not self._may_go(ts, row.utterance, ended):
                self.broken.append(
                    f"voice of utterance {row.utterance} is gone, and was to be kept"
                )
        is_settled = began - self._troubled_at > MINUTE_MS + START_MS
        for ts, row in rows.items():
            if is_settled and self._is_overdue(ts, row.utterance, began):
                self.broken.append(
                    f"voice of utterance {row.utterance} is there a minute after it was erased"
                )
            if row.key:
                self._of_key[row.key] = row.utterance
            self._times[ts] = row
        self.rows = dict(rows)

    def _may_go(self, ts: int, utterance: int, now: int) -> bool:
        is_old = ts < now - self.terms.keep_ms
        return is_old or any(order.may_have(ts, utterance) for order in self.orders)

    def _find_lost(self, rows: Mapping[int, Row], now: int) -> None:
        """Find what the cloud has acknowledged and has not, or has otherwise."""
        there = {(row.utterance, row.segment): row for row in rows.values()}
        for said in self._said:
            if self._may_go(said.began, said.live.id, now):
                continue
            for row in said.pieces[: said.live.segments]:
                if there.get((row.utterance, row.segment)) != row:
                    self.broken.append(
                        f"piece {row.segment} of utterance {row.utterance} was taken, and is not in the store"
                    )
        self._said = [each for each in self._said if each.began >= now - self.terms.keep_ms]

    def _too_old(self, rows: Mapping[int, Row], now: int) -> dict[bytes, int]:
        """Return the keys of what went for its age."""
        late = now - self.terms.keep_ms - int(self.terms.seconds * 1000) - START_MS
        old = {ts: self._times.pop(ts) for ts in list(self._times) if ts < late and ts not in rows}
        return {row.key: row.utterance for row in old.values() if row.key}

    def understand(self, utterance: int, outcomes: OutcomeLog) -> None:
        """Let the cloud understand an utterance, unless that was erased before."""
        now = now_ms()
        if any(order.may_have(now, utterance) for order in self.orders):
            return
        text = f"sentence {utterance} {now}"
        outcomes.add(Outcome(self._uuid, now, VOICE, utterance=utterance, text=text))
        self._sentences[text.encode()] = (now, utterance)
        self._count("sentences understood")

    def _look_at_sentences(self, folder: Path, now: int) -> None:
        """Find what was understood and is gone too early, or kept for too long, by the bytes of its file."""
        data = b"".join(path.read_bytes() for path in sorted(folder.glob(f"{FILE_NAME}*")))
        is_settled = now - self._troubled_at > MINUTE_MS + START_MS
        late = now - self.terms.keep_ms - int(self.terms.seconds * 1000) - START_MS
        for text, (ts, utterance) in list(self._sentences.items()):
            if text not in data:
                del self._sentences[text]
                if not self._may_go(ts, utterance, now) and not self._is_damaged(FILE_NAME):
                    self.broken.append(f"{text.decode()} is gone, and was to be kept")
            elif is_settled and ts < late:
                self.broken.append(f"{text.decode()} is kept for too long")
            elif is_settled and self._is_overdue(ts, utterance, now):
                self.broken.append(f"{text.decode()} is there a minute after it was erased")

    def _is_overdue(self, ts: int, utterance: int, now: int) -> bool:
        """Return whether something is to be gone by an order that was answered more than a minute ago."""
        return any(
            order.has(ts, utterance) and now - (order.answered or now) > MINUTE_MS
            for order in self.orders
        )

    def _find_old(self, rows: Mapping[int, Row], now: int) -> None:
        """Find what is kept for longer than its days."""
        late = now - self.terms.keep_ms - int(self.terms.seconds * 1000) - START_MS
        for ts, row in rows.items():
            if ts < late:
                self.broken.append(f"voice of utterance {row.utterance} is kept for too long")

    # What the eraser does.

    def expired(self, before: Mapping[int, Row], after: Mapping[int, Row], began: int) -> None:
        """Note what a look for what is too old has left, which began at a time (ms)."""
        self._count("looks for old voice")
        if len(after) < len(before):
            self._count("looks that found old voice")
        self._compare(before, began, began)
        self._compare(after, began, now_ms())
        gone = (row for ts, row in before.items() if ts not in after)
        self._going.update({row.key: row.utterance for row in gone if row.key})
        for ts in before.keys() & after.keys():
            if ts < began - self.terms.keep_ms:
                self.broken.append(
                    f"voice of utterance {before[ts].utterance} is kept after what is too old was erased"
                )

    def finished(self, folder: Path, before: Mapping[int, Row], after: Mapping[int, Row]) -> None:
        """Note that an order is told to be done: what is not among the ``before``, what the store had without that, is in no file now."""
        self._count("orders to erase voice done")
        is_there = {row.key for row in before.values()}
        gone = {key: number for key, number in self._of_key.items() if key not in is_there}
        self.find_in_files(folder, gone, after)
        self._scrubbed.update(gone)

    def settled(
        self, folder: Path, going: Mapping[bytes, int], rows: Mapping[int, Row] | None
    ) -> None:
        """Note that the eraser has done all that it knew of when these keys were to go."""
        for key in going:
            self._going.pop(key, None)
        if rows is not None:
            self.find_in_files(folder, going, rows)
        self._scrubbed.update(going)

    @property
    def going(self) -> dict[bytes, int]:
        """The keys of what went for its age since the eraser last had nothing left to do."""
        return dict(self._going)

    def find_in_files(
        self, folder: Path, keys: Mapping[bytes, int], rows: Mapping[int, Row]
    ) -> None:
        """Find in the store's files the keys that are to be in none, and sound that is not sealed."""
        latest = set() if self._is_damaged(KEYS) else set(list(keys)[-MARKS:])
        wanted = latest - {row.key for row in rows.values()}
        marks = {key: f"the key of utterance {keys[key]}, which was erased" for key in wanted}
        for row in list(rows.values())[-MARKS:]:
            if row.mark:
                marks[row.mark] = f"voice of utterance {row.utterance}, which is not sealed"
        for path in sorted(folder.glob("*.sqlite*")) if marks else ():
            data = path.read_bytes()
            found = next((said for mark, said in marks.items() if mark in data), "")
            if found:
                self.broken.append(f"{path.name} has {found}")
                return

    # What the parents see.

    def ordered(self, order: Order) -> Order:
        """Note an order to erase before it is sent."""
        self.orders.append(order)
        return order

    def shown(self, told: Sequence[Row], before: Mapping[int, Row], sent: int) -> None:
        """Note what the history showed after ``sent`` (ms), when the store had ``before``: what was erased by then is not shown."""
        self._count("times that voice was heard again")
        said = {
            (row.utterance, row.segment): row.sound for each in self._said for row in each.pieces
        }
        times = {row: ts for ts, row in before.items()}
        for row in told:
            is_mute = not row.sound and self._is_damaged(KEYS)
            if said.get((row.utterance, row.segment), row.sound) != row.sound and not is_mute:
                self.broken.append(f"utterance {row.utterance} is heard otherwise than it was said")
            ts = times.get(row)
            erased = [
                order
                for order in self.orders
                if order.answered is not None and order.answered <= sent and ts is not None
                if order.has(ts, row.utterance)
            ]
            if erased:
                self.broken.append(f"utterance {row.utterance} is heard, and was erased")


class WatchedEraser(Eraser):
    """The product's; what it erases is watched."""

    watch: VoiceWatch
    folder: Path

    async def expire(self) -> None:
        """See `Eraser`."""
        before, began = self.watch.see(self._database), now_ms()
        await super().expire()
        after = self.watch.see(self._database)
        if before is not None and after is not None:
            self.watch.expired(before, after, began)

    async def rest(self) -> None:
        """See `Eraser`."""
        going = self.watch.going
        await super().rest()
        if going:
            self.watch.settled(self.folder, going, self.watch.see(self._database))

    async def _finish(self, receipt: str) -> None:
        before = self.watch.see(self._database)
        order = await self._database.read(_about, receipt)
        await super()._finish(receipt)
        after = self.watch.see(self._database)
        if before is not None and after is not None:
            kind, until = order
            rest = {
                ts: row for ts, row in before.items() if kind != family.Kind.VOICE or ts > until
            }
            self.watch.finished(self.folder, rest, after)


def _about(session: Any, receipt: str) -> tuple[str, int]:
    """Return of which kind an order is, and up to when (ms)."""
    found = session.get_one(Erasure, receipt)
    return found.kind, found.until


def eraser_of(
    watch: VoiceWatch | None, database: Database, gateway: Gateway, folder: Path
) -> WatchedEraser | None:
    """Return the eraser of one start of a cloud, which its gateway wakes; None: this world keeps voice for ever."""
    if watch is None:
        return None
    made = WatchedEraser(database, OutcomeLog(folder), now_ms, watch.terms.days)
    made.watch, made.folder = watch, folder
    gateway.erase_rest, gateway.family.voice_days = made.soon, watch.terms.days
    return made
