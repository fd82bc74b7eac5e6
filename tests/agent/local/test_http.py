"""The local HTTP API: its limits, its sockets, who may connect, and what only HTTP has."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

import agent.local.http
import agent.local.server
import agent.voice.sender
from audio.errors import SpeexUnavailableError
from tests.agent.local.rig import LOCAL_TOKEN, STATUS, Bench, serving
from tests.agent.parts import DEADLINE
from tests.conftest import write_tone
from tests.ports import free_port

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
WAV_LIMIT = 12_582_912
CONNECTION_LIMIT = 64
REQUEST_LIMIT = 16
BODY_LIMIT = 65_536

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(Bench().dispatch, tmp_path / "agent.sock") as client:
        yield client


async def test_long_bodies_are_refused_before_they_are_kept(http: httpx.AsyncClient) -> None:
    for method, path, limit in (("PUT", "/title", BODY_LIMIT), ("POST", "/voice", WAV_LIMIT)):
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


async def test_description_and_status_are_json(http: httpx.AsyncClient) -> None:
    for path in ("/resource", "/status"):
        answer = await http.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(json.loads(answer.content), dict)


@pytest.mark.parametrize("path", ["/even", "/resource", "/status", "/nothing"])
async def test_head_tells_what_get_would_without_its_body(
    http: httpx.AsyncClient, path: str
) -> None:
    told = await http.get(path)
    head = await http.head(path)
    assert head.status_code == told.status_code
    for name in ("content-type", "content-length", "x-coap-code"):
        assert head.headers.get(name) == told.headers.get(name), name
    assert head.content == b""


async def test_a_status_with_a_name_that_is_no_utf8_is_told(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file's name in it would be an internal error, and whoever looks for the fault had no status."""
    monkeypatch.setitem(STATUS, "title", "b\udcffad")
    answer = await http.get("/status")
    assert answer.status_code == 200
    assert answer.content == b'{"title": "b\\udcffad"}'


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
            assert (await local.delete("/newfirmware")).status_code == 401
            owner = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
            answer = await local.delete("/newfirmware?transaction=7", headers=owner)
            assert answer.status_code == 403
            assert "only over the agent's socket" in answer.text


async def test_idle_connections_keep_nobody_from_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than may be open: the oldest are dropped, and a request is answered all the same."""
    monkeypatch.setattr(agent.local.server, "IDLE_SECONDS", 3600.0)  # nothing else ends them
    port = free_port()
    async with serving(Bench().dispatch, tmp_path / "agent.sock", port) as client:
        assert (await client.get("/even")).text == "0"
        idle = []
        for _ in range(CONNECTION_LIMIT // 2):
            idle.append(await asyncio.open_connection("127.0.0.1", port))
            idle.append(await asyncio.open_unix_connection(str(tmp_path / "agent.sock")))
        assert (await client.get("/even")).text == "0"
        async with asyncio.timeout(DEADLINE):
            assert await idle[0][0].read() == b""  # it was the oldest
        for _reader, writer in idle:
            writer.close()


async def test_a_connection_that_never_asks_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(Bench().dispatch, tmp_path / "agent.sock") as client:
        assert (await client.get("/even")).text == "0"
        monkeypatch.setattr(agent.local.server, "IDLE_SECONDS", 0.01)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "agent.sock"))
        writer.write(b"GET /even HTTP/1.1\r\nHost")
        async with asyncio.timeout(DEADLINE):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_a_body_that_stops_coming_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as may be asked at once: they would stop `story-agent status` for ever."""
    monkeypatch.setattr(agent.local.http, "IDLE_SECONDS", 0.05)
    async with serving(Bench().dispatch, tmp_path / "agent.sock") as client:
        assert (await client.get("/even")).text == "0"
        stalled = []
        for _ in range(REQUEST_LIMIT):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "agent.sock"))
            writer.write(b"PUT /even HTTP/1.1\r\nHost: agent\r\nContent-Length: 9\r\n\r\n2")
            stalled.append((reader, writer))
        async with asyncio.timeout(DEADLINE):
            for reader, writer in stalled:
                await reader.readuntil(b"body: it stopped coming")
                writer.close()
        assert (await client.get("/even")).text == "0"


async def test_a_web_page_cannot_post_speech(tmp_path: Path) -> None:
    port = free_port()
    sound = write_tone(tmp_path / "tone.wav", seconds=0.1).read_bytes()
    async with (
        serving(Bench().dispatch, tmp_path / "agent.sock", port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as page,
    ):
        posted = await page.post("/voice", content=sound, headers={"Origin": "http://evil.example"})
        assert (posted.status_code, posted.text) == (403, "a web page may not use this\n")
        assert (await page.post("/voice", content=sound)).status_code == 401
        owner = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
        assert (await page.post("/voice", content=sound, headers=owner)).status_code == 503
