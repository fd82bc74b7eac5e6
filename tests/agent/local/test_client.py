"""The command line's client: answers as they come, and one sentence for each way to get none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.local import client
from agent.local.client import AgentUnreachableError, LocalAnswer, LocalClient
from tests.agent.local.rig import Bench, serving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sock"


@contextlib.asynccontextmanager
async def served(path: Path) -> AsyncIterator[LocalClient]:
    async with serving(Bench().dispatch, path) as http:
        await http.get("/even")  # the server accepts
        yield LocalClient(path)


async def test_an_answer_is_status_and_body(path: Path) -> None:
    async with served(path) as client:
        assert await asyncio.to_thread(client.request, "GET", "/even") == LocalAnswer(200, b"0")
        done = await asyncio.to_thread(client.request, "PUT", "/even", b"4")
        assert (done.status, done.text) == (200, "")
        refused = await asyncio.to_thread(client.request, "PUT", "/even", b"5")
        assert refused.status == 400
        assert refused.text.startswith("even: got 5")


async def test_a_body_over_the_limit_is_answered_though_not_all_of_it_was_read(path: Path) -> None:
    async with served(path) as client:
        body = bytes(8 * 1024 * 1024)
        answer = await asyncio.to_thread(client.request, "PUT", "/even", body)
        assert answer.status == 413


def test_text_that_is_not_utf_8_is_shown_all_the_same() -> None:
    assert LocalAnswer(200, b"9 \xff\n").text == "9 \N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("stale", [False, True])
def test_without_an_agent_the_reason_names_the_socket(path: Path, *, stale: bool) -> None:
    if stale:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    with pytest.raises(AgentUnreachableError, match=f"no agent runs on {path}"):
        LocalClient(path).request("GET", "/status")


@pytest.fixture
def talker(path: Path) -> Iterator[list[bytes]]:
    """Something on the socket that answers one request with the bytes of the test, and hangs up."""
    answer: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        bound.listen()

        def talk() -> None:
            peer, _ = bound.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"".join(answer))

        thread = threading.Thread(target=talk)
        thread.start()
        yield answer
        thread.join()


@pytest.mark.parametrize(
    "answer", [b"", b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"]
)
def test_an_answer_that_is_none_is_no_answer(
    path: Path, talker: list[bytes], answer: bytes
) -> None:
    talker.append(answer)
    with pytest.raises(AgentUnreachableError, match=f"the agent on {path} does not answer: "):
        LocalClient(path).request("GET", "/status")


def test_a_queue_that_is_full_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))

        def let_in(_seconds: float) -> None:
            listener.accept()[0].close()

        monkeypatch.setattr("agent.local.client.time.sleep", let_in)
        connection = client._UnixConnection(path, 5)
        connection.connect()
        connection.close()
        monkeypatch.setattr(client, "QUEUE_SECONDS", 0.0)
        # The connection that was closed has the queue's place until it is let in.
        with pytest.raises(AgentUnreachableError, match="does not answer"):
            LocalClient(path, 5).request("GET", "/status")


def test_a_queue_that_stays_full_is_asked_again_for_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now, pauses = tmp_path / "agent.sock", [0.0], set[float]()

    def pass_by(seconds: float) -> None:
        pauses.add(seconds)
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=pass_by)
    monkeypatch.setattr(client, "time", clock)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        connection = client._UnixConnection(path, 5)
        with contextlib.closing(connection), pytest.raises(BlockingIOError):
            connection.connect()
    assert pauses == {0.02}
    assert now[0] == pytest.approx(10.0, abs=0.05)
