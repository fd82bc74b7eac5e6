"""Who is logged in to the device page, and how often an address may try: both with bounds, both on a clock of the caller's.

A session is a random name in a cookie. The file has its digest, and that of the token it was opened with: another
token ends all sessions. A card that takes no file keeps them in memory, until the agent ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from base.files import read_record, write_atomically
from base.threads import in_thread
from wire.errors import FieldError, WireError
from wire.fields import get_string, parse_object
from wire.records import dataclass

FORMAT = 1
SESSIONS = "sessions"
# A family's phones and tablets; whoever logs in then ends the oldest session.
SESSIONS_LIMIT = 16
# Seconds: a token of 32 characters is typed on a phone, and rarely.
SESSION_SECONDS = 90 * 86400.0
NAME_BYTES = 24
# Bytes of the file.
_FILE_LIMIT = 16 * 1024
# Unix time; a later end is damage.
_UNTIL_MAX = 1e12

# Wrong tokens of one address at once, and seconds until one more.
TRIES, TRY_SECONDS = 5, 30.0
# Addresses that are remembered; the one that tried longest ago is forgotten.
ADDRESSES_LIMIT = 256
# An IPv6 host may take any address of its network.
_V6_NETWORK = 64

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Session:
    """``id`` and ``token`` are digests, ``until`` is Unix time in seconds."""

    id: str
    token: str
    until: float


class Sessions:
    """The sessions of one machine."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        """Keep them in the file ``path``, which is read at the first use; ``now`` gives Unix time."""
        self._path = path
        self._now = now
        self._sessions: OrderedDict[str, _Session] | None = None
        self._lock = asyncio.Lock()

    async def holds(self, name: str, token: str) -> bool:
        """Return whether ``name`` is a session that was opened with ``token``, and is not over."""
        found = (await self._loaded()).get(_digest(name))
        return (
            bool(name and token)
            and found is not None
            and found.token == _digest(token)
            and self._now() < found.until
        )

    async def open(self, token: str) -> str:
        """Open a session, and return its name."""
        name = secrets.token_urlsafe(NAME_BYTES)
        made = _Session(_digest(name), _digest(token), self._now() + SESSION_SECONDS)
        sessions = await self._loaded()
        for over in [each for each in sessions.values() if each.until <= self._now()]:
            del sessions[over.id]
        while len(sessions) >= SESSIONS_LIMIT:
            sessions.popitem(last=False)
        sessions[made.id] = made
        await self._store()
        return name

    async def close(self, name: str) -> None:
        """End a session, if there is one of that name."""
        if (await self._loaded()).pop(_digest(name), None) is not None:
            await self._store()

    async def _loaded(self) -> OrderedDict[str, _Session]:
        async with self._lock:
            if self._sessions is None:
                self._sessions = await asyncio.to_thread(_read, self._path)
            return self._sessions

    async def _store(self) -> None:
        async with self._lock:
            kept = [asdict(each) for each in (self._sessions or {}).values()]
            data = json.dumps({"format": FORMAT, "sessions": kept}).encode()
            try:
                await in_thread(write_atomically, self._path, data, mode=0o600)
            except OSError as error:
                _log.warning(
                    "device page: %s: %s: a log-in or log-out is forgotten at the next start",
                    self._path, error.strerror or error,
                )  # fmt: skip


def _read(path: Path) -> OrderedDict[str, _Session]:
    """Return what the file has; a damaged one is none, and whoever was logged in does it again."""
    try:
        found = parse_sessions(read_record(path, _FILE_LIMIT))
    except FileNotFoundError:
        return OrderedDict()
    except (OSError, WireError) as error:
        _log.warning("device page: %s: %s: everybody logs in again", path, error)
        return OrderedDict()
    return found


def parse_sessions(data: bytes) -> OrderedDict[str, _Session]:
    """Parse the file; raises WireError that names the member."""
    source = parse_object(data, SESSIONS)
    listed = source.get(SESSIONS)
    if not isinstance(listed, list) or len(listed) > SESSIONS_LIMIT:
        raise FieldError(SESSIONS, listed, f"a list of at most {SESSIONS_LIMIT}")
    return OrderedDict((each.id, each) for each in map(_session, listed))


def _session(source: object) -> _Session:
    if not isinstance(source, Mapping):
        raise FieldError(SESSIONS, source, "objects")
    until = source.get("until")
    # A number of hundreds of digits, which damage has made, is no float.
    if isinstance(until, bool) or not isinstance(until, int | float) or not 0 <= until < _UNTIL_MAX:
        raise FieldError("sessions.until", until, "seconds")
    return _Session(get_string(source, "id"), get_string(source, "token"), float(until))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True)
class _Bucket:
    tokens: float
    counted: float


class Tries:
    """Counts the wrong tokens of each address."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Count on ``clock``, in seconds that only grow."""
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait(self, address: str) -> float:
        """Return the seconds until ``address`` may try again; 0: now."""
        bucket = self._bucket(address)
        return max(0.0, (1 - bucket.tokens) * TRY_SECONDS)

    def failed(self, address: str) -> None:
        """Count a wrong token."""
        self._bucket(address).tokens -= 1

    def _bucket(self, address: str) -> _Bucket:
        key, now = _network(address), self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(TRIES, now))
        self._buckets.move_to_end(key)
        while len(self._buckets) > ADDRESSES_LIMIT:
            self._buckets.popitem(last=False)
        bucket.tokens = min(TRIES, bucket.tokens + (now - bucket.counted) / TRY_SECONDS)
        bucket.counted = now
        return bucket


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, _V6_NETWORK), strict=False))
