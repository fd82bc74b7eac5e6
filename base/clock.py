"""Trusted time without NTP: a lower bound that survives restarts, plus the time since.

A machine without a battery-backed clock starts in 1970, or at the time it was switched off. It does
know that it is later than three times: the build of its code, the newest metadata that it verified,
and the time last received from the cloud over verified TLS. The floor is the newest of the three,
each plus the seconds of boot time since it was learnt. A clock at or above the floor is trusted;
for one below it, the floor is used instead. STATE/ota/time.json stores the floor; it is written
rarely to spare the flash.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from base.files import make_folder, read_record, write_atomically
from wire.errors import FieldError, WireError
from wire.fields import get_object, get_string, parse_object
from wire.records import dataclass

FORMAT = 1
# When this code was written (2026-11-22): a clock before it is wrong, even if all records are lost.
EARLIEST = 1_795_305_600.0
# A source that gives a time later than this after the build is faulty or malicious.
LIFETIME_SECONDS = 30 * 365 * 86400.0
# How far the floor on disk may be behind: a restart loses at most this; a day costs four writes.
WRITE_STEP = 6 * 3600.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_log = logging.getLogger(__name__)


class TimeSource(StrEnum):
    """Where a time comes from."""

    BUILD = "build"
    """When the running release was built; the time cannot be earlier."""
    METADATA = "metadata"
    """When verified update metadata was signed. It never moves backwards."""
    CLOUD = "cloud"
    """The time of the cloud or repository, over verified TLS; a new value replaces the old one."""


@dataclass(frozen=True, slots=True)
class Known:
    """A time learnt: it was ``seconds`` (Unix time) at ``ticks`` seconds into the boot ``boot``."""

    seconds: float
    ticks: float
    boot: str

    def at(self, ticks: float, boot: str) -> float:
        """Return the earliest possible time now; in another boot, all of its ``ticks`` count."""
        return self.seconds + max(0.0, ticks - self.ticks if boot == self.boot else ticks)


@dataclass(frozen=True, slots=True)
class Record:
    """The content of time.json; ``keys``: ids of the keys that METADATA's time was signed with."""

    known: Mapping[TimeSource, Known]
    keys: frozenset[str] = frozenset()

    def to_bytes(self) -> bytes:
        """Render time.json."""
        known = {str(source): asdict(value) for source, value in self.known.items()}
        return json.dumps({"format": FORMAT, "known": known, "keys": sorted(self.keys)}).encode()


def parse_record(data: bytes) -> Record:
    """Parse time.json strictly; raises WireError naming the member and what was expected."""
    source = parse_object(data, "time.json")
    keys = source.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise FieldError("keys", keys, "a list of key ids")
    known = get_object(source, "known")
    names = set(known) - {TimeSource.METADATA, TimeSource.CLOUD}
    if names:
        raise FieldError("known", sorted(names), "metadata and cloud")
    return Record(
        {TimeSource(name): _parse_known(get_object(known, name), name) for name in known},
        frozenset(keys),
    )


def _parse_known(source: Mapping[str, object], name: str) -> Known:
    return Known(
        seconds=_number(source, "seconds", name),
        ticks=_number(source, "ticks", name),
        boot=get_string(source, "boot", path=f"{name}."),
    )


def _number(source: Mapping[str, object], field: str, name: str) -> float:
    value = source.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise FieldError(f"{name}.{field}", value, "seconds from 0 on")
    return float(value)


