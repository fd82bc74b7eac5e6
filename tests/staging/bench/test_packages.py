"""Faults of downloads, on files that are served as packages are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Message

from staging.bench.board import Board
from staging.bench.faults import KINDS, Fault
from staging.bench.packages import PACKAGES, PackageFaults, flips, spoil

UUID, ADDRESS = "00830000000001", "127.0.0.1"
BODY = bytes(range(256)) * 40


class Repository:
    """A server of one package, with a board of faults for who asks from ADDRESS."""

    def __init__(self, folder: Path) -> None:
        (folder / "targets").mkdir()
        (folder / "targets" / "story.tar").write_bytes(BODY)
        files = Mount("/tuf/targets", StaticFiles(directory=folder / "targets"))
        self.board = Board(lambda: 0.0)
        self.app = PackageFaults(Starlette(routes=[files]), self._faults)

    def _faults(self, address: str) -> Mapping[str, Fault]:
        return self.board.active(UUID) if address == ADDRESS else {}

    async def get(self, address: str = ADDRESS, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            return await client.get(f"{PACKAGES}story.tar", headers=headers)

    async def messages(self) -> list[Message]:
        """Return what a server is told to send, also of an answer that is not whole."""
        scope: dict[str, Any] = {
            "type": "http", "method": "GET", "path": f"{PACKAGES}story.tar", "root_path": "",
            "headers": [], "query_string": b"", "client": (ADDRESS, 1),
        }  # fmt: skip
        sent: list[Message] = []

        async def receive() -> Message:
            return await asyncio.Future()  # the client neither says more nor goes

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return sent


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


async def test_without_a_fault_a_package_is_whole(repository: Repository) -> None:
    assert (await repository.get()).content == BODY


async def test_a_broken_package_has_as_many_wrong_bits_and_always_the_same(
    repository: Repository,
) -> None:
    repository.board.set(UUID, "package_broken", {"flips": 3, "seed": 7})
    first, second = [(await repository.get()).content for _ in range(2)]
    assert first == second != BODY
    wrong = [one ^ other for one, other in zip(first, BODY, strict=True) if one != other]
    assert len(wrong) == 3
    assert all(bit.bit_count() == 1 for bit in wrong)
    whole = bytearray()
    for start in range(0, len(BODY), 3000):
        answer = await repository.get(Range=f"bytes={start}-{start + 2999}")
        assert answer.status_code == 206
        whole += answer.content
    assert whole == first  # a download in parts is broken at the same places
    assert (await repository.get("10.0.0.9")).content == BODY  # another machine's is not


async def test_a_download_breaks_off_after_a_part_and_as_often_as_asked(
    repository: Repository,
) -> None:
    repository.board.set(UUID, "package_cut", {"percent": 25, "times": 1})
    sent = await repository.messages()
    assert b"".join(each.get("body", b"") for each in sent) == BODY[: len(BODY) // 4]
    assert sent[-1].get("more_body", True)  # never finished: the server ends the connection
    assert (await repository.get()).content == BODY


async def test_other_answers_come_in_place_of_the_package(repository: Repository) -> None:
    repository.board.set(UUID, "package_status", {"code": 404, "times": 2})
    assert [(await repository.get()).status_code for _ in range(3)] == [404, 404, 200]
    repository.board.set(UUID, "package_portal")
    portal = await repository.get()
    assert portal.headers["content-type"].startswith("text/html")
    assert (await repository.get("10.0.0.9")).content == BODY


async def test_redirects_are_counted_and_end(repository: Repository) -> None:
    repository.board.set(UUID, "package_redirect", {"times": 2})
    transport = httpx.ASGITransport(repository.app, client=(ADDRESS, 1))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://cloud", follow_redirects=True
    ) as client:
        answer = await client.get(f"{PACKAGES}story.tar")
    assert [each.status_code for each in answer.history] == [302, 302]
    assert answer.content == BODY


async def test_ranges_can_be_ignored_and_a_slow_package_is_whole(repository: Repository) -> None:
    repository.board.set(UUID, "package_no_range")
    repository.board.set(UUID, "package_slow", {"bytes_per_second": 10_000_000})
    answer = await repository.get(Range="bytes=100-")
    assert answer.status_code == 200
    assert answer.content == BODY


@given(st.binary(max_size=300), st.integers(1, 400), st.integers(1, 50))
def test_a_file_is_broken_the_same_in_any_pieces(body: bytes, count: int, size: int) -> None:
    kind = KINDS["package_broken"]
    broken = flips(Fault(kind, kind.parse({"flips": count, "seed": 1}), 0), len(body))
    assert len(broken) == min(count, len(body))
    pieces = (spoil(body[at : at + size], at, broken) for at in range(0, len(body), size))
    assert b"".join(pieces) == spoil(body, 0, broken)
    assert (spoil(body, 0, broken) == body) is (not body)
