"""What a parent reads of each entry, in both languages; the page lists and erases them in a browser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.local.page.ledger_view import build_ledger
from agent.voice.ledger import Ledger
from agent.voice.ledger_book import Book, Entry
from tests.agent.local.page.machine import Machine
from tests.staging.console.page import Page
from wire.family import Why

AT = 1_800_000_000
SENT = Entry(0, AT, "button", open=4.0, seconds=1.5, bytes=945, utterance=1, end="sent", to="c:1")


def shown(book: Book, language: str = "en") -> list[dict[str, Any]]:
    found: Any = build_ledger({**book.shown(), "fault": None}, language)["entries"]
    return list(found)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("why", list(Why))
def test_each_reason_has_words(why: Why, language: str) -> None:
    book = Book()
    book.add(Entry(0, AT, why))
    text = shown(book, language)[0]["text"]
    assert text
    assert not text.startswith(f"{why};")


def test_what_becomes_of_it_is_told() -> None:
    book = Book()
    book.add(SENT)
    fates = []
    for step in ("not told", "kept", "days", "waits", "erased"):
        if step in {"kept", "days"}:
            book.days = 0 if step == "kept" else 30
        if step == "waits":
            book.erase(None, AT)
        if step == "erased":
            book.note_erased({1}, AT)
        (entry,) = shown(book)
        fates.append((entry["fate"].partition(" 20")[0], entry["erasable"]))
    assert fates == [
        ("the cloud has not said how long it keeps it", True),
        ("the cloud keeps it until somebody erases it", True),
        ("the cloud deletes it on", True),
        ("waits to be erased: it is done when the cloud is there", False),
        ("erased on", False),
    ]


def test_a_fault_of_the_disk_is_told_in_the_language() -> None:
    told = build_ledger({"entries": [], "days": None, "fault": "x: No space left on device"}, "en")
    assert told["fault"]


def test_a_parent_reads_and_erases_on_the_page(page: Page, machine: Machine) -> None:
    ledger = Ledger(machine.state, lambda: AT)
    asyncio.run(ledger.add(SENT))
    page.click("#voice summary")
    page.see("#voice-list", "the talk button; the microphone was open for 4.0 s; 1.5 s of speech")
    page.click("#voice-list button")
    page.see("#voice-list", "waits to be erased")
    page.see("#said", "It will be erased")
    assert page.errors() == []
