"""Sessions of the console: they end when idle, when old, and when there are too many."""

from __future__ import annotations

from staging.console.sessions import Sessions
from staging.identity.rights import Role
from staging.store.accounts import Current, Login

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
IDLE_SECONDS = 28_800.0
LIFETIME_SECONDS = 86_400.0
SESSIONS_LIMIT = 1_000


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def login(account_id: int, generation: int = 0) -> Login:
    return Login(account_id, "5_1", f"user {account_id}", None, Role.TESTER, generation)


def test_sessions_end_when_idle_when_old_and_when_there_are_too_many() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    cookie, session = sessions.begin(login(1))
    assert sessions.find(cookie) is session
    assert sessions.find("another") is None
    assert cookie not in repr(vars(sessions))
    clock.now = IDLE_SECONDS
    assert sessions.find(cookie) is None
    cookie, session = sessions.begin(login(1))
    clock.now += IDLE_SECONDS - 1
    assert sessions.find(cookie, use=False) is session
    clock.now += 1
    assert sessions.find(cookie) is None
    cookie, session = sessions.begin(login(1))
    for _ in range(int(LIFETIME_SECONDS / IDLE_SECONDS) + 1):
        clock.now += IDLE_SECONDS - 1
        sessions.find(cookie)
    assert sessions.find(cookie) is None
    first, _ = sessions.begin(login(1))
    for _ in range(SESSIONS_LIMIT):
        sessions.begin(login(2))
    assert sessions.find(first) is None


def test_a_session_of_an_earlier_generation_ends_and_a_later_one_stays() -> None:
    sessions = Sessions(Clock())
    old, _ = sessions.begin(login(1))
    new, _ = sessions.begin(login(1, generation=1))
    gone, _ = sessions.begin(login(2))
    other, _ = sessions.begin(login(3))
    assert sessions.account_ids == {1, 2, 3}
    # Nobody asked about 3, which may have logged in since.
    assert sessions.end_of_before({1: Current(Role.TESTER, 1)}, {1, 2}) == 2
    assert [bool(sessions.find(cookie)) for cookie in (old, new, gone, other)] == [
        False, True, False, True,
    ]  # fmt: skip
    assert sessions.end_of_before({1: Current(Role.TESTER, 1)}, {1}) == 0
