"""A machine's diagnosis is fetched whole or not at all, from a scripted machine."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from staging.diagnoses import Diagnoses, log_of
from staging.errors import DeviceOfflineError, NotFoundError, NotSupportedError, StagingError
from staging.gateway.session import Session, Sessions
from staging.store.devices import Identity
from wire.abilities import DIAG
from wire.codes import Code
from wire.diag import Piece, State, cut, encode_piece, parse_part
from wire.exchange import Answer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
UNPACKED_LIMIT = 33_554_432

UUID = "0083000000000a"


def packed(log: bytes, name: str = "diag/log.txt") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(log)
        tar.addfile(info, io.BytesIO(log))
    return out.getvalue()


class Machine:
    """A connection and an endpoint in one: answers as the test says."""

    def __init__(self, archive: bytes) -> None:
        self.archive = archive
        self.digest = hashlib.sha256(archive).hexdigest()
        self.first: list[Piece] = []
        self.begin = Answer(Code.CHANGED)

    async def request(
        self,
        _connection: Any,
        /,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        **how: Any,
    ) -> Answer:
        assert not payload
        assert path == ("diag",)
        if method == "POST":
            return self.begin
        if self.first:
            return Answer(Code.CONTENT, encode_piece(self.first.pop(0)))
        piece = cut(self.archive, parse_part(how["query"]), self.digest)
        return (
            Answer(Code.NOT_FOUND) if piece is None else Answer(Code.CONTENT, encode_piece(piece))
        )

    def watch(self, _connection: Any, _quiet: float) -> None: ...

    def close(self, _reason: str) -> None: ...

    reset = close


def diagnoses(
    machine: Machine, *, reads: bool = True, monotonic: Callable[[], float] = lambda: 0.0
) -> Diagnoses:
    sessions = Sessions()
    identity = Identity(1, UUID, "t" * 32, True)
    session = Session(identity, machine, machine, 1.0, 0)
    session.abilities = frozenset({DIAG} if reads else ())
    sessions.add(session)
    return Diagnoses(sessions, lambda: 5000, monotonic)


async def ended(made: Diagnoses) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (state := made.state(UUID))["state"] in {"gathering", "fetching"}:
            await asyncio.sleep(0)
    return state


async def test_an_archive_comes_whole_and_its_log_is_read() -> None:
    log = "\n".join(f"line {n} 小星星" for n in range(20000)).encode()
    archive = packed(log) + bytes(60_000)  # several parts
    made = diagnoses(Machine(archive))
    assert made.begin(UUID)["state"] == "gathering"
    assert await ended(made) == {"state": "ready", "size": len(archive), "time": 5000}
    assert made.archive(UUID) == archive
    assert log_of(made.archive(UUID))[-1] == "line 19999 小星星"
    with pytest.raises(NotFoundError):
        made.archive(UUID, since=5000)  # another family's
    assert made.state(UUID, since=5000) == {"state": "none"}


async def test_an_archive_is_kept_for_15_minutes() -> None:
    now = 0.0
    made = diagnoses(Machine(packed(b"line")), monotonic=lambda: now)
    made.begin(UUID)
    await ended(made)
    now = 899.0
    assert made.state(UUID)["state"] == "ready"
    now = 901.0
    assert made.state(UUID) == {"state": "none"}


async def test_what_fails_is_told_and_nothing_is_kept() -> None:
    for machine, told in (
        (Machine(b"x"), "the card is full"),
        (Machine(b"x"), "4.04"),
        (Machine(b"x" * 60_000), "made another one"),
        (Machine(b"x"), "did not arrive"),
    ):
        if told == "the card is full":
            machine.first = [Piece(State.FAILED, told)]
        elif told == "4.04":
            machine.begin = Answer(Code.NOT_FOUND)
        elif told == "made another one":
            other = cut(b"y" * 60_000, 0, "0" * 64)
            assert other is not None
            machine.first = [other]
        else:
            machine.digest = "0" * 64
        made = diagnoses(machine)
        made.begin(UUID)
        state = await ended(made)
        assert state["state"] == "failed"
        assert told in state["message"]
        with pytest.raises(NotFoundError):
            made.archive(UUID)


async def test_older_firmware_and_a_machine_that_is_away_are_told_apart() -> None:
    with pytest.raises(NotSupportedError, match="story-agent diag on the machine"):
        diagnoses(Machine(b"x"), reads=False).begin(UUID)
    with pytest.raises(DeviceOfflineError):
        Diagnoses(Sessions(), lambda: 0).begin(UUID)


async def test_the_clouds_end_ends_it() -> None:
    machine = Machine(b"x")
    machine.first = [Piece(State.GATHERING)] * 1000
    made = diagnoses(machine)
    made.begin(UUID)
    await asyncio.sleep(0)
    await made.close()
    assert made._fetched[UUID].task is None


def test_an_archive_that_is_none_is_told() -> None:
    for archive in (b"", b"not gzip", packed(b"x", "diag/other.txt"), packed(b"x" * 999)[:40]):
        with pytest.raises(StagingError, match="archive"):
            log_of(archive)


def test_an_archive_that_a_stranger_made_is_unpacked_within_bounds_or_said_to_be_none() -> None:
    bomb = gzip.compress(bytes(UNPACKED_LIMIT + 2))
    assert len(bomb) < 100_000
    torn = bytearray(packed(b"line" * 100_000))
    torn[len(torn) // 2] ^= 0xFF
    for archive, told in (
        (bomb, "more than"),
        (bytes(torn), "cannot be read"),
        (packed(b"x")[:40], "cannot be read"),
        (b"", "cannot be read"),
        (b"no archive", "cannot be read"),
        (gzip.compress(b"")[:10] + b"\xff" * 50, "cannot be read"),
        (packed(b"x", "diag/other"), "no log.txt"),
    ):
        with pytest.raises(StagingError, match=told):
            log_of(archive)


async def test_a_machine_that_sends_more_than_it_said_is_not_heard_to_its_end() -> None:
    class Endless(Machine):
        async def request(
            self, _connection: Any, /, method: str, *_rest: Any, **_how: Any
        ) -> Answer:
            self.asked = getattr(self, "asked", 0) + 1
            if method == "POST":
                return self.begin
            return Answer(
                Code.CONTENT,
                encode_piece(Piece(State.READY, "", 10, 1_000_000, "0" * 64, b"x" * 8)),
            )

    machine = Endless(b"")
    made = diagnoses(machine)
    made.begin(UUID)
    assert "not as long" in (await ended(made))["message"]
    assert machine.asked == 3
