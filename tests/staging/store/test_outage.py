"""What is told of an outage: a line at its beginning, a line at its end, and none in between."""

from __future__ import annotations

import logging
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from staging.errors import StoreBusyError, StoreDamagedError, StoreFullError
from staging.store.outage import Outage

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FULL_RETRY_SECONDS = 1.0
QUIET_SECONDS = 10.0


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def error(code: int, text: str) -> OperationalError:
    cause = sqlite3.OperationalError(text)
    cause.sqlite_errorcode = code
    return OperationalError("INSERT", {}, cause)


FULL = (sqlite3.SQLITE_FULL, "database or disk is full")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def outage(time: Time) -> Outage:
    return Outage("the store", time)


def fail(outage: Outage, code: int, text: str, *, writes: bool = True) -> None:
    with outage.watch(writes=writes):
        raise error(code, text)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, StoreFullError),
        (sqlite3.SQLITE_IOERR_WRITE, StoreFullError),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StoreFullError),
        (sqlite3.SQLITE_CANTOPEN, StoreFullError),
        (sqlite3.SQLITE_BUSY, StoreBusyError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusyError),
        (sqlite3.SQLITE_CORRUPT, StoreDamagedError),
        (sqlite3.SQLITE_CORRUPT_INDEX, StoreDamagedError),
    ],
)
def test_what_an_error_means(outage: Outage, code: int, kind: type[StoreBusyError]) -> None:
    with pytest.raises(kind) as raised:
        fail(outage, code, "why")
    assert type(raised.value) is kind
    assert str(raised.value) == "the store: why"
    assert "数据库" in raised.value.zh
    assert "why" in raised.value.zh


def test_who_comes_at_once_behind_a_lost_connection_is_told_the_same(outage: Outage) -> None:
    fault = OperationalError(
        "SELECT", {}, Exception("Connection refused"), connection_invalidated=True
    )
    told = []
    for _ in range(2):
        with pytest.raises(StoreBusyError) as raised, outage.watch():
            raise fault
        told.append((str(raised.value), raised.value.zh))
    assert told[0] == told[1]
    assert told[0][0] == "the store: Connection refused"
    assert "数据库连不上" in told[0][1]
    assert "Connection refused" in told[0][1]


def test_an_error_of_the_statement_is_left_as_it_is(outage: Outage) -> None:
    with pytest.raises(OperationalError):
        fail(outage, sqlite3.SQLITE_ERROR, "no such table")


def test_a_full_disk_is_told_once_and_when_it_is_over(
    outage: Outage, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreFullError, match="disk is full"):
        fail(outage, *FULL)
    for _ in range(1000):
        with pytest.raises(StoreFullError, match="disk is full"), outage.watch(writes=True):
            pytest.fail("nothing is tried so soon")
    with outage.watch():
        pass  # reads go on
    time.now = FULL_RETRY_SECONDS
    with outage.watch(writes=True):
        pass  # a small write fitted: that is not the end
    assert len(caplog.records) == 1
    time.now += QUIET_SECONDS
    with outage.watch(writes=True):
        pass
    with outage.watch(writes=True):
        pass
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("the store: cannot be written: database or disk is full (")
    assert last == "the store: takes writes again after 11 s; 1001 were refused"
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_a_read_does_not_end_a_full_disk(outage: Outage, time: Time) -> None:
    with pytest.raises(StoreFullError):
        fail(outage, *FULL)
    time.now = 2 * QUIET_SECONDS
    with outage.watch():
        pass
    with pytest.raises(StoreFullError):
        fail(outage, *FULL)


def test_damage_is_told_once_with_what_to_do(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with pytest.raises(StoreDamagedError):
            fail(outage, sqlite3.SQLITE_CORRUPT, "malformed", writes=False)
    assert len(caplog.records) == 1
    assert "story-cloud restore FILE" in caplog.text
