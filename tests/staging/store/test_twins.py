"""What the store has of devices that are two machines."""

from __future__ import annotations

import pytest

from staging.store import Database, devices, twins

A, B = "0083000000000a", "0083000000000b"
NOW, WINDOW = 10**12, 600_000


@pytest.fixture
def store(database: Database) -> Database:
    for uuid in (A, B):
        database.call(devices.add, uuid, 0)
    return database


def test_the_newest_sign_of_each_device_is_there(store: Database) -> None:
    store.call(twins.note, {A: NOW - 5, B: NOW, "unknown": NOW}, NOW, WINDOW)
    store.call(twins.note, {A: NOW + 1000}, NOW + 1000, WINDOW)
    store.call(
        twins.note, {A: NOW + 500}, NOW + 1000, WINDOW
    )  # of another worker, which was slower
    assert store.call(twins.since, 0) == [(B, NOW), (A, NOW + 1000)]
    assert store.call(twins.since, NOW) == [(A, NOW + 1000)]


@pytest.mark.parametrize("later", [WINDOW, -WINDOW - 1])
def test_what_does_not_count_any_more_goes_with_the_next_sign(store: Database, later: int) -> None:
    store.call(twins.note, {A: NOW}, NOW, WINDOW)
    store.call(twins.note, {B: NOW + later}, NOW + later, WINDOW)
    assert store.call(twins.since, 0) == [(B, NOW + later)]
