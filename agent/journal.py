"""Log records in systemd's journal with priorities and fields, by its own protocol; no library is needed for it.

One datagram is one entry: ``NAME=value`` lines, or the name, a line feed, the value's length as 64 bits
little-endian and the value, if it has line feeds (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). Where there is no journal socket,
the lines go to stderr behind ``<priority>``, as sd-daemon(3) has it.

Fields of ours: STORY_EVENT, by which a machine's story is found without its words
(``journalctl -u story-agent STORY_EVENT=offline``), and LOGGER.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "story-agent"
# Bytes; a datagram may have some 200 KiB, and no line of ours needs more than a traceback has.
MESSAGE_MAX = 48 * 1024
# syslog(3).
_PRIORITIES = (
    (logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6),
)  # fmt: skip


def priority_of(level: int) -> int:
    """Return syslog's priority of a level of `logging`."""
    return next((priority for least, priority in _PRIORITIES if level >= least), 7)


def is_journal(environment: Mapping[str, str], descriptor: int = 2) -> bool:
    """Return whether a descriptor is the stream that systemd has connected with the journal."""
    told = environment.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return told == f"{found.st_dev}:{found.st_ino}"


def entry(fields: Mapping[str, str]) -> bytes:
    """Return one entry's datagram."""
    parts = []
    for name, value in fields.items():
        body = value.encode("utf-8", "replace")
        if b"\n" in body:
            parts.append(name.encode() + b"\n" + struct.pack("<Q", len(body)) + body + b"\n")
        else:
            parts.append(name.encode() + b"=" + body + b"\n")
    return b"".join(parts)


class JournalHandler(logging.Handler):
    """Sends each record to the journal; never waits for it."""

    def __init__(self, path: Path = SOCKET) -> None:
        """Send to the socket ``path``; raises OSError if nobody listens there."""
        super().__init__()
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, or write it to stderr if the journal is busy or gone."""
        text = self.format(record)[:MESSAGE_MAX]
        fields = {
            "MESSAGE": text,
            "PRIORITY": str(priority_of(record.levelno)),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "LOGGER": record.name,
        }
        if isinstance(event := getattr(record, "event", None), str):
            fields["STORY_EVENT"] = event
        try:
            self._socket.send(entry(fields))
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(prefixed(text, record.levelno))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


def prefixed(text: str, level: int) -> str:
    """Return lines for stderr, each with its priority."""
    mark = f"<{priority_of(level)}>"
    return "".join(f"{mark}{line}\n" for line in text.splitlines() or [""])


class PrefixHandler(logging.StreamHandler[TextIO]):
    """Writes each record to stderr with its priority before each line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            self.stream.write(prefixed(self.format(record), record.levelno))
            self.flush()
        except (OSError, ValueError):
            self.handleError(record)


def journal_handler(path: Path = SOCKET) -> logging.Handler:
    """Return what writes to the journal: by its socket, else by stderr."""
    try:
        return JournalHandler(path)
    except OSError:
        return PrefixHandler(sys.stderr)
