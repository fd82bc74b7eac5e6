"""The journal's protocol against a socket that reads it as journald does."""

from __future__ import annotations

import io
import logging
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.journal import (
    JournalHandler,
    PrefixHandler,
    entry,
    is_journal,
    journal_handler,
    priority_of,
)
from agent.logs import RedactingFormatter

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MESSAGE_LIMIT = 4_096


def parse(datagram: bytes) -> dict[str, str]:
    """Read an entry as https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ describes it."""
    fields: dict[str, str] = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, datagram = rest[8 : 8 + length], rest[9 + length :]
            assert rest[8 + length : 9 + length] == b"\n"
        else:
            datagram = rest
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.setblocking(False)
        yield server


@pytest.fixture
def logger(journald: socket.socket) -> Iterator[logging.Logger]:
    handler = journal_handler(Path(journald.getsockname()))
    assert isinstance(handler, JournalHandler)
    handler.setFormatter(RedactingFormatter("%(name)s: %(message)s", ["geheim"]))
    logger = logging.getLogger("journal-test")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger
    logger.removeHandler(handler)
    handler.close()


def test_a_record_has_priority_event_and_no_secret(
    journald: socket.socket, logger: logging.Logger
) -> None:
    logger.warning("the token %s\nis wrong", "geheim", extra={"event": "offline"})
    assert parse(journald.recv(100_000)) == {
        "MESSAGE": "journal-test: the token [secret]\\nis wrong", "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "story-agent", "LOGGER": "journal-test", "STORY_EVENT": "offline",
    }  # fmt: skip
    try:
        raise ValueError("geheim")
    except ValueError:
        logger.exception("failed")
    fields = parse(journald.recv(100_000))
    assert fields["PRIORITY"] == "3"
    assert fields["MESSAGE"].endswith("ValueError: [secret]")


def test_a_long_record_is_cut(journald: socket.socket, logger: logging.Logger) -> None:
    logger.error("x" * 1_000_000)
    message = parse(journald.recv(1_000_000))["MESSAGE"]
    assert message.endswith(f"({1_000_000 - MESSAGE_LIMIT} more characters)")
    logger.error("failed", exc_info=ValueError("\n".join(["x" * 900] * 1000)))
    assert len(parse(journald.recv(1_000_000))["MESSAGE"]) == 48 * 1024


def test_a_journal_that_hangs_or_goes_costs_no_record_and_no_time(
    journald: socket.socket, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2000):  # more than a socket's queue
        logger.error("full")
    assert "<3>journal-test: full\n" in capsys.readouterr().err
    journald.close()
    logger.error("a\nb")
    assert capsys.readouterr().err == "<3>journal-test: a\\nb\n"


def test_without_a_socket_lines_have_prefixes(tmp_path: Path) -> None:
    assert isinstance(journal_handler(tmp_path / "none"), PrefixHandler)
    out = io.StringIO()
    handler = PrefixHandler(out)
    handler.emit(logging.LogRecord("n", logging.INFO, "f", 1, "a\nb", (), None))
    handler.emit(logging.LogRecord("n", logging.DEBUG, "f", 1, "", (), None))
    assert out.getvalue() == "<6>a\n<6>b\n<7>\n"


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (60, 2),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (25, 6),
        (logging.INFO, 6),
        (logging.DEBUG, 7),
    ],
)
def test_priorities(level: int, priority: int) -> None:
    assert priority_of(level) == priority


def test_an_odd_letter_is_no_error() -> None:
    assert parse(entry({"A": "\udcff", "B": ""})) == {"A": "?", "B": ""}


def test_only_the_stream_of_systemd_is_the_journal(tmp_path: Path) -> None:
    """A real process whose stderr is, or is not, what JOURNAL_STREAM names."""
    code = (
        "import logging; from agent.logs import set_up_logging; set_up_logging(); "
        "logging.getLogger('agent').info('hello')"
    )
    log = tmp_path / "log"
    for matches in (True, False):
        with log.open("wb") as file:
            found = os.fstat(file.fileno())
            told = f"{found.st_dev}:{found.st_ino + (not matches)}"
            subprocess.run(
                [sys.executable, "-c", code], stderr=file, check=True, timeout=60,
                env={**os.environ, "JOURNAL_STREAM": told},
            )  # fmt: skip
        text = log.read_text()
        # Without journald's socket, as in a container, the prefixes are what there is.
        assert text.endswith("agent: hello\n") or Path("/run/systemd/journal/socket").exists()
        assert text.startswith("<6>") is (
            matches and not Path("/run/systemd/journal/socket").exists()
        )
    assert not is_journal({})
    assert not is_journal({"JOURNAL_STREAM": "1:2"}, 9999)
