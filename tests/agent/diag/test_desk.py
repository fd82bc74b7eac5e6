"""The machine's side of its diagnosis, with a small program in place of the command."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from agent.diag import desk
from agent.diag.desk import DiagDesk, own_log
from tests.waiting import DEADLINE
from wire.codes import Code
from wire.diag import Piece, State, parse_piece, part_query
from wire.exchange import Request

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PART_BYTES = 24_576
SIZE_LIMIT = 2_097_152

PATH = ("diag",)


def prints(monkeypatch: pytest.MonkeyPatch, code: str) -> DiagDesk:
    """Return a desk whose command is a line of Python."""
    monkeypatch.setattr(desk, "command", lambda _words: [sys.executable, "-S", "-c", code])
    return DiagDesk([])


async def post(made: DiagDesk) -> int:
    return (await made.handle(Request("POST", PATH))).code


async def get(made: DiagDesk, part: int = 0) -> Piece:
    async with asyncio.timeout(DEADLINE):
        while True:
            answer = await made.handle(Request("GET", PATH, part_query(part)))
            assert answer.code == Code.CONTENT, answer.text
            piece = parse_piece(answer.payload)
            if piece.state is not State.GATHERING:
                return piece
            await asyncio.sleep(0.001)


async def test_an_archive_is_made_once_and_given_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    made = prints(monkeypatch, f"import sys; sys.stdout.write('x' * {PART_BYTES + 1})")
    assert (await made.handle(Request("GET", PATH))).code == Code.NOT_FOUND
    assert await post(made) == Code.CHANGED
    task = made._task
    assert await post(made) == Code.CHANGED
    assert made._task is task
    first, second = await get(made), await get(made, 1)
    assert (first.parts, first.data + second.data) == (2, b"x" * (PART_BYTES + 1))
    assert (await made.handle(Request("GET", PATH, ("part=2",)))).code == Code.NOT_FOUND
    assert await post(made) == Code.CHANGED
    assert made._task is None  # it is fresh: not made anew
    monkeypatch.setattr(desk, "KEEP_SECONDS", -1.0)
    assert (await made.handle(Request("GET", PATH))).code == Code.NOT_FOUND
    await made.close()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("pass", "ended with 0"),
        (f"import sys; sys.stdout.write('x' * {SIZE_LIMIT + 1})", "more than"),
    ],
)
async def test_a_failure_is_told(monkeypatch: pytest.MonkeyPatch, code: str, reason: str) -> None:
    made = prints(monkeypatch, code)
    await post(made)
    piece = await get(made)
    assert piece.state is State.FAILED
    assert reason in piece.reason


async def test_what_hangs_ends_with_the_agent_or_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = prints(monkeypatch, "import time; time.sleep(1000)")
    await post(made)
    await made.close()
    assert made._task is None
    monkeypatch.setattr(desk, "GATHER_SECONDS", 0.0)
    await post(made)
    assert "not gathered within" in (await get(made)).reason


async def test_other_requests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = prints(monkeypatch, "pass")
    assert (await made.handle(Request("PUT", PATH))).code == Code.METHOD_NOT_ALLOWED
    assert (await made.handle(Request("GET", PATH, ("part=x",)))).code == Code.BAD_REQUEST


def test_a_log_in_a_file_is_named_and_a_terminal_is_not(tmp_path: Path) -> None:
    file = tmp_path / "agent.log"
    with file.open("w") as log:
        assert own_log(log.fileno()) == str(file)
    reading, writing = os.pipe()
    try:
        assert own_log(writing) == ""
    finally:
        os.close(reading)
        os.close(writing)
    assert own_log(writing) == ""
    assert desk.command(["--state", "/s"])[:7] == [
        sys.executable, "-P", "-m", "agent.cli", "diag", "-", "--state",
    ]  # fmt: skip
