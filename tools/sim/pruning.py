"""The cloud's retention in a simulated world: the real upkeep, with days of a minute or two, and what it may delete.

A cloud keeps reports for 400 days and what a device may send for a day: no simulated day is that long, so a seed draws
shorter ones. What is deleted is compared with what was there before, row by row; nothing else may be gone, then and later.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from staging import upkeep
from staging.gateway import bounds
from staging.gateway import presence as presence_times
from staging.gateway.gateway import Limits
from staging.store import presence, retention
from staging.store.models import (
    Account,
    Device,
    OtaEventLine,
    OtaTask,
    Package,
    PresenceChange,
    Report,
    ReportEpoch,
)
from staging.store.repeats import EPOCHS_LIMIT
from staging.times import now_ms
from staging.upkeep import Upkeep
from tools.sim import aging
from tools.sim.paces import PRESENCE_SECONDS
from tools.sim.scenario import DAY_HOURS
from wire.reports import KEYS_VOICE
from wire.utterance_times import KEY_UTTERANCE_TIMES

PART, PART_OF_DAYS = 0.3, 0.1
# What belongs to the child's voice has days of its own.
VOICE = frozenset({*KEYS_VOICE, KEY_UTTERANCE_TIMES})
USUAL = (
    retention.DAY_MS, presence.KEEP_MS, presence.EACH_LIMIT, PRESENCE_SECONDS,
    upkeep.UPKEEP_SECONDS, upkeep.TICK_SECONDS, bounds.DAY_SECONDS, bounds.VERSION_BYTES,
)  # fmt: skip
# The share of a device in a world with quotas, and the seconds in which it grows again.
DAY_BYTES, DAY_SECONDS, VERSION_BYTES = 200_000, 600.0, 2_000
# Versions that a device tells within such a day, at most.
VERSIONS = 5


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a world's cloud keeps what: days, each of so many ms; seconds between two prunings; changes of a device."""

    days: int
    day_ms: int
    seconds: float
    changes: int

    @classmethod
    def of(cls, seed: int, hours: float, *, is_wanted: bool = False) -> Terms | None:
        """Return a seed's; None: it prunes nothing, as most. ``is_wanted``: it does so in any case."""
        rng = random.Random(f"retention {seed}")  # noqa: S311  # a simulation
        is_drawn = rng.random() < (PART if hours < DAY_HOURS else PART_OF_DAYS)
        if not is_drawn and not is_wanted:
            return None
        share = hours * 3_600_000 / 12
        return cls(
            rng.randint(1, 3), int(share), rng.uniform(30.0, 30.0 + share / 500), rng.randint(3, 8)
        )

    @property
    def limits(self) -> Limits:
        """What a device may send."""
        return Limits(day_bytes=DAY_BYTES)


def set_terms(terms: Terms | None) -> None:
    """Let the product's days be those of ``terms``, for the next world."""
    values = USUAL
    if terms is not None:
        keep = terms.days * terms.day_ms
        values = (
            terms.day_ms, keep, terms.changes, 5.0, terms.seconds, terms.seconds / 2, DAY_SECONDS, VERSION_BYTES,
        )  # fmt: skip
    (
        retention.DAY_MS, presence.KEEP_MS, presence.EACH_LIMIT, presence_times.FLUSH_SECONDS,
        upkeep.UPKEEP_SECONDS, upkeep.TICK_SECONDS, bounds.DAY_SECONDS, bounds.VERSION_BYTES,
    ) = values  # fmt: skip


@dataclass(slots=True)
class Kept:
    """What a store has: each row by its key, and what decides about its end."""

    reports: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)
    """By device and time: the data point and the kind."""
    epochs: dict[tuple[int, str], tuple[int, Any]] = field(default_factory=dict)
    """By device and epoch: when it was used last, and the numbers."""
    lines: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By number: the update and the time."""
    last_tasks: frozenset[int] = frozenset()
    changes: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Of presence, by number: the device and the time."""
    counts: dict[str, int] = field(default_factory=dict)
    """Of what is never pruned."""
    aged: aging.Rows = field(default_factory=dict)
    """What has days of its own."""
    newest: dict[tuple[int, str, str], int] = field(init=False)
    """The time of the newest value of each device's data points, by kind."""

    def __post_init__(self) -> None:
        """Find the newest."""
        self.newest = {}
        for (device, ts), (key, kind) in self.reports.items():
            self.newest[device, key, kind] = max(ts, self.newest.get((device, key, kind), ts))


