"""One table of requests over the cloud link, CoAP/UDP and HTTP, with the same codes and texts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import ClassVar

import aiocoap
import httpx
import pytest

import agent.voice.sender
import resources.dispatch
from agent.link.build import build_link
from agent.local.coap import local_coap
from agent.local.http import (
    CONNECTION_LIMIT,
    VALUE_LIMIT,
    WAV_LIMIT,
    LocalAccessError,
    LocalServer,
    build_app,
    loopback_socket,
    unix_socket,
)
from agent.routes import cloud_handler
from agent.settings import LinkSettings, VoiceSettings
from agent.voice.sender import VoiceSender
from audio.errors import SpeexUnavailableError
from base.clock import TrustedTime
from machine.errors import RefusedError, UnavailableError
from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import DEADLINE, Cloud, make_profile
from tests.authority import Authority
from tests.conftest import write_tone
from wire.codes import Code, dotted
from wire.datapoints import (
    STRING_LIMIT,
    DataPointDescription,
    DataType,
    Method,
    Range,
    Value,
    parse_self_description,
)
from wire.exchange import Answer, Request

pytestmark = pytest.mark.usefixtures("no_blocking")

BOTH = (Method.GET, Method.PUT)
SECRET = "/home/secret-internals"


class Kept(DataPoint):
    """Stores a value; refuses, fails, crashes or hangs for certain values."""

    def __init__(self, name: str, kind: DataType, pattern: Range | None, value: Value) -> None:
        self._description = DataPointDescription(name, kind, name, "", BOTH, pattern)
        self.value = value

    @property
    def description(self) -> DataPointDescription:  # type: ignore[override]
        return self._description

    async def get(self) -> Value:
        return self.value

    async def put(self, value: Value) -> None:
        match value:
            case "refuse":
                raise RefusedError("title: got refuse, expected something else")
            case "fail":
                raise UnavailableError("no sound device")
            case "crash":
                raise KeyError(SECRET)
            case "hang":
                await asyncio.Event().wait()
        self.value = value


class ReadOnly(DataPoint):
    description: ClassVar = DataPointDescription("gauge", DataType.INT, "", "", (Method.GET,))

    async def get(self) -> Value:
        return 42


class Bench:
    """One dispatch behind all three protocols."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, Value]] = []
        self.dispatch = Dispatch(
            [
                Kept("even", DataType.INT, Range(-10, 10, 2), 0),
                Kept("free", DataType.INT, None, 0),
                Kept("flag", DataType.BOOL, None, value=False),
                Kept("title", DataType.STRING, None, "春天在哪里"),
                ReadOnly(),
            ],
            self.changed,
        )
        self.senders: dict[str, Callable[[str, str, bytes], Awaitable[Answer]]] = {}

    async def changed(self, name: str, value: Value) -> None:
        self.changes.append((name, value))

    async def send(self, method: str, name: str, payload: bytes) -> Answer:
        """Send the request over each protocol; the answers must be equal."""
        replies = {
            protocol: await send(method, name, payload) for protocol, send in self.senders.items()
        }
        assert len(set(replies.values())) == 1, replies
        return next(iter(replies.values()))


async def no_order(_payload: bytes) -> Answer:
    return Answer(Code.CHANGED)


async def cancel(transaction: str) -> Answer:
    return Answer.from_text(Code.CONFLICT, f"update {transaction} is being switched to")


