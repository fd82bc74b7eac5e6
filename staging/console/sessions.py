"""Who is logged in: sessions in memory, their CSRF tokens, and the brake on guessed passwords.

A cookie holds 256 random bits; only their SHA-256 is kept. A restart of the cloud logs everybody
out, which is what a bench wants of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

# A tester's day; the console of a forgotten browser closes over night.
IDLE_SECONDS = 8 * 3600.0
LIFETIME_SECONDS = 24 * 3600.0
SESSIONS_LIMIT = 1000
# A person mistypes three times; a guesser gets 60 tries an hour and account at most.
FAILURES_PER_NAME = 5
FAILURES_PER_ADDRESS = 20
FAILURE_WINDOW_SECONDS = 300.0
THROTTLE_LIMIT = 10_000

Monotonic = Callable[[], float]


@dataclass(slots=True)
class Session:
    """One log-in."""

    key: str
    account_id: int
    user_name: str
    csrf: str = field(repr=False)
    begun: float
    used: float
    streams: int = 0
    """Live streams that are open now."""


class Sessions:
    """All log-ins, the longest unused first."""

    def __init__(self, clock: Monotonic) -> None:
        """Start with none; ``clock`` counts seconds and never goes back."""
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._secret = secrets.token_bytes(32)

    def begin(self, account_id: int, user_name: str) -> tuple[str, Session]:
        """Log an account in; returns the cookie's value, which is not kept, and the session."""
        cookie = secrets.token_urlsafe(32)
        now = self._clock()
        key = _digest(cookie)
        session = Session(key, account_id, user_name, secrets.token_urlsafe(32), now, now)
        self._sessions[key] = session
        while len(self._sessions) > SESSIONS_LIMIT:
            self._sessions.popitem(last=False)
        return cookie, session

    def find(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie and count this as use; None: none, or it ran out."""
        session = self._sessions.get(_digest(cookie)) if cookie else None
        if session is None or not self.is_alive(session):
            return None
        session.used = self._clock()
        self._sessions.move_to_end(session.key)
        return session

    def is_alive(self, session: Session) -> bool:
        """Tell whether a session still counts, and forget one that does not."""
        now = self._clock()
        fresh = now - session.used < IDLE_SECONDS and now - session.begun < LIFETIME_SECONDS
        if not fresh:
            self._sessions.pop(session.key, None)
        return self._sessions.get(session.key) is session

    def end(self, session: Session) -> None:
        """Log out."""
        self._sessions.pop(session.key, None)

    def login_token(self, visitor: str) -> str:
        """Return the CSRF token of a visitor who is not logged in yet, made of their cookie."""
        return hmac.new(self._secret, visitor.encode(), hashlib.sha256).hexdigest()


class Throttle:
    """Counts failed log-ins by account name and by address, within a window that slides."""

    def __init__(self, clock: Monotonic) -> None:
        """Start with no failure."""
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_seconds(self, name: str, address: str) -> float:
        """Return how long to wait before another try may be made; 0: now."""
        return max(
            self._wait(("name", name.casefold()), FAILURES_PER_NAME),
            self._wait(("address", address), FAILURES_PER_ADDRESS),
        )

    def failed(self, name: str, address: str) -> None:
        """Note a failure."""
        for key in (("name", name.casefold()), ("address", address)):
            times = self._failures.setdefault(key, deque(maxlen=FAILURES_PER_ADDRESS))
            times.append(self._clock())
            self._failures.move_to_end(key)
        while len(self._failures) > THROTTLE_LIMIT:
            self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Forget an account's failures; its address keeps them."""
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
