"""Where an account logged in: found again, bounded, and forgotten."""

from __future__ import annotations

from staging.store import Database, accounts, known_addresses

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
ADDRESSES_LIMIT = 50
LIFETIME_MS = 31_536_000_000

NOW = 1_495_000_000_000


def test_an_address_is_known_to_the_account_that_logged_in_there(database: Database) -> None:
    call = database.call
    one, other = (call(accounts.add, name, "x", NOW).id for name in ("one", "other"))
    call(known_addresses.note, one, "192.0.2.1", NOW)
    call(known_addresses.note, one, "192.0.2.1", NOW + 5)
    found = call(known_addresses.look_up, "one", "192.0.2.1")
    assert found.login is not None
    assert (found.login.account_id, found.known_at) == (one, NOW + 5)
    assert call(known_addresses.look_up, "one", "192.0.2.2").known_at is None
    assert call(known_addresses.look_up, "other", "192.0.2.1").known_at is None
    assert call(known_addresses.look_up, "nobody", "192.0.2.1").login is None
    call(known_addresses.forget, other)
    assert call(known_addresses.look_up, "one", "192.0.2.1").known_at is not None
    call(known_addresses.forget, one)
    assert call(known_addresses.look_up, "one", "192.0.2.1").known_at is None


def test_old_ones_and_too_many_are_forgotten(database: Database) -> None:
    call = database.call
    one = call(accounts.add, "one", "x", NOW).id
    for number in range(ADDRESSES_LIMIT + 3):
        call(known_addresses.note, one, f"10.0.0.{number}", NOW + number)
    known = [
        call(known_addresses.look_up, "one", f"10.0.0.{number}").known_at is not None
        for number in range(ADDRESSES_LIMIT + 3)
    ]
    assert known == [False] * 3 + [True] * ADDRESSES_LIMIT
    call(known_addresses.note, one, "10.0.1.1", NOW + LIFETIME_MS + ADDRESSES_LIMIT)
    assert call(known_addresses.look_up, "one", "10.0.0.20").known_at is None
