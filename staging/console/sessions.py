"""Console logins: sessions in memory, their CSRF tokens, and a throttle on password guessing.

A cookie has 256 random bits, of which only the SHA-256 is kept. A restart of the cloud logs
everybody out, which is acceptable on a bench.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

# A tester's working day; a forgotten session expires over night.
IDLE_SECONDS = 8 * 3600.0
LIFETIME_SECONDS = 24 * 3600.0
SESSIONS_LIMIT = 1000
# Room for a few typing errors; an attacker gets at most 60 attempts per hour and account.
FAILURES_PER_NAME = 5
FAILURES_PER_ADDRESS = 20
FAILURE_WINDOW_SECONDS = 300.0
THROTTLE_LIMIT = 10_000

Monotonic = Callable[[], float]


@dataclass(slots=True)
class Session:
    """One login."""

    key: str
    account_id: int
    user_name: str
    csrf: str = field(repr=False)
    begun: float
    used: float
    streams: int = 0
    """The number of open live streams."""


class Sessions:
    """All sessions, the least recently used first."""

    def __init__(self, clock: Monotonic) -> None:
        """Start without sessions; ``clock`` returns seconds and is monotonic."""
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._secret = secrets.token_bytes(32)

    def begin(self, account_id: int, user_name: str) -> tuple[str, Session]:
        """Begin a session; returns the cookie's value, which is not kept, and the session."""
        cookie = secrets.token_urlsafe(32)
        now = self._clock()
        key = _digest(cookie)
        session = Session(key, account_id, user_name, secrets.token_urlsafe(32), now, now)
        self._sessions[key] = session
        while len(self._sessions) > SESSIONS_LIMIT:
            self._sessions.popitem(last=False)
        return cookie, session

    def find(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie and mark it as used; None: no session, or expired."""
        session = self._sessions.get(_digest(cookie)) if cookie else None
        if session is None or not self.is_alive(session):
            return None
        session.used = self._clock()
        self._sessions.move_to_end(session.key)
        return session

    def is_alive(self, session: Session) -> bool:
        """Return whether a session is still valid, and remove one that has expired."""
        now = self._clock()
        fresh = now - session.used < IDLE_SECONDS and now - session.begun < LIFETIME_SECONDS
        if not fresh:
            self._sessions.pop(session.key, None)
        return self._sessions.get(session.key) is session

    def end(self, session: Session) -> None:
        """End a session."""
        self._sessions.pop(session.key, None)

    def login_token(self, visitor: str) -> str:
        """Return the CSRF token of a visitor before login, derived from the visitor's cookie."""
        return hmac.new(self._secret, visitor.encode(), hashlib.sha256).hexdigest()


class Throttle:
    """Counts failed logins by account name and by address, in a sliding window."""

    def __init__(self, clock: Monotonic) -> None:
        """Start without failures; ``clock`` returns seconds and is monotonic."""
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_seconds(self, name: str, address: str) -> float:
        """Return the seconds until another attempt is allowed; 0: now."""
        return max(
            self._wait(("name", name.casefold()), FAILURES_PER_NAME),
            self._wait(("address", address), FAILURES_PER_ADDRESS),
        )

    def failed(self, name: str, address: str) -> None:
        """Count a failure."""
        for key in (("name", name.casefold()), ("address", address)):
            times = self._failures.setdefault(key, deque(maxlen=FAILURES_PER_ADDRESS))
            times.append(self._clock())
            self._failures.move_to_end(key)
        while len(self._failures) > THROTTLE_LIMIT:
            self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Reset an account's failures; those of the address are kept."""
        self._failures.pop(("name", name.casefold()), None)

    def _wait(self, key: tuple[str, str], limit: int) -> float:
        times = self._failures.get(key)
        if times is None:
            return 0.0
        while times and self._clock() - times[0] >= FAILURE_WINDOW_SECONDS:
            times.popleft()
        if not times:
            del self._failures[key]
            return 0.0
        if len(times) < limit:
            return 0.0
        return FAILURE_WINDOW_SECONDS - (self._clock() - times[-limit])


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
