"""Text from elsewhere stays on its line of a log, whatever it is."""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.log_text import TRACE_MARK, LineFormatter, cut, escape

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MESSAGE_LIMIT = 4_096
TRACE_LINES_LIMIT = 200

ROOT = Path(__file__).parents[2]
FORGED = "2026-01-01 00:00:00,000 ERROR staging: all is lost"


def logged(message: str, *arguments: object, error: BaseException | None = None) -> str:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(LineFormatter("%(levelname)s: %(message)s"))
    info = (type(error), error, error.__traceback__) if error is not None else None
    handler.handle(logging.LogRecord("x", logging.INFO, "x", 1, message, arguments, info))
    return out.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("小熊 故事机\u3000é", "小熊 故事机\u3000é"), ("a\nb\r\n", "a\\nb\\r\\n"), ("\x1b[2J", "\\x1b[2J"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"), ("\u202e\u2066\u200f", "\\u202e\\u2066\\u200f"), ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"), ("\x00", "\\x00"), ("\t", "\\t"),
    ],
)  # fmt: skip
def test_what_is_not_printable_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_is_one_printable_line(text: str) -> None:
    line = logged("device %s: refused", text)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert len(line.splitlines()) == 1
    line.encode()


def test_a_long_text_is_cut_and_says_so() -> None:
    line = logged("device %s", "x" * 10_000)
    assert len(line) < MESSAGE_LIMIT + 60
    assert line.endswith(f"… ({10_000 + len('device ') - MESSAGE_LIMIT} more characters)\n")
    assert cut("abc", 3) == "abc"


def test_a_traceback_is_behind_marks_also_where_its_text_has_lines() -> None:
    try:
        raise ValueError(f"x\n{FORGED}\x1b[2J")
    except ValueError as error:
        text = logged("failed", error=error)
    first, *others = text.rstrip("\n").split("\n")
    assert first == "INFO: failed"
    assert all(line.startswith(TRACE_MARK) for line in others)
    assert f"{TRACE_MARK}{FORGED}\\x1b[2J" in others


def test_a_traceback_has_a_limit_and_keeps_both_ends() -> None:
    try:
        raise ValueError("\n".join(str(number) for number in range(10_000)))
    except ValueError as error:
        lines = logged("failed", error=error).splitlines()
    assert len(lines) <= TRACE_LINES_LIMIT + 2
    assert lines[1] == f"{TRACE_MARK}Traceback (most recent call last):"
    assert lines[-1] == f"{TRACE_MARK}9999"


class Hiding(LineFormatter):
    def hide(self, text: str) -> str:
        return text.replace("secret", "***")


def test_each_line_of_a_traceback_has_a_thousand_characters() -> None:
    *_, last = logged("failed", error=ValueError("x" * 3000)).splitlines()
    assert last == f"    | ValueError: {'x' * 988}… (2012 more characters)"


def test_a_secret_is_hidden_before_a_text_is_cut() -> None:
    record = logging.LogRecord(
        "x", logging.INFO, "x", 1, "%s", ("x" * (MESSAGE_LIMIT - 3) + "secret",), None
    )
    assert "sec" not in Hiding("%(message)s").format(record)


def test_every_handler_of_ours_has_this_formatter() -> None:
    """No other module of the device or the cloud sets up logging, so no call can miss it."""
    made = re.compile(r"\b(basicConfig|setFormatter|Formatter|StreamHandler|FileHandler)\(")
    rooms = (
        "wire",
        "audio",
        "base",
        "transport",
        "machine",
        "resources",
        "ota",
        "agent",
        "staging",
    )
    files = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in files if made.search(path.read_text("utf-8"))}
    # The trial's log gets the agent's formatter handed in (`agent.updates.glue`).
    assert found == {"agent/logs.py", "ota/trial/log.py", "staging/logs.py"}
