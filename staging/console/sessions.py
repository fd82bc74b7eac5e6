"""Console logins: sessions in memory, and their CSRF tokens.

A cookie has 256 random bits, of which only the SHA-256 is kept. A restart of the cloud logs
everybody out, which is acceptable on a bench.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from staging.times import Monotonic

# A tester's working day; a forgotten session expires over night.
IDLE_SECONDS = 8 * 3600.0
LIFETIME_SECONDS = 24 * 3600.0
SESSIONS_LIMIT = 1000


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


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
