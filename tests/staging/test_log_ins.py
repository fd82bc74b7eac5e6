"""The checks of passwords: few at once, and where the owner is known, nobody else's tries count."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from staging.errors import StoreBusyError, ThrottledError
from staging.identity import passwords
from staging.log_ins import LogIns
from staging.store import Database, accounts, known_addresses
from staging.throttle import NAME, PAIR, Throttle

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
CHECKS_AT_ONCE = 2
WAITING_EACH = 5
AGAIN_MS = 604_800_000

NOW = 1_495_000_000_000
NAME_, HOME = "家长", "192.0.2.1"


class Checks:
    """Stands for scrypt: what it is asked, and how many at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.most = self._now = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self._lock = threading.Lock()
        monkeypatch.setattr(passwords, "matches", self.match)

    def match(self, password: str, stored: str | None) -> bool:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.asked.append(password)
        self.go_on.wait(30)
        with self._lock:
            self._now -= 1
        return stored is not None and password == "right"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    return Checks(monkeypatch)


@pytest.fixture
def owner(database: Database) -> int:
    return database.call(accounts.add, NAME_, "scrypt$1", NOW).id


class Door:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._log_ins = LogIns(Throttle(lambda: 0.0))
        self.now = NOW

    async def ask(self, password: str, address: str = HOME, name: str = NAME_) -> str:
        try:
            found = await self._log_ins.check(
                self._database, lambda: self.now, name, password, address
            )
        except ThrottledError:
            return "wait"
        return "in" if found else "wrong"


@pytest.fixture
def door(database: Database, owner: int) -> Door:
    del owner
    return Door(database)


async def test_of_many_at_once_few_are_checked(door: Door, checks: Checks) -> None:
    ends = await asyncio.gather(*(door.ask(str(n), f"10.0.0.{n % 40}") for n in range(120)))
    assert set(ends) <= {"wrong", "wait"}
    assert ends.count("wrong") == len(checks.asked) <= NAME.free
    assert checks.most <= CHECKS_AT_ONCE


async def test_one_address_leaves_the_queue_to_others(door: Door, checks: Checks) -> None:
    checks.go_on.clear()
    flood = [asyncio.create_task(door.ask("x", "10.0.0.1", f"name-{n}")) for n in range(20)]
    await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
    own = asyncio.create_task(door.ask("right"))
    checks.go_on.set()
    assert await own == "in"
    ends = await asyncio.gather(*flood)
    assert ends.count("wrong") == WAITING_EACH


async def test_the_owner_gets_in_at_home_whoever_guesses_elsewhere(
    door: Door, checks: Checks
) -> None:
    del checks
    assert await door.ask("right") == "in"
    for number in range(2 * NAME.free):
        await door.ask("wrong", f"10.0.1.{number}")
    assert await door.ask("right", "10.0.2.1") == "wait"
    assert await door.ask("right") == "in"


async def test_a_wrong_password_at_home_waits_too(door: Door, checks: Checks) -> None:
    del checks
    assert await door.ask("right") == "in"
    ends = [await door.ask("wrong") for _ in range(PAIR.free + 1)]
    assert ends == ["wrong"] * PAIR.free + ["wait"]


async def test_where_an_account_logs_in_is_noted_once_a_week(
    door: Door, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    del checks
    noted: list[tuple[str, int]] = []
    note = known_addresses.note

    def watched(session: Any, account_id: int, network: str, now: int) -> None:
        noted.append((network, now))
        note(session, account_id, network, now)

    monkeypatch.setattr(known_addresses, "note", watched)
    for later in (0, 1, AGAIN_MS - 1, AGAIN_MS, AGAIN_MS + 1):
        door.now = NOW + later
        assert await door.ask("right") == "in"
    assert noted == [(HOME, NOW), (HOME, NOW + AGAIN_MS)]


@pytest.mark.parametrize("name", ["\x00", "a\ud800", "\u202e", "x" * 5000, ""])
async def test_a_name_that_no_account_has_is_just_wrong(
    door: Door, checks: Checks, name: str
) -> None:
    assert await door.ask("right", name=name) == "wrong"
    assert checks.asked == ["right"]  # as long as any other


async def test_a_store_that_takes_nothing_does_not_keep_the_owner_out(
    door: Door, checks: Checks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del checks

    def fail(*_given: object) -> None:
        raise StoreBusyError("full")

    monkeypatch.setattr(known_addresses, "note", fail)
    assert await door.ask("right") == "in"
    assert "not noted: StoreBusyError" in caplog.text
