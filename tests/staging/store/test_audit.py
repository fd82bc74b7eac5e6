"""The audit log in the store: whose an entry is, pages, filters, and what is purged."""

from __future__ import annotations

from typing import Any

from staging.store import Database, accounts, audit, devices
from staging.store.audit import Entry, Filter, Source

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEPT_MS = 34_560_000_000

UUID = "0083000000000a"


def entry(number: int, **other: Any) -> Entry:
    return Entry(number, Source.CONSOLE, f"user {number}", "device.name", **other)


def test_an_entry_is_of_who_owns_the_device_then(database: Database) -> None:
    def use(session: Any) -> tuple[int, int]:
        first, second = (accounts.find_or_make(session, name, 0) for name in ("first", "second"))
        device = devices.add(session, UUID, 0)
        token = device.bind_token or ""
        for account in (first, second):
            devices.bind(session, UUID, token, account.id, 0)
            audit.add(session, [entry(account.id, device=UUID)])
            devices.unbind(session, device.id, 0)
        audit.add(session, [entry(9, device=UUID)])
        return first.id, second.id

    owners = database.call(use)
    for owner in owners:
        (found,) = database.call(audit.page, Filter(subject_id=owner), 10)
        assert found.ts == owner
    whole = database.call(audit.page, Filter(device=UUID), 10)
    assert [e.subject_id for e in whole] == [None, *reversed(owners)]


def test_pages_and_filters(database: Database) -> None:
    database.call(audit.add, [entry(n, device=UUID if n % 2 else "") for n in range(6)])
    first = database.call(audit.page, Filter(), 4)
    assert [e.ts for e in first] == [5, 4, 3, 2]
    rest = database.call(audit.page, Filter(before=first[-1].id), 4)
    assert [e.ts for e in rest] == [1, 0]
    assert [e.ts for e in database.call(audit.page, Filter(device=UUID), 9)] == [5, 3, 1]
    assert [e.ts for e in database.call(audit.page, Filter(actor="user 4"), 9)] == [4]
    odd = entry(7, target="a\x00\ud800\n" + "x" * 999, device="\x00")
    database.call(audit.add, [odd])
    (kept,) = database.call(audit.page, Filter(), 1)
    assert (kept.target[:4], len(kept.target), kept.device) == ("a\ufffd\ufffd\ufffd", 255, "")


def test_what_is_old_or_too_much_goes(database: Database) -> None:
    database.call(audit.add, [entry(n) for n in (1, KEPT_MS, KEPT_MS + 1, KEPT_MS + 2)])
    database.call(audit.purge, KEPT_MS + 2)
    assert [e.ts for e in database.call(audit.page, Filter(), 9)] == [
        KEPT_MS + 2, KEPT_MS + 1, KEPT_MS,
    ]  # fmt: skip
    database.call(audit.purge, KEPT_MS + 2, 2)
    assert [e.ts for e in database.call(audit.page, Filter(), 9)] == [KEPT_MS + 2, KEPT_MS + 1]
