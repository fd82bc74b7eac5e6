"""One table of requests over both cloud links, CoAP/UDP, OSCORE and HTTP, with the same codes and texts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import aiocoap
import pytest

import resources.dispatch
from agent.link.build import build_link
from agent.local.coap import local_coap
from agent.routes import cloud_handler
from agent.settings import LinkKind, LinkSettings
from base.clock import TrustedTime
from tests.agent.local.lan_parts import client_of, serving_oscore
from tests.agent.local.rig import SECRET, Bench, Kept, cancel, serving
from tests.agent.parts import Cloud, make_profile
from tests.authority import Authority
from tests.broker import MqttCloud, broker
from tests.ports import free_port
from wire.codes import Code, dotted
from wire.datapoints import parse_self_description
from wire.exchange import Answer, Handler

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
STRING_LIMIT = 1_024
PLAY_LIMIT = 4_096

pytestmark = pytest.mark.usefixtures("no_blocking")


async def no_order(_payload: bytes) -> Answer:
    return Answer(Code.CHANGED)


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
        async with over_mqtt(authority, tmp_path, handler) as ask, over_oscore(made, tmp_path):
            made.senders["mqtt"] = ask
            yield made
    await local.shutdown()
    linked.cancel()
    await asyncio.gather(linked, return_exceptions=True)


@asynccontextmanager
async def over_oscore(bench: Bench, folder: Path) -> AsyncIterator[None]:
    """Add what sends requests as a client of the home network does, where that can be."""
    if not all(map(find_spec, ("cbor2", "lakers"))):
        yield
        return
    async with serving_oscore(folder, bench) as served:
        keys = await served.clients.add("phone")
        async with client_of(served.base, folder / "keys", keys) as client:
            bench.senders["oscore"] = client.ask
            yield


@asynccontextmanager
async def over_mqtt(
    authority: Authority, folder: Path, handler: Handler
) -> AsyncIterator[Callable[..., Awaitable[Answer]]]:
    """Yield what sends requests through a real broker."""
    profile = make_profile(1, authority.pem)
    async with broker(folder, authority, {profile.uuid: profile.token}) as made:
        cloud = MqttCloud(made, authority.client_context())
        await cloud.start()
        settings = LinkSettings(kind=LinkKind.MQTT, mqtt_port=made.listeners.port)
        link = build_link(profile, settings, handler, TrustedTime())
        linked = asyncio.create_task(link.run())
        await link.registered.wait()
        yield cloud.ask
        linked.cancel()
        await asyncio.gather(linked, return_exceptions=True)
        await cloud.stop()


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


async def test_a_long_url_passes_every_protocol_whole(bench: Bench) -> None:
    """Beyond a block of CoAP (1,024 bytes), in both directions."""
    title = bench.dispatch.points["title"]
    assert isinstance(title, Kept)
    title.limit = PLAY_LIMIT
    url = "Https://h/" + "x" * (PLAY_LIMIT - 10)
    assert await bench.send("PUT", "title", url.encode()) == Answer(Code.CHANGED)
    assert await bench.send("GET", "title", b"") == Answer(Code.CONTENT, url.encode())
    refused = await bench.send("PUT", "title", f"{url}x".encode())
    assert (refused.code, b"expected 1 to 4096 bytes" in refused.payload) == (
        Code.BAD_REQUEST,
        True,
    )


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
