"""Sessions of the console: they end when idle, when old, and when there are too many."""

from __future__ import annotations

from staging.console.sessions import IDLE_SECONDS, LIFETIME_SECONDS, SESSIONS_LIMIT, Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_sessions_end_when_idle_when_old_and_when_there_are_too_many() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    cookie, session = sessions.begin(1, "tester")
    assert sessions.find(cookie) is session
    assert sessions.find("another") is None
    assert cookie not in repr(vars(sessions))
    clock.now = IDLE_SECONDS
    assert sessions.find(cookie) is None
    cookie, session = sessions.begin(1, "tester")
    for _ in range(int(LIFETIME_SECONDS / IDLE_SECONDS) + 1):
        clock.now += IDLE_SECONDS - 1
        sessions.find(cookie)
    assert sessions.find(cookie) is None
    first, _ = sessions.begin(1, "tester")
    for _ in range(SESSIONS_LIMIT):
        sessions.begin(2, "other")
    assert sessions.find(first) is None
