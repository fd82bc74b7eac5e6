"""Console logins: sessions in memory, and their CSRF tokens.

A cookie has 256 random bits, of which only the SHA-256 is kept. A restart of the cloud logs
everybody out, which is acceptable on a bench. A session belongs to one generation of its account, which the
store counts: another password or role, or `story-cloud session revoke`, begins the next one and ends all
sessions of before, in every worker.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from staging.identity.rights import Role, Viewer
from staging.store.accounts import Current, Login
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
    role: Role
    generation: int
    csrf: str = field(repr=False)
    begun: float
    used: float
    streams: int = 0
    """The number of open live streams."""

    @property
    def viewer(self) -> Viewer:
        """The account, to those that only ask who looks."""
        return Viewer(self.account_id, self.role)

    def is_of(self, current: Current | None) -> bool:
        """Return whether the session still belongs to its account, which is ``current`` now."""
        return current is not None and current.generation == self.generation


class Sessions:
    """All sessions, the least recently used first."""

    def __init__(self, clock: Monotonic) -> None:
        """Start without sessions; ``clock`` returns seconds and is monotonic."""
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._secret = secrets.token_bytes(32)

    def begin(self, login: Login) -> tuple[str, Session]:
        """Begin a session; returns the cookie's value, which is not kept, and the session."""
        cookie = secrets.token_urlsafe(32)
        now = self._clock()
        key = _digest(cookie)
        session = Session(
            key, login.account_id, login.user_name, login.role, login.generation,
            secrets.token_urlsafe(32), now, now,
        )  # fmt: skip
        self._sessions[key] = session
        while len(self._sessions) > SESSIONS_LIMIT:
            self._sessions.popitem(last=False)
        return cookie, session

    def find(self, cookie: str | None, *, use: bool = True) -> Session | None:
        """Return the session of a cookie; None: no session, or expired.

        ``use``: whether this is a use of it, after which it is idle from anew.
        """
        session = self._sessions.get(_digest(cookie)) if cookie else None
        if session is None or not self.is_alive(session):
            return None
        if use:
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

    @property
    def account_ids(self) -> set[int]:
        """The accounts that have sessions."""
        return {session.account_id for session in self._sessions.values()}

    def end_of_before(self, current: Mapping[int, Current], asked: set[int]) -> int:
        """End the sessions that are of an earlier generation of their account; returns their number.

        Args:
            current: what the accounts are now; one that is not in it is gone or disabled.
            asked: the accounts that ``current`` is about: others began a session since.
        """
        ended = [
            session
            for session in self._sessions.values()
            if session.account_id in asked and not session.is_of(current.get(session.account_id))
        ]
        for session in ended:
            self.end(session)
        return len(ended)

    def login_token(self, visitor: str) -> str:
        """Return the CSRF token of a visitor before login, derived from the visitor's cookie."""
        return hmac.new(self._secret, visitor.encode(), hashlib.sha256).hexdigest()


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
