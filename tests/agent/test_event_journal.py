"""The event journal: what it tells, what it must not, and what a bad card does to it."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.event_journal import FILE_NAME, OLD_NAME, EventJournal
from base.files import make_folder
from tests.waiting import until
from wire.codes import Code
from wire.exchange import Answer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FILE_MAX = 196_608
WAITING_MAX = 400

DONE, REFUSED = Answer(Code.CHANGED), Answer(Code.BAD_REQUEST, b"no")


def journal(state: Path) -> EventJournal:
    return EventJournal(state, lambda: 1000.256)


async def refuse(_asked: bytes) -> Answer:
    return REFUSED


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_each_event_is_a_line_with_its_time(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.note("start", version="1.0.0")
    book.note_order("volume", "7", DONE, local=True)
    assert await book.noting(lambda: {"version": None}, "update", refuse)(b"{}") is REFUSED
    await book.close()
    await book.close()
    assert lines(tmp_path / FILE_NAME) == [
        {"at": 1000.26, "what": "start", "version": "1.0.0"},
        {"at": 1000.26, "what": "order", "by": "hand", "name": "volume", "code": "2.04",
         "value": "7"},
        {"at": 1000.26, "what": "update", "code": "4.00", "version": ""},
    ]  # fmt: skip
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "text", "answer", "told"),
    [
        ("play", "Snow White", DONE, "title 1"),
        ("play", "https://u:secret@host/a.mp3", DONE, "title 1"),
        ("play", "stop", DONE, "stop"),
        ("player", "next", DONE, "next"),
        ("player", '{"position": 9}', DONE, None),
        ("volume", "12", DONE, "12"),
        ("volume", "0" * 81, DONE, None),
        ("volume", "小红帽", DONE, None),
        ("rules", "quiet 20:00-07:00; daily 60", DONE, "quiet 20:00-07:00; daily 60"),
        ("volume", "12", Answer(Code.BAD_REQUEST), None),
        ("a_makers_own", "12", DONE, None),
    ],
)
async def test_no_title_and_no_free_text_is_told(
    tmp_path: Path, name: str, text: str, answer: Answer, told: str | None
) -> None:
    book = journal(tmp_path)
    book.note_order(name, text, answer, local=False)
    await book.close()
    (line,) = lines(tmp_path / FILE_NAME)
    assert line.get("value") == told
    assert line["name"] == name


async def test_the_name_of_an_unknown_data_point_is_a_strangers_text(tmp_path: Path) -> None:
    book = journal(tmp_path)
    book.note_order("token-4711", "x", Answer(Code.NOT_FOUND), local=False)
    await book.close()
    assert lines(tmp_path / FILE_NAME)[0]["name"] == "?"


async def test_the_link_is_told_when_it_changes(tmp_path: Path) -> None:
    book = journal(tmp_path)
    for is_up, phase in [(True, ""), (False, "serve"), (False, "dns"), (False, "dns"), (True, "")]:
        book.note_link(is_up=is_up, phase=phase)
    await book.close()
    told = [(line["up"], line.get("phase")) for line in lines(tmp_path / FILE_NAME)]
    assert told == [(True, None), (False, "serve"), (False, "dns"), (True, None)]


async def test_two_files_are_its_bound(tmp_path: Path) -> None:
    book = journal(tmp_path)
    for _ in range(3):
        (tmp_path / FILE_NAME).write_bytes(b"x" * (FILE_MAX + 1))
        book.note("start")
        await book.close()
    assert names(tmp_path) == {FILE_NAME, OLD_NAME}
    assert len(lines(tmp_path / FILE_NAME)) == 1


async def test_what_a_full_card_costs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = journal(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        for number in range(WAITING_MAX + 5):
            book.note("n", number=number)
        await book.close()
    await book.close()
    first, second, *rest = lines(tmp_path / FILE_NAME)
    assert first == {"what": "lost", "count": 5}
    assert second["number"] == 5
    assert len(rest) == WAITING_MAX - 1
    book.note("later")
    await book.close()
    assert lines(tmp_path / FILE_NAME)[-1]["what"] == "later"


async def test_what_a_write_is_under_way_with_is_not_lost_though_more_comes_than_may_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, free = threading.Event(), threading.Event()
    write = os.write

    def slow(descriptor: int, data: bytes) -> int:
        begun.set()
        free.wait(30)
        return write(descriptor, data)

    book = journal(tmp_path)
    for number in range(10):
        book.note("n", number=number)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", slow)
        writing = asyncio.create_task(book.close())
        await until(begun.is_set)
        for number in range(10, WAITING_MAX + 5):
            book.note("n", number=number)
        free.set()
        await writing
    await book.close()
    told = lines(tmp_path / FILE_NAME)
    assert [line.get("number") for line in told] == list(range(WAITING_MAX + 5))


async def test_a_write_that_is_under_way_at_the_end_is_not_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, free = threading.Event(), threading.Event()
    write = os.write

    def slow(descriptor: int, data: bytes) -> int:
        begun.set()
        free.wait(30)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", slow)
    book = journal(tmp_path)
    book.note("start")
    running = asyncio.create_task(book.close())
    await until(begun.is_set)
    running.cancel()
    await asyncio.wait([running])
    book.note("end")
    ending = asyncio.create_task(book.close())
    await asyncio.sleep(0)  # it has begun to wait
    free.set()
    await ending
    assert [line["what"] for line in lines(tmp_path / FILE_NAME)] == ["start", "end"]


async def test_a_card_that_hangs_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    monkeypatch.setattr("agent.event_journal.WRITE_SECONDS", 0)
    monkeypatch.setattr(os, "write", lambda _descriptor, data: free.wait(30) and len(data))
    book = journal(tmp_path)
    book.note("start")
    await book.close()
    await book.close()
    free.set()


@pytest.mark.parametrize("spoil", [make_folder, os.mkfifo, lambda path: path.symlink_to(path.name)])
async def test_a_spoilt_file_is_no_fault_of_the_agent(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(tmp_path / FILE_NAME)
    book = journal(tmp_path)
    book.note("start")
    await book.close()


async def test_five_hundred_titles_are_told_apart(tmp_path: Path) -> None:
    book = journal(tmp_path)
    told = [book._title_of(f"story {number}") for number in range(501)]
    assert (told[0], told[499], told[500], len(set(told))) == (
        "title 1",
        "title 500",
        "title 0",
        501,
    )
    assert book._title_of("story 7") == "title 8"