def read(session: Any) -> Kept:
    """Return what a store has now."""
    last = select(func.max(OtaTask.id)).group_by(OtaTask.device_id)
    counted = {
        kind.__tablename__: session.scalar(select(func.count()).select_from(kind)) or 0
        for kind in (Device, Account, Package, OtaTask)
    }
    reports = select(Report.device_id, Report.ts, Report.key, Report.kind)
    epochs = select(
        ReportEpoch.device_id, ReportEpoch.epoch, ReportEpoch.use_time, ReportEpoch.ranges
    )
    lines = select(OtaEventLine.id, OtaEventLine.task_id, OtaEventLine.ts)
    changes = select(PresenceChange.id, PresenceChange.device_id, PresenceChange.ts)
    return Kept(
        {(device, ts): (key, kind) for device, ts, key, kind in session.execute(reports)},
        {(device, epoch): (used, told) for device, epoch, used, told in session.execute(epochs)},
        {number: (task, ts) for number, task, ts in session.execute(lines)},
        frozenset(session.scalars(last)),
        {number: (device, ts) for number, device, ts in session.execute(changes)},
        counted,
        aging.read(session),
    )


def forgets(starts: int) -> bool:
    """Return whether a machine has started so often that the cloud has forgotten numbers of its oldest reports."""
    return starts > EPOCHS_LIMIT


def of_forgotten(
    accepted: Iterable[tuple[str, int]], epochs: Collection[str]
) -> set[tuple[str, int]]:
    """Return those of the reports, in their order, of whose start the cloud knows no number any more, as of each but the last ones."""
    reports = list(accepted)
    starts = list(dict.fromkeys(epoch for epoch, _ in reports))
    gone = set(starts[:-EPOCHS_LIMIT]).difference(epochs)
    return {report for report in reports if report[0] in gone}


