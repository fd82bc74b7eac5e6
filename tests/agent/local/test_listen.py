"""POST /listen: how listening ended, on the agent's socket only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from agent.local.http import build_app
from agent.local.listen import listen_routes
from agent.local.server import LocalServer
from agent.local.sockets import loopback_socket, unix_socket
from agent.settings import VoiceSettings
from agent.voice.ears import Ears
from agent.voice.sender import VoiceSender
from tests.agent.local.rig import LOCAL_TOKEN, Bench, cancel, no_status
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import DEADLINE
from tests.agent.voice.test_ears import make
from tests.ports import free_port


@asynccontextmanager
async def serving(ears: Ears, folder: Path, port: int = 0) -> AsyncIterator[httpx.AsyncClient]:
    voice = VoiceSender(MemoryLink(), VoiceSettings())
    app = build_app(Bench().dispatch, voice, no_status, cancel, listen_routes(ears), LOCAL_TOKEN)
    with unix_socket(folder / "agent.sock") as bound:
        server = LocalServer(app)
        sockets = [bound, *([loopback_socket(port)] if port else [])]
        task = asyncio.create_task(server.serve(sockets))
        transport = httpx.AsyncHTTPTransport(uds=str(folder / "agent.sock"))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://agent", timeout=DEADLINE
        ) as client:
            yield client
        server.stop()
        await task
        for extra in sockets[1:]:
            extra.close()


async def test_it_listens_until_it_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, _ = make(tmp_path, monkeypatch)
    async with serving(ears, tmp_path) as client:
        assert (await client.post("/listen", content=b"cancel")).json() == {"cancelled": False}
        first = asyncio.create_task(client.post("/listen"))
        async with asyncio.timeout(DEADLINE):
            while ears.status()["state"] != "opening":
                await asyncio.sleep(0.005)
        second = await client.post("/listen", content=b"start")
        assert (second.status_code, second.text) == (
            409,
            "listen: the machine is opening already\n",
        )
        assert (await client.post("/listen", content=b"cancel")).json() == {"cancelled": True}
        heard = (await first).json()
    assert heard == {
        "end": "cancelled", "reason": None, "id": None, "segments": 0, "answered": False, "answer": None,
        "seconds": heard["seconds"],
    }  # fmt: skip


async def test_what_is_held_is_released_by_another_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, _ = make(tmp_path, monkeypatch, "exec tr '\\\\0' '\\\\1' </dev/zero")
    async with serving(ears, tmp_path) as client:
        assert (await client.post("/listen", content=b"release")).json() == {"released": False}
        held = asyncio.create_task(client.post("/listen", content=b"hold"))
        async with asyncio.timeout(DEADLINE):
            while ears.status()["state"] != "speaking":  # though nothing in it is speech
                await asyncio.sleep(0.005)
        assert (await client.post("/listen", content=b"release")).json() == {"released": True}
        async with asyncio.timeout(DEADLINE):
            while ears.status()["state"] != "answering":
                await asyncio.sleep(0.005)
        await client.post("/listen", content=b"cancel")
        assert (await held).json()["id"] == 10001


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        (b"louder", 400, 'listen: got "louder", expected start, hold, release or cancel\n'),
        (b"\xff\xfe", 400, "expected start, hold, release or cancel"),
        (b"x" * 65, 413, "body: expected at most 64 bytes"),
    ],
)
async def test_another_action_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, status: int, text: str
) -> None:
    ears, _ = make(tmp_path, monkeypatch)
    async with serving(ears, tmp_path) as client:
        answer = await client.post("/listen", content=content)
    assert answer.status_code == status
    assert text in answer.text


async def test_a_port_opens_no_microphone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ears, _ = make(tmp_path, monkeypatch)
    port = free_port()
    async with serving(ears, tmp_path, port), httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{port}/listen"
        assert (await client.post(url)).status_code == 401
        answer = await client.post(url, headers={"Authorization": f"Bearer {LOCAL_TOKEN}"})
    assert answer.status_code == 403
    assert ears.status() == {"state": "idle"}