async def no_status() -> Mapping[str, object]:
    return {}


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def serving(
    dispatch: Dispatch, path: Path, port: int = 0
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve HTTP on a Unix socket, and on a port of 127.0.0.1 if one is given."""
    voice = VoiceSender(MemoryLink(is_up=False), VoiceSettings())
    with unix_socket(path) as bound:
        server = LocalServer(build_app(dispatch, voice, no_status, cancel))
        sockets = [bound, *([loopback_socket(port)] if port else [])]
        task = asyncio.create_task(server.serve(sockets))
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://agent", timeout=DEADLINE
        ) as client:
            yield client
        server.should_exit = True
        await task
        for extra in sockets[1:]:
            extra.close()


@pytest.fixture
async def bench(cloud: Cloud, authority: Authority, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench()
    settings = LinkSettings(keepalive_seconds=60)
    handler = cloud_handler(made.dispatch, no_order, cancel)
    link = build_link(make_profile(cloud.port, authority.pem), settings, handler, TrustedTime())
    linked = asyncio.create_task(link.run())

    port = free_port()
    local = await aiocoap.Context.create_client_context(transports=["simple6"])

    async def send_coap(method: str, name: str, payload: bytes) -> Answer:
        message = aiocoap.Message(
            code=aiocoap.Code[method], payload=payload, uri=f"coap://127.0.0.1:{port}"
        )
        message.opt.uri_path = tuple(name.split("/"))
        reply = await local.request(message).response
        return Answer(int(reply.code), reply.payload)

    coap, http = (
        local_coap(made.dispatch.handle, port),
        serving(made.dispatch, tmp_path / "agent.sock"),
    )
    async with coap, http as client:

        async def send_http(method: str, name: str, payload: bytes) -> Answer:
            answer = await client.request(method, f"/{name}", content=payload)
            major, _, minor = answer.headers["X-CoAP-Code"].partition(".")
            code = Code(int(major) << 5 | int(minor))
            assert answer.status_code == code.http_status
            body = answer.content
            return Answer(code, body if code.is_success else body.removesuffix(b"\n"))

        made.senders = {"cloud": cloud.ask, "coap": send_coap, "http": send_http}
        await link.registered.wait()
        yield made
    await local.shutdown()
    linked.cancel()
    await asyncio.gather(linked, return_exceptions=True)


RANGE = "an integer from -10 to 10 in steps of 2"
TABLE: list[tuple[str, str, str, str]] = [
    # request, name, value, expected code and text
    ("GET", "even", "", "2.05 0"),
    ("GET", "flag", "", "2.05 false"),
    ("GET", "title", "", "2.05 春天在哪里"),
    ("GET", "gauge", "", "2.05 42"),
    ("GET", "gauge", "ignored", "2.05 42"),
    ("PUT", "even", "4", "2.04 "),
    ("PUT", "even", "-10", "2.04 "),
    ("PUT", "even", "10", "2.04 "),
    ("PUT", "even", "007", f"4.00 even: got 7, expected {RANGE}"),
    ("PUT", "even", "08", "2.04 "),
    ("PUT", "even", "5", f"4.00 even: got 5, expected {RANGE}"),
    ("PUT", "even", "-12", f"4.00 even: got -12, expected {RANGE}"),
    ("PUT", "even", "12", f"4.00 even: got 12, expected {RANGE}"),
    ("PUT", "even", "", f'4.00 even: got "", expected {RANGE}'),
    ("PUT", "even", "--2", f'4.00 even: got "--2", expected {RANGE}'),
    ("PUT", "even", "+2", f'4.00 even: got "+2", expected {RANGE}'),
    ("PUT", "even", "2.0", f'4.00 even: got "2.0", expected {RANGE}'),
    ("PUT", "even", " 2", f'4.00 even: got " 2", expected {RANGE}'),
    ("PUT", "even", "٢", f'4.00 even: got "٢", expected {RANGE}'),
    ("PUT", "free", "9223372036854775807", "2.04 "),
    ("PUT", "free", "-1", "2.04 "),
    ("PUT", "free", "9223372036854775808",
     '4.00 free: got "9223372036854775808", expected an integer, in 64 bits'),
    ("PUT", "flag", "true", "2.04 "),
    ("PUT", "flag", "0", "2.04 "),
    ("PUT", "flag", "1", "2.04 "),
    ("PUT", "flag", "True", '4.00 flag: got "True", expected "true" or "false"'),
    ("PUT", "flag", "on", '4.00 flag: got "on", expected "true" or "false"'),
    ("PUT", "flag", "2", '4.00 flag: got "2", expected "true" or "false"'),
    ("PUT", "title", "小兔子乖乖", "2.04 "),
    ("PUT", "title", "x" * STRING_LIMIT, "2.04 "),
    ("PUT", "title", "x" * (STRING_LIMIT + 1),
     f'4.00 title: got "{"x" * 78}…, expected 1 to 1024 bytes of printable text'),
    ("PUT", "title", "", '4.00 title: got "", expected 1 to 1024 bytes of printable text'),
    ("PUT", "title", "a\nb", '4.00 title: got "a\\nb", expected 1 to 1024 bytes of printable text'),
    ("PUT", "title", "refuse", "4.00 title: got refuse, expected something else"),
    ("PUT", "title", "fail", "5.03 no sound device"),
    ("PUT", "title", "crash", "5.00 title: internal error"),
    ("PUT", "title", "hang", "5.03 title: no result in 0.05 s"),
    ("PUT", "gauge", "1", '4.05 gauge: "PUT" not allowed, only GET'),
    ("POST", "even", "1", '4.05 even: "POST" not allowed, only GET, PUT'),
    ("DELETE", "even", "", '4.05 even: "DELETE" not allowed, only GET, PUT'),
    ("GET", "none", "", '4.04 "none": no such data point, expected even, free, flag, title, gauge'),
    ("PUT", "none", "1", '4.04 "none": no such data point, expected even, free, flag, title, gauge'),
    ("GET", "even/x", "",
     '4.04 "even/x": no such data point, expected even, free, flag, title, gauge'),
    ("GET", "音量", "", '4.04 "音量": no such data point, expected even, free, flag, title, gauge'),
    ("PUT", "resource", "{}", "4.05 resource: only GET"),
]  # fmt: skip


async def test_the_same_answer_on_every_protocol(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.dispatch, "HANDLER_TIMEOUT", 0.05)
    for method, name, value, expected in TABLE:
        reply = await bench.send(method, name, value.encode())
        answer = f"{dotted(reply.code)} {reply.payload.decode()}"
        assert answer == expected, (method, name, value)
    done = sum(expected.startswith("2.04") for *_, expected in TABLE)
    assert len(bench.changes) == done * len(bench.senders)


async def test_bytes_that_are_no_text_are_refused_alike(bench: Bench) -> None:
    reply = await bench.send("PUT", "title", b"\xb9\xca\xca\xc2")
    assert reply.code == Code.BAD_REQUEST
    assert b"expected UTF-8 text" in reply.payload
    assert bench.changes == []


async def test_the_self_description_is_the_same_everywhere(bench: Bench) -> None:
    reply = await bench.send("GET", "resource", b"")
    described = parse_self_description(reply.payload)
    assert described == bench.dispatch.describe()


async def test_internals_go_to_the_log_and_not_to_the_asker(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await bench.send("PUT", "title", b"crash")
    assert SECRET not in reply.payload.decode()
    assert SECRET in caplog.text


@pytest.mark.parametrize("error", [OSError("disk full"), RuntimeError("closed"), UnicodeError()])
async def test_a_report_that_fails_does_not_undo_what_was_done(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async def fail(_name: str, _value: Value) -> None:
        raise error

    point = Kept("even", DataType.INT, Range(0, 10, 2), 0)
    answer = await Dispatch([point], fail).request("PUT", "even", "4")
    assert (answer.code, answer.text) == (Code.CHANGED, "")
    assert point.value == 4
    assert "even: its change is not reported" in caplog.text


async def test_a_report_that_hangs_does_not_keep_the_asker_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(_name: str, _value: Value) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(resources.dispatch, "CHANGE_TIMEOUT", 0.02)
    point = Kept("even", DataType.INT, None, 0)
    assert (await Dispatch([point], hang).request("PUT", "even", "4")).code is Code.CHANGED


async def test_what_no_protocol_can_carry_is_marked_not_raised() -> None:
    async def ignore(*_: object) -> None:
        return

    dispatch = Dispatch([Kept("title", DataType.STRING, None, "\udcb9")], ignore)
    assert await dispatch.handle(Request("GET", ("title",))) == Answer(Code.CONTENT, b"?")


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
    assert answer.text.startswith("not a WAV file with PCM samples: ")
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


def test_the_socket_is_for_this_user_and_its_group(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    before = os.umask(0)
    try:
        with unix_socket(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        os.umask(before)
    assert not path.exists()


def test_a_dead_agents_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with unix_socket(path) as bound:
        bound.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


@pytest.mark.parametrize("name", ["x" * 120, "none/agent.sock"])
def test_a_socket_that_cannot_be_is_refused_by_its_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(LocalAccessError, match=f"socket {path}: "), unix_socket(path):
        pytest.fail("it was bound")


def test_a_folder_in_the_sockets_place_is_not_removed(tmp_path: Path) -> None:
    with pytest.raises(LocalAccessError, match="Is a directory"), unix_socket(tmp_path):
        pytest.fail("it was bound")
    assert tmp_path.is_dir()


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalAccessError, match=f"local.http_port {port}: Address already in"):
            loopback_socket(port)


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