def boot_ticks() -> float:
    """Return the seconds since the kernel started, including sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return the kernel's id of this boot; "" where there is no /proc."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class TrustedTime:
    """A clock that never reads earlier than what is known for sure; thread-safe."""

    def __init__(
        self,
        path: Path | None = None,
        built: float = EARLIEST,
        *,
        wall: Callable[[], float] = time.time,
        ticks: Callable[[], float] = boot_ticks,
        boot: str | None = None,
    ) -> None:
        """Read the stored times; a damaged file is treated as missing.

        Args:
            path: time.json; None: nothing is stored.
            built: when the running code was built, Unix time in seconds.
            wall: returns the system clock's Unix time in seconds.
            ticks: returns the seconds since boot, including sleep.
            boot: the boot's id; None: read it from the kernel.
        """
        self._path = path
        self._wall = wall
        self._ticks = ticks
        # Without an id, each start counts as a new boot: the ticks are then still a lower bound.
        self._boot = boot if boot is not None else boot_id() or f"process-{time.monotonic_ns()}"
        self._built = Known(max(EARLIEST, built), self._ticks(), self._boot)
        self._lock = threading.Lock()
        self._record = self._possible(_load(path))
        self._stored = self._record
        if path is not None and (note := self.disbelief()) is not None:
            _log.warning("%s", note)

    def floor(self, *without: TimeSource) -> tuple[float, TimeSource]:
        """Return the earliest possible time now (Unix time, seconds), and its source.

        ``without``: sources to leave out.
        """
        ticks = self._ticks()
        with self._lock:
            known = self._record.known  # a new one each time that it changes
        floor = self._built.at(ticks, self._boot), TimeSource.BUILD
        for source, value in known.items():
            if source not in without:
                floor = max(floor, (value.at(ticks, self._boot), source))
        return floor

    def now(self) -> float:
        """Return the time: the clock's if it is trusted, else the floor (Unix time, seconds)."""
        return max(self._wall(), self.floor()[0])

    def certificate_time(self) -> float:
        """Return the time at which the expiry of certificates is checked (Unix time, seconds).

        METADATA is left out: with it, a stolen timestamp key could make every certificate look
        expired, and TLS would then refuse the connection that delivers the root revoking that key.
        """
        return max(self._wall(), self.floor(TimeSource.METADATA)[0])

    @property
    def believes_clock(self) -> bool:
        """Whether the clock is at or above the floor, and so trusted."""
        return self._wall() >= self.floor()[0]

    @property
    def from_cloud(self) -> bool:
        """Whether the cloud told the time since the machine's start."""
        with self._lock:
            cloud = self._record.known.get(TimeSource.CLOUD)
        return cloud is not None and cloud.boot == self._boot

    @property
    def was_told(self) -> bool:
        """Whether the cloud told the time since the machine's start, or in an earlier run: a lower bound then."""
        with self._lock:
            return TimeSource.CLOUD in self._record.known

    def disbelief(self) -> str | None:
        """Return why the clock is not trusted and what is used instead; None if it is trusted."""
        floor, source = self.floor()
        clock = self._wall()
        if clock >= floor:
            return None
        return f"the clock says {show_time(clock)}, {source} says it is {show_time(floor)} or later"

    def note_cloud(self, seconds: float, chain_end: float = math.inf) -> bool:
        """Record the cloud's time from verified TLS (Unix time); return False if it is impossible.

        ``chain_end``: when the cloud's certificate chain expires. A later time cannot be right, and
        it could never be corrected: the next connection would fail on an expired certificate.
        """
        if seconds > chain_end:
            said = show_time(seconds)
            _log.warning("the cloud says it is %s, after its certificate's end: ignored", said)
            return False
        return self._note(TimeSource.CLOUD, seconds, None)

    def note_metadata(self, seconds: float, keys: Iterable[str]) -> bool:
        """Record when verified metadata was signed, and the ids of the keys that may sign it."""
        return self._note(TimeSource.METADATA, seconds, frozenset(keys))

    def forget_metadata(self, keys: Iterable[str]) -> bool:
        """Drop METADATA's time if it was signed with keys other than ``keys``, the current ones.

        A stolen key may have signed a time far ahead, at which later metadata looks expired; the
        root that revokes the key also makes that time void (TUF: fast-forward recovery).
        """
        with self._lock:
            metadata = self._record.known.get(TimeSource.METADATA)
            if metadata is None or self._record.keys == frozenset(keys):
                return False
            known = {TimeSource.CLOUD: self._record.known.get(TimeSource.CLOUD)}
            self._keep(Record({k: v for k, v in known.items() if v is not None}), write=True)
        _log.warning("the metadata's keys have changed: the time that they signed is dropped")
        return True

    def _note(self, source: TimeSource, seconds: float, keys: frozenset[str] | None) -> bool:
        if not (math.isfinite(seconds) and self._built.seconds <= seconds <= self._latest):
            _log.warning("%s gives an impossible time (%s): ignored", source, seconds)
            return False
        ticks = self._ticks()
        with self._lock:
            before = self._record.known.get(source)
            if keys is not None and before is not None and keys == self._record.keys:
                seconds = max(seconds, before.at(ticks, self._boot))
            known = dict(self._record.known) | {source: Known(seconds, ticks, self._boot)}
            stored = self._stored.known.get(source)
            late = stored is None or abs(seconds - stored.at(ticks, self._boot)) >= WRITE_STEP
            changed = keys is not None and keys != self._stored.keys
            record = Record(known, self._record.keys if keys is None else keys)
            self._keep(record, write=late or changed)
        return True

    @property
    def _latest(self) -> float:
        return self._built.seconds + LIFETIME_SECONDS

    def _possible(self, record: Record) -> Record:
        """Drop times beyond the limit for sources: the disk is not trusted more than they are."""
        known = {s: value for s, value in record.known.items() if value.seconds <= self._latest}
        for source in record.known.keys() - known.keys():
            _log.error("%s on disk gives an impossible time: dropped", source)
        return Record(known, record.keys)

    def _keep(self, record: Record, *, write: bool) -> None:
        self._record = record
        if not write or self._path is None:
            return
        try:
            make_folder(self._path.parent)
            write_atomically(self._path, record.to_bytes())
        except OSError as error:  # the record in memory is still used until the restart
            _log.warning("the time floor is not on disk: %s", error)
        else:
            self._stored = record


def _load(path: Path | None) -> Record:
    if path is None:
        return Record({})
    try:
        return parse_record(read_record(path))
    except FileNotFoundError:
        pass
    except (OSError, WireError) as error:
        _log.error("the time floor cannot be read: %s", error)
    return Record({})


def show_time(seconds: float) -> str:
    """Return a Unix time for a message: "2026-11-22 10:00:00Z"."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):  # outside the range of datetime
        return f"{seconds:.0f} s"
