"""Entries wait for a store that is away, and come as CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import asyncio
import csv
import logging
from typing import Any

import pytest

from staging import audit as log
from staging.audit import COLUMNS, HEAD, Audit, to_csv
from staging.errors import StoreBusyError
from staging.store import Database, audit
from staging.store.audit import Entry, Filter, Source

pytestmark = pytest.mark.one_database


def entry(number: int, **other: Any) -> Entry:
    return Entry(number, Source.API, "ada", "device.control", **other)


class Away:
    """A store that cannot be used while it is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away = True

    async def write(self, *given: Any) -> Any:
        if self.away:
            raise StoreBusyError("away")
        return await self._database.write(*given)


async def test_what_a_store_did_not_take_comes_later_and_in_order(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    store = Away(database)
    kept = Audit(store, lambda: 0)  # type: ignore[arg-type]
    await kept.add(entry(1))
    kept.note(entry(2))
    assert not await kept.save()
    assert not [
        each for each in caplog.records if each.levelno >= logging.WARNING
    ]  # the store tells, once
    store.away = False
    assert await kept.save()
    assert [e.ts for e in database.call(audit.page, Filter(), 9)] == [2, 1]


async def test_entries_are_stored_soon_and_no_more_than_the_bound_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "FLUSH_SECONDS", 0)
    monkeypatch.setattr(log, "WAITING_LIMIT", 2)
    kept = Audit(database, lambda: 0)
    for number in range(4):
        kept.note(entry(number))
    saving = asyncio.create_task(kept.keep_saving())
    async with asyncio.timeout(30):
        while len(await database.read(audit.page, Filter(), 9)) < 2:
            await asyncio.sleep(0.005)
    saving.cancel()
    assert [e.ts for e in database.call(audit.page, Filter(), 9)] == [3, 2]


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("-2", "'-2"), ("@x", "'@x"), ("+x", "'+x"), ('a"b,c', 'a"b,c')],
)
def test_a_cell_is_text(database: Database, text: str, cell: str) -> None:
    database.call(audit.add, [Entry(0, Source.COMMAND, text, "device.add", target="孩子")])
    whole = HEAD + to_csv(database.call(audit.page, Filter(), 9))
    rows = list(csv.reader(whole.removeprefix("\ufeff").splitlines(keepends=True)))
    assert rows[0] == list(COLUMNS)
    shown = dict(zip(COLUMNS, rows[1], strict=True))
    assert (shown["actor"], shown["target"]) == (cell, "孩子")
    assert shown["time"] == "1970-01-01T00:00:00Z"
