"""The local HTTP API: its limits, its sockets, who may connect, and what only HTTP has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

import agent.voice.sender
from agent.local.http import (
    CONNECTION_LIMIT,
    VALUE_LIMIT,
    WAV_LIMIT,
)
from audio.errors import SpeexUnavailableError
from tests.agent.local.rig import Bench, free_port, serving
from tests.agent.parts import DEADLINE
from tests.conftest import write_tone

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(Bench().dispatch, tmp_path / "agent.sock") as client:
        yield client


async def test_long_bodies_are_refused_before_they_are_kept(http: httpx.AsyncClient) -> None:
    for method, path, limit in (("PUT", "/title", VALUE_LIMIT), ("POST", "/voice", WAV_LIMIT)):
        answer = await http.request(method, path, content=b"x" * (limit + 1))
        assert answer.status_code == 413
        assert answer.headers["X-CoAP-Code"] == "4.13"
        assert answer.text == f"body: expected at most {limit} bytes\n"
        assert (await http.get("/even")).text == "0"


async def test_voice_says_why_it_cannot(
    http: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await http.post("/voice", content=b"no sound")
    assert answer.status_code == 400
    assert answer.text.startswith("not a WAV file: ")
    sound = write_tone(tmp_path / "tone.wav", seconds=0.1).read_bytes()
    answer = await http.post("/voice", content=sound)
    assert answer.status_code == 503
    assert answer.text == "the utterance was dropped: the link to the cloud is down\n"

    def missing(*_: object) -> None:
        raise SpeexUnavailableError("libspeex is missing: install Debian's package libspeex1")

    monkeypatch.setattr(agent.voice.sender, "SpeexEncoder", missing)
    answer = await http.post("/voice", content=sound)
    assert answer.status_code == 503
    assert "install Debian's package libspeex1" in answer.text


async def test_more_connections_than_the_machine_has_tools_are_turned_away(
    http: httpx.AsyncClient, tmp_path: Path
) -> None:
    path, idle = str(tmp_path / "agent.sock"), []
    for _ in range(CONNECTION_LIMIT):
        _, writer = await asyncio.open_unix_connection(path)
        idle.append(writer)
    assert (await http.get("/even")).status_code == 503
    for writer in idle:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(DEADLINE):
        while (await http.get("/even")).status_code != 200:
            await asyncio.sleep(0.01)


async def test_description_and_status_are_json(http: httpx.AsyncClient) -> None:
    for path in ("/resource", "/status"):
        answer = await http.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(json.loads(answer.content), dict)


@pytest.mark.parametrize(
    ("host", "status"), [("agent", 200), ("127.0.0.1:80", 200), ("evil.example", 400)]
)
async def test_a_foreign_host_name_is_turned_away(
    http: httpx.AsyncClient, host: str, status: int
) -> None:
    assert (await http.get("/status", headers={"Host": host})).status_code == status


async def test_an_update_is_cancelled_over_the_socket_and_not_over_a_port(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with serving(Bench().dispatch, tmp_path / "agent.sock", port) as http:
        answer = await http.delete("/newfirmware", params={"transaction": "7&8 é"})
        assert (answer.status_code, answer.text) == (409, "update 7&8 é is being switched to\n")
        answer = await http.delete("/newfirmware")
        assert answer.status_code == 400
        assert answer.text.startswith("transaction: missing, expected")
        assert (await http.put("/newfirmware", content=b"{}")).status_code == 404
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as local:
            assert (await local.get("/even")).text == "0"
            answer = await local.delete("/newfirmware", params={"transaction": "7"})
            assert answer.status_code == 403
            assert "only over the agent's socket" in answer.text