class PruneWatch:
    """Of one world, over all starts of its cloud."""

    def __init__(self, terms: Terms, ages: aging.Ages | None = None) -> None:
        """Judge by ``terms``, and by ``ages`` what has days of its own."""
        self.ages = aging.AgeWatch(ages)
        self._keep = terms.days * terms.day_ms
        self._terms = terms
        self.broken: list[str] = []
        self.pruned: dict[str, list[Any]] = {}
        """Numbers of reports by their epoch, of what is not known any more."""
        self.prunings = 0
        self.voice_goes = False
        """Whether voice has days of its own, which others watch."""
        self._last: Kept | None = None

    def ever(self, epochs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the numbers of reports by their epoch with those that were pruned."""
        names = {**self.pruned, **epochs}
        return {name: [*epochs.get(name, ()), *self.pruned.get(name, ())] for name in names}

    def before(self, now: Kept) -> None:
        """Note what is there before a pruning: all that was there after the one before."""
        if self._last is not None:
            self._compare(self._last, now, None)
            self.ages.before(now.aged)

    def after(self, before: Kept, after: Kept, began: int, ended: int, *, is_whole: bool) -> None:
        """Note what is there after a pruning, between two times (ms); ``is_whole``: none of it failed."""
        self._compare(before, after, ended - self._keep)
        self.ages.after(before.aged, after.aged, began, ended, is_whole=is_whole)
        if is_whole:
            self.prunings += 1
            self._check_rest(before, after, began - self._keep)
        self._last = after

    def _compare(self, before: Kept, after: Kept, cut: int | None) -> None:
        """Find what is gone that may not be: what was before ``cut`` may; None: nothing may."""
        for place in before.reports.keys() - after.reports.keys():
            if self.voice_goes and _is_voice(before, place):
                continue
            if (
                cut is None
                or place[1] >= cut
                or not (_is_replaced(before, place) or _is_replaced_by(after, before, place))
                or _is_voice(before, place)
            ):
                self.broken.append(
                    f"a report of {before.reports[place][0]} is gone, and was to be kept"
                )
        for name in before.epochs.keys() - after.epochs.keys():
            used, told = before.epochs[name]
            self.pruned.setdefault(name[1], []).extend(told)
            full = sum(device == name[0] for device, _ in after.epochs) >= EPOCHS_LIMIT
            if (cut is None or used >= cut) and not full:
                self.broken.append(f"the numbers of the reports of {name[1]} are gone")
        for number in before.lines.keys() - after.lines.keys():
            task, ts = before.lines[number]
            if cut is None or ts >= cut or task in before.last_tasks:
                self.broken.append(f"a line of update {task} is gone, and was to be kept")
        self._compare_changes(before, after, cut)
        for table, count in before.counts.items():
            if after.counts[table] < count:
                self.broken.append(f"{count - after.counts[table]} rows of {table} are gone")

    def _compare_changes(self, before: Kept, after: Kept, cut: int | None) -> None:
        had = Counter(device for device, _ in after.changes.values())
        for number in before.changes.keys() - after.changes.keys():
            device, ts = before.changes[number]
            if cut is None or (ts >= cut and had[device] < self._terms.changes):
                self.broken.append(
                    f"a change of device {device}'s presence is gone, and was to be kept"
                )

    def _check_rest(self, before: Kept, after: Kept, cut: int) -> None:
        """Find what is there still that was to go, of what was there before."""
        for place in before.reports.keys() & after.reports.keys():
            if place[1] < cut and _is_replaced(before, place) and not _is_voice(before, place):
                self.broken.append(f"a report of {before.reports[place][0]} is kept for too long")
        for name in before.epochs.keys() & after.epochs.keys():
            if after.epochs[name][0] < cut:
                self.broken.append(f"the numbers of the reports of {name[1]} are kept for too long")
        for number in before.lines.keys() & after.lines.keys():
            task, ts = before.lines[number]
            if ts < cut and task not in after.last_tasks:
                self.broken.append(f"a line of update {task} is kept for too long")
        there = [before.changes[number] for number in before.changes.keys() & after.changes.keys()]
        for device, count in Counter(device for device, _ in there).items():
            if count > self._terms.changes:
                self.broken.append(f"{count} changes of device {device}'s presence are kept")
        if any(ts < cut for _, ts in there):
            self.broken.append("a change of presence is kept for too long")


def _is_replaced(kept: Kept, place: tuple[int, int]) -> bool:
    """Return whether a newer value of the same data point and kind is there."""
    device, ts = place
    return kept.newest[device, *kept.reports[place]] > ts


def _is_replaced_by(after: Kept, before: Kept, place: tuple[int, int]) -> bool:
    """Return whether a newer value came while a pruning was under way."""
    device, ts = place
    return after.newest.get((device, *before.reports[place]), ts) > ts


def _is_voice(kept: Kept, place: tuple[int, int]) -> bool:
    return kept.reports[place][0] in VOICE


class QuotaWatch:
    """What each device was let report, over all starts of a cloud: each begins with whole shares."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Judge by the true time ``now``."""
        self._now, self._began = now, 0.0
        self._taken: Counter[str] = Counter()
        self._lately: dict[str, deque[tuple[float, int]]] = {}
        self.broken: list[str] = []

    def start(self) -> None:
        """Note that a cloud starts."""
        self._began, self._taken = self._now(), Counter()
        self._lately.clear()

    def note(self, device: str, size: int) -> None:
        """Note that the cloud took so many bytes of a device."""
        self._taken[device] += size
        self._lately.setdefault(device, deque()).append((self._now(), size))
        share = DAY_BYTES * (1 + (self._now() - self._began) / DAY_SECONDS)
        if self._taken[device] > share:
            self.broken.append(
                f"{device} was let report {self._taken[device]} bytes of {share:.0f}"
            )

    def may_refuse(self, device: str, size: int) -> bool:
        """Return whether so many bytes more may be beyond a device's share: of a whole day's, what was taken within a day is gone at most."""
        lately, since = self._lately.get(device, deque()), self._now() - DAY_SECONDS
        while lately and lately[0][0] < since:
            lately.popleft()
        taken = sum(each for _, each in lately) + VERSIONS * VERSION_BYTES
        return taken + size > DAY_BYTES


class WatchedUpkeep(Upkeep):
    """The product's, without what signs and makes certificates; what it deletes is watched."""

    watch: PruneWatch | None
    count: Callable[[str], None]

    async def _purge(self) -> None:
        if self.watch is None:
            await super()._purge()
            return
        before, began = self._see(), now_ms()
        self._is_whole = False
        if before is not None:
            self.watch.before(before)
        await super()._purge()
        after = self._see()
        if before is not None and after is not None:
            self.watch.after(before, after, began, now_ms(), is_whole=self._is_whole)
            self.count("prunings")

    async def _prune(self, now: int) -> None:
        await super()._prune(now)
        self._is_whole = True

    def _see(self) -> Kept | None:
        """Return what the store has, beside the cloud's own reads; None: it cannot be read now."""
        database: Any = self._database
        with contextlib.suppress(SQLAlchemyError), database._session() as session:  # noqa: SLF001
            return read(session)
        return None

    def renew_certificates(self) -> None:
        """Renew none: they are not looked at here."""


def watched(
    watch: PruneWatch | None, count: Callable[[str], None], parts: Mapping[str, Any]
) -> WatchedUpkeep:
    """Return the upkeep of one start of a cloud; ``parts``: data, database and report_days."""
    context: Any = None
    made = WatchedUpkeep(context=context, names=(), **parts)
    made.watch, made.count = watch, count
    return made


def sign_nothing() -> None:
    """Let no upkeep sign the repository, for the rest of the process: that is another program's work."""
    names: Any = upkeep
    names.prepare_repository = lambda _data: None
