"""Fetches machines' diagnoses over their link, when somebody asks for one (`wire.diag`); kept for minutes, in memory.

The machine makes the archive by its own rules, without secrets and without what is the family's.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import logging
import tarfile
import time
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from staging.errors import (
    DeviceRejectedError,
    GatewayError,
    NotFoundError,
    NotSupportedError,
    StagingError,
)
from staging.gateway.session import Session, Sessions
from staging.times import Clock, Monotonic
from wire.abilities import DIAG, DIAG_PATH
from wire.codes import Code, dotted
from wire.diag import Piece, State, parse_piece, part_query
from wire.errors import WireError

# Seconds: the machine has 90 to gather, and 85 parts go over a slow link.
FETCH_SECONDS = 600.0
LOOK_SECONDS = 1.0
# Archives that are kept at a time, and for how many seconds.
KEPT = 8
KEEP_SECONDS = 900.0
# Bytes of the log that a page shows, from its end.
LOG_BYTES = 256 * 1024
# Bytes of an archive of 2 MB unpacked: a log of text shrinks to a tenth.
UNPACKED_LIMIT = 32 * 1024 * 1024
_LOG_NAME = "log.txt"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Fetched:
    """One machine's diagnosis, or the way to it."""

    begun: float
    task: asyncio.Task[None] | None = None
    done: int = 0
    parts: int = 0
    archive: bytes = b""
    taken_ms: int = 0
    error: Exception | None = None


class Diagnoses:
    """The diagnoses of late."""

    def __init__(
        self, sessions: Sessions, clock: Clock, monotonic: Monotonic = time.monotonic
    ) -> None:
        """Ask the devices of ``sessions``."""
        self._sessions = sessions
        self._clock = clock
        self._monotonic = monotonic
        self._fetched: OrderedDict[str, _Fetched] = OrderedDict()

    def begin(self, uuid: str) -> dict[str, Any]:
        """Begin to fetch a machine's diagnosis, unless it is being fetched; returns how far it is.

        Raises:
            DeviceOfflineError: it is not connected.
            NotSupportedError: its firmware cannot, or too many are being fetched.
        """
        self._forget()
        session = self._sessions.get(uuid)
        if DIAG not in session.abilities:
            text = "its firmware gives no diagnosis from here: run story-agent diag on the machine"
            raise NotSupportedError(f"device {uuid}: {text}")
        running = self._fetched.get(uuid)
        if running is None or running.task is None:
            self._make_room(uuid)
            fetched = self._fetched[uuid] = _Fetched(self._monotonic())
            fetched.task = asyncio.create_task(self._fetch(session, fetched))
        return self.state(uuid)

    def state(self, uuid: str, since: int = 0) -> dict[str, Any]:
        """Return how far a machine's diagnosis is: none, gathering, fetching, ready or failed.

        One that was fetched before ``since`` (ms) is another family's.
        """
        self._forget()
        fetched = self._fetched.get(uuid)
        if fetched is None or (fetched.archive and fetched.taken_ms <= since):
            return {"state": "none"}
        if fetched.task is not None:
            step = "fetching" if fetched.parts else "gathering"
            return {"state": step, "done": fetched.done, "parts": fetched.parts}
        if fetched.error is not None:
            return {"state": "failed", "message": str(fetched.error)}
        return {"state": "ready", "size": len(fetched.archive), "time": fetched.taken_ms}

    def archive(self, uuid: str, since: int = 0) -> bytes:
        """Return a machine's archive, fetched after ``since`` (ms); raises NotFoundError if there is none."""
        self._forget()
        fetched = self._fetched.get(uuid)
        if fetched is None or not fetched.archive or fetched.taken_ms <= since:
            raise NotFoundError(f"device {uuid}: no diagnosis was fetched of late")
        return fetched.archive

    async def _fetch(self, session: Session, fetched: _Fetched) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                fetched.archive = await self._all(session, fetched)
            fetched.taken_ms = self._clock()
        except TimeoutError:
            fetched.error = StagingError(f"not fetched within {FETCH_SECONDS:g} s")
        except (GatewayError, WireError, StagingError) as error:
            fetched.error = error
        finally:
            fetched.task = None
        told = str(fetched.error or f"{len(fetched.archive)} bytes")
        _log.info("device %s: diagnosis: %s", session.identity.uuid, told)

    async def _all(self, session: Session, fetched: _Fetched) -> bytes:
        answer = await session.request("POST", DIAG_PATH)
        if answer.code != Code.CHANGED:
            raise DeviceRejectedError(f"{dotted(answer.code)} {answer.text}")
        first = await self._part(session, 0)
        while first.state is State.GATHERING:
            await asyncio.sleep(LOOK_SECONDS)
            first = await self._part(session, 0)
        archive, fetched.parts, fetched.done = first.data, first.parts, 1
        while fetched.done < first.parts:
            piece = await self._part(session, fetched.done)
            if piece.sha256 != first.sha256:
                raise StagingError("the machine has made another one meanwhile: ask again")
            archive += piece.data
            if not piece.data or len(archive) > first.size:
                raise StagingError("it is not as long as the machine said: ask again")
            fetched.done += 1
        if len(archive) != first.size or hashlib.sha256(archive).hexdigest() != first.sha256:
            raise StagingError("it did not arrive as the machine has it: ask again")
        return archive

    async def _part(self, session: Session, number: int) -> Piece:
        answer = await session.request("GET", DIAG_PATH, query=part_query(number))
        if answer.code != Code.CONTENT:
            raise DeviceRejectedError(f"{dotted(answer.code)} {answer.text}")
        piece = parse_piece(answer.payload)
        if piece.state is State.FAILED:
            raise StagingError(f"the machine: {piece.reason}")
        return piece

    def _forget(self) -> None:
        now = self._monotonic()
        for uuid, fetched in list(self._fetched.items()):
            if fetched.task is None and now - fetched.begun > KEEP_SECONDS:
                del self._fetched[uuid]

    def _make_room(self, uuid: str) -> None:
        self._fetched.pop(uuid, None)
        idle = [each for each, fetched in self._fetched.items() if fetched.task is None]
        if len(self._fetched) >= KEPT:
            if not idle:
                raise NotSupportedError(
                    f"{KEPT} diagnoses are being fetched already: ask again in a minute"
                )
            del self._fetched[idle[0]]

    async def close(self) -> None:
        """Give up what is being fetched."""
        tasks = [fetched.task for fetched in self._fetched.values() if fetched.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def log_of(archive: bytes) -> list[str]:
    """Return the last lines of the log in an archive; raises StagingError where it has none.

    A machine that nobody trusts made the archive: it is unpacked into `UNPACKED_LIMIT` bytes at most.
    """
    try:
        with gzip.open(io.BytesIO(archive)) as packed:
            plain = packed.read(UNPACKED_LIMIT + 1)
        if len(plain) > UNPACKED_LIMIT:
            raise StagingError(
                f"the machine's archive has more than {UNPACKED_LIMIT} bytes unpacked"
            )
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as members:
            for member in members:
                if member.isfile() and member.name.endswith(f"/{_LOG_NAME}"):
                    file = members.extractfile(member)
                    assert file is not None  # noqa: S101  # it is a file
                    file.seek(max(0, member.size - LOG_BYTES))
                    return file.read(LOG_BYTES).decode("utf-8", "replace").splitlines()
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        raise StagingError(f"the machine's archive cannot be read: {error}") from error
    raise StagingError(f"the machine's archive has no {_LOG_NAME}")
