"""The ledger's rules: bounded, kept as JSON through damage, and what is to be erased is not forgotten."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.voice.ledger_book import (
    DAY_SECONDS,
    Book,
    Entry,
    Erased,
    dump_book,
    parse_book,
    spoken_of,
)
from wire.errors import WireError
from wire.family import Spoken

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
ENTRIES_MAX = 300

SENT = Entry(0, 1000, "button", open=4.2, seconds=1.5, bytes=900, utterance=10_001, end="sent", to="cloud:9001")  # fmt: skip
UNHEARD = Entry(0, 2000, "word", open=9.0, end="nothing")


def filled(*entries: Entry) -> Book:
    book = Book()
    for entry in entries:
        book.add(entry)
    return book


def test_what_nobody_has_is_erased_at_once_and_what_the_cloud_has_waits_for_it() -> None:
    book = filled(SENT, UNHEARD)
    assert book.erase(None, 3000) == 2
    assert [entry.erased for entry in book.entries] == [Erased.WAITING, Erased.DONE]
    assert spoken_of(book.waiting()) == [Spoken(10_001, 1_000_000)]
    assert book.erase(None, 3001) == 0
    book.note_erased({1, 2}, 4000)
    assert [(e.erased, e.erased_at) for e in book.entries] == [("done", 4000), ("done", 3000)]


def test_numbers_that_are_not_there_are_told() -> None:
    book = filled(SENT)
    assert book.missing([1, 7]) == {7}
    assert book.erase([7], 0) == 0


def test_the_oldest_goes_but_not_while_the_cloud_is_to_erase_it() -> None:
    book = filled(SENT)
    book.erase([1], 0)
    for n in range(ENTRIES_MAX + 20):
        book.add(replace(UNHEARD, at=n))
    assert len(book.entries) == ENTRIES_MAX
    assert book.entries[0].erased == Erased.WAITING
    assert book.entries[-1].number == ENTRIES_MAX + 21


def test_all_that_waits_is_bounded_too() -> None:
    book = filled(*[SENT] * ENTRIES_MAX)
    book.erase(None, 0)
    book.add(SENT)
    assert (len(book.entries), book.entries[0].number) == (ENTRIES_MAX, 2)


def test_when_the_cloud_deletes_it_by_itself() -> None:
    book = filled(SENT, UNHEARD)
    assert [e["deleted_at"] for e in book.shown()["entries"]] == [None, None]  # type: ignore[attr-defined]
    book.days = 30
    assert [e["deleted_at"] for e in book.shown()["entries"]] == [None, 1000 + 30 * DAY_SECONDS]  # type: ignore[attr-defined]


def test_a_family_that_has_gone_takes_its_entries_along() -> None:
    book = filled(SENT, replace(SENT, at=5000))
    book.forget(1000, 5000)
    assert [entry.at for entry in book.entries] == [5000]
    assert book.add(SENT).number == 3


entries = st.builds(
    Entry,
    st.integers(1, 10**6),
    st.integers(0, 2**40),
    st.sampled_from(["button", "word", "file"]),
    open=st.floats(0, 1e4),
    seconds=st.floats(0, 1e4),
    bytes=st.integers(0, 10**9),
    utterance=st.none() | st.integers(0, 2**40),
    end=st.text(max_size=10),
    to=st.text(max_size=20),
    erased=st.sampled_from(list(Erased)),
    erased_at=st.none() | st.integers(0, 2**40),
)


@given(st.lists(entries, max_size=5), st.none() | st.integers(0, 36_500))
def test_a_book_is_read_as_it_was_written(found: list[Entry], days: int | None) -> None:
    book = Book(found, 10**7, days)
    read = parse_book(dump_book(book))
    assert (read.entries, read.next_number, read.days) == (found, 10**7, days)


def test_a_damaged_entry_costs_itself_alone() -> None:
    whole = json.loads(dump_book(filled(SENT, UNHEARD, SENT)))
    whole["entries"][1] = {"number": 2, "at": "now"}
    whole["entries"] += [7, whole["entries"][0] | {"number": 9, "open": 10**400}]
    read = parse_book(json.dumps(whole).encode())
    assert [entry.number for entry in read.entries] == [1, 3]
    assert read.add(SENT).number == 4


@pytest.mark.parametrize("data", [b"", b"[]", b'{"entries": 5, "next": 1}', b'{"entries": []}'])
def test_what_is_no_book_is_told(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_book(data)


def test_a_family_that_has_gone_leaves_nothing_of_a_clock_that_was_ahead() -> None:
    now = 5000.0
    book = filled(SENT, replace(SENT, at=10**9), replace(UNHEARD, at=4999))
    book.forget(2000, now)
    assert [entry.at for entry in book.entries] == [4999]
