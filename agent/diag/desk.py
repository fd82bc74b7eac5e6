"""Gives the cloud this machine's diagnosis, when whoever owns the machine asks for it there (`wire.diag`).

The archive is made by the command, in a process of its own: by its rules without secrets and what is the family's, and
without a byte more in a daemon that nobody asks. One is made at a time, is bounded, and is forgotten after minutes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from wire.codes import Code
from wire.diag import SIZE_LIMIT, Piece, State, cut, encode_piece, parse_part
from wire.errors import WireError
from wire.exchange import Answer, Request

# Seconds: the longest part of the archive has 15, and a small machine needs as long again to begin.
GATHER_SECONDS = 90.0
# Seconds for which an archive is given away, and for which a new one is not made in its place.
KEEP_SECONDS = 300.0
FRESH_SECONDS = 20.0
_READ = 64 * 1024

_log = logging.getLogger(__name__)


class DiagDesk:
    """The archive of one machine, while somebody wants it."""

    def __init__(self, words: Sequence[str]) -> None:
        """Make it by ``story-agent diag`` with ``words``, the options that name this machine's files."""
        self._words = words
        self._task: asyncio.Task[None] | None = None
        self._archive = b""
        self._digest = ""
        self._reason = ""
        self._ended = 0.0

    async def handle(self, request: Request) -> Answer:
        """Serve ``POST`` and ``GET /diag`` of the cloud."""
        if request.method == "POST":
            return self._begin()
        if request.method != "GET":
            return Answer(Code.METHOD_NOT_ALLOWED, b"diag: only POST and GET")
        try:
            piece = self._piece(parse_part(request.query))
        except WireError as error:
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        if piece is None:
            return Answer(Code.NOT_FOUND, b"diag: none was asked for, or it has no such part")
        return Answer(Code.CONTENT, encode_piece(piece))

    @property
    def _age(self) -> float:
        return time.monotonic() - self._ended

    def _begin(self) -> Answer:
        is_fresh = bool(self._archive) and self._age < FRESH_SECONDS
        if self._task is None and not is_fresh:
            self._archive, self._reason = b"", ""
            self._task = asyncio.create_task(self._gather())
        return Answer(Code.CHANGED)

    def _piece(self, part: int) -> Piece | None:
        if self._task is not None:
            return Piece(State.GATHERING)
        if self._age > KEEP_SECONDS:
            self._archive, self._reason = b"", ""
        if self._reason:
            return Piece(State.FAILED, self._reason)
        return cut(self._archive, part, self._digest)

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                self._archive = await run(command(self._words))
            self._digest = hashlib.sha256(self._archive).hexdigest()
        except TimeoutError:
            self._reason = f"not gathered within {GATHER_SECONDS:g} s"
        except (OSError, ValueError) as error:
            self._reason = str(error)
        finally:
            self._ended = time.monotonic()
            self._task = None
        _log.info("diag: %s", self._reason or f"{len(self._archive)} bytes for the cloud")

    async def close(self) -> None:
        """Give up what is being gathered."""
        if self._task is not None:
            task = self._task
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._task = None


def command(words: Sequence[str]) -> list[str]:
    """Return the command that writes the archive to its output."""
    log = own_log()
    return [
        sys.executable,
        "-P",
        "-m",
        "agent.cli",
        "diag",
        "-",
        *words,
        *(["--log", log] if log else []),
    ]


def own_log(descriptor: int = 2) -> str:
    """Return the file that this process logs into, "" if that is the journal or a terminal."""
    try:
        found = os.fstat(descriptor)
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        return str(name) if stat.S_ISREG(found.st_mode) else ""
    except OSError:
        return ""


async def run(words: Sequence[str]) -> bytes:
    """Return what a command writes; raises ValueError where it fails or writes too much, OSError."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    written = bytearray()
    try:
        assert process.stdout is not None  # noqa: S101  # asked for above
        while data := await process.stdout.read(_READ):
            written += data
            if len(written) > SIZE_LIMIT:
                raise ValueError(
                    f"it has more than {SIZE_LIMIT} bytes: run story-agent diag on the machine"
                )
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code or not written:
        raise ValueError(f"story-agent diag ended with {code}")
    return bytes(written)
