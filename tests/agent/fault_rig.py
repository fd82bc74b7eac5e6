"""The same data points behind all four protocols, and for each a driver that can make its faults."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiocoap
import httpx

from agent.link.build import build_link
from agent.local.coap import local_coap
from agent.routes import cloud_handler
from agent.settings import LinkKind, LinkSettings
from base.clock import TrustedTime
from resources.dispatch import Dispatch
from tests.agent.local.rig import Kept, cancel, serving
from tests.agent.parts import Cloud, make_profile, until
from tests.authority import Authority
from tests.broker import MqttCloud, broker
from tests.ports import free_port
from tests.proxy import DOWN, UP, Proxy, proxy
from transport.errors import TransportError
from wire.codes import Code, dotted
from wire.datapoints import DataType, Value
from wire.exchange import Answer, Request, Terms
from wire.reports import REGISTER_PATH, registration_answer
from wire.topics import request_properties

NO_ANSWER = "no answer"
DEADLINE = 60.0


class Gate(Kept):
    """A text that is set when `go` lets it; `values` has what was carried out, in order."""

    def __init__(self) -> None:
        super().__init__("gate", DataType.STRING, None, "")
        self.values: list[Value] = []
        self.waiting = 0
        self.go = asyncio.Event()
        self.go.set()

    async def put(self, value: Value) -> None:
        self.waiting += 1
        try:
            await self.go.wait()
        finally:
            self.waiting -= 1
        await super().put(value)
        self.values.append(value)


def show(answer: Answer) -> str:
    return f"{dotted(answer.code)} {answer.payload.decode()}".strip()


def now_ms() -> int:
    return int(time.time() * 1000)


def welcome(request: Request) -> Answer:
    """Answer a registration with the cloud's time, and anything else with 2.04."""
    if request.path == REGISTER_PATH:
        return Answer(Code.CONTENT, registration_answer(now_ms(), frozenset()))
    return Answer(Code.CHANGED)


class Driver(Protocol):
    """One protocol: asks for ``PUT /gate``, and makes faults. Each returns what the asker is told."""

    async def put(self, text: str, **terms: Any) -> str:
        """Set the gate; ``terms`` are `wire.exchange.Terms`, for a cloud link."""

    async def twice(self, text: str) -> str:
        """Send the same request twice; return the second's answer."""

    async def cut_short(self, text: str) -> str:
        """Send a part of a request, and cut."""

    async def lose_answer(self, text: str, gate: Gate, /) -> str:
        """Send a request whose answer is lost."""

    async def junk(self) -> str:
        """Send what is no request; return what is answered to it."""


class CloudDriver:
    """What both cloud links have in common: a proxy between them and the machine, terms."""

    def __init__(self, way: Proxy, link: Any) -> None:
        self.way = way
        self.link = link

    async def ask(self, text: str, terms: Terms) -> Answer:
        raise NotImplementedError

    async def put(self, text: str, **terms: Any) -> str:
        made = Terms(terms.get("until_ms", now_ms() + 60_000), terms.get("id", b""))
        try:
            return show(await self.ask(text, made))
        except TransportError:
            return NO_ANSWER

    async def twice(self, text: str) -> str:
        first, second = await asyncio.gather(*(self.put(text, id=b"twice") for _ in range(2)))
        assert first == second
        return second

    async def cut_short(self, text: str) -> str:
        back = self.comes_back()
        self.way.cut_after(DOWN, 60)
        answer = await self.put(text)
        await until(back)
        return answer

    async def lose_answer(self, text: str, gate: Gate) -> str:
        self.way.hold(UP)
        asking = asyncio.create_task(self.put(text, id=b"lost"))
        await until(lambda: text in gate.values)
        back = self.comes_back()
        self.way.cut()
        answer = await asking
        await until(back)
        if answer == NO_ANSWER:
            answer += f", then {await self.put(text, id=b'lost')}"
        return answer

    def comes_back(self) -> Callable[[], bool]:
        """Return what tells whether the link is up again after a cut that comes now."""
        tries = self.link.status.tries
        return lambda: self.link.status.tries > tries and self.link.registered.is_set()

    async def stall(self, text: str) -> str:
        """Hold a request until its deadline is over."""
        end = now_ms() + 100
        self.way.hold(DOWN)
        asking = asyncio.create_task(self.put(text, until_ms=end))
        await until(lambda: now_ms() > end + 50)
        self.way.go_on()
        return await asking


class FramedDriver(CloudDriver):
    def __init__(self, way: Proxy, link: Any, cloud: Cloud) -> None:
        super().__init__(way, link)
        self.cloud = cloud

    async def ask(self, text: str, terms: Terms) -> Answer:
        assert self.cloud.endpoint
        return await self.cloud.endpoint.request(
            self.cloud.connections[-1], "PUT", ("gate",), text.encode(),
            deadline=DEADLINE, terms=terms,
        )  # fmt: skip

    async def junk(self) -> str:
        self.cloud.connections[-1].send(b"\xff" * 40)
        return ""


class MqttDriver(CloudDriver):
    def __init__(self, way: Proxy, link: Any, cloud: MqttCloud) -> None:
        super().__init__(way, link)
        self.cloud = cloud
        self.numbers = itertools.count()

    async def ask(self, text: str, terms: Terms) -> Answer:
        request = Request("PUT", ("gate",), (), b"", terms.until_ms, terms.id)
        correlation = b"fault-%d" % next(self.numbers)
        return await self.cloud.send(request_properties(request), text.encode(), correlation)

    async def junk(self) -> str:
        return show(await self.cloud.send([("method", "EAT")], b"\xff", b"junk"))


class CoapDriver:
    """Local CoAP: aiocoap's client, and a bare socket for the faults."""

    def __init__(self, client: aiocoap.Context, port: int) -> None:
        self.client, self.port = client, port

    async def put(self, text: str, **_terms: Any) -> str:
        message = aiocoap.Message(
            code=aiocoap.PUT, payload=text.encode(), uri=f"coap://127.0.0.1:{self.port}/gate"
        )
        reply = await self.client.request(message).response
        return show(Answer(int(reply.code), reply.payload))

    def bare(self, text: str, mid: int) -> aiocoap.Message:
        message = aiocoap.Message(
            code=aiocoap.PUT, _mtype=aiocoap.CON, _mid=mid, _token=b"t", payload=text.encode()
        )
        message.opt.uri_path = ("gate",)
        return message

    async def exchange(self, *datagrams: bytes) -> list[bytes]:
        """Send datagrams from one port; return the answer to each."""
        answers: asyncio.Queue[bytes] = asyncio.Queue()

        class Takes(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _address: Any) -> None:
                answers.put_nowait(data)

        loop = asyncio.get_running_loop()
        made, _ = await loop.create_datagram_endpoint(Takes, remote_addr=("127.0.0.1", self.port))
        try:
            found = []
            for datagram in datagrams:
                made.sendto(datagram)
                async with asyncio.timeout(DEADLINE):
                    found.append(await answers.get())
            return found
        finally:
            made.close()

    async def twice(self, text: str) -> str:
        sent = self.bare(text, 77).encode()
        first, second = await self.exchange(sent, sent)
        assert first == second
        reply = aiocoap.Message.decode(second)
        return show(Answer(int(reply.code), reply.payload))

    async def cut_short(self, text: str) -> str:
        message = self.bare(text[:64], 78)
        message.opt.block1 = (0, True, 2)
        await self.exchange(message.encode())
        return NO_ANSWER

    async def lose_answer(self, text: str, _gate: Gate) -> str:
        return f"{NO_ANSWER}, then {await self.twice(text)}"

    async def junk(self) -> str:
        loop = asyncio.get_running_loop()
        made, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", self.port)
        )
        made.sendto(b"\xff" * 40)
        made.close()
        return ""


class HttpDriver:
    """Local HTTP: httpx, and a bare socket for the faults."""

    def __init__(self, client: httpx.AsyncClient, path: Path) -> None:
        self.client, self.path = client, path

    async def put(self, text: str, **_terms: Any) -> str:
        answer = await self.client.put("/gate", content=text.encode())
        return f"{answer.headers['X-CoAP-Code']} {answer.text}".strip()

    async def twice(self, text: str) -> str:
        await self.put(text)
        return await self.put(text)

    async def say(self, raw: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self.path)
        writer.write(raw)
        await writer.drain()
        return reader, writer

    async def cut_short(self, text: str) -> str:
        _, writer = await self.say(
            b"PUT /gate HTTP/1.1\r\nHost: agent\r\nContent-Length: 999\r\n\r\n" + text.encode()
        )
        writer.transport.abort()
        return NO_ANSWER

    async def lose_answer(self, text: str, gate: Gate) -> str:
        length = len(text.encode())
        _, writer = await self.say(
            b"PUT /gate HTTP/1.1\r\nHost: agent\r\nContent-Length: %d\r\n\r\n" % length
            + text.encode()
        )
        await until(lambda: text in gate.values)
        writer.transport.abort()
        return NO_ANSWER

    async def junk(self) -> str:
        reader, writer = await self.say(b"\x00\xff\xff\r\n\r\n")
        answer = await reader.readline()
        writer.transport.abort()
        return answer.split()[1].decode()


@asynccontextmanager
async def drivers(
    cloud: Cloud, authority: Authority, folder: Path, dispatch: Dispatch
) -> AsyncIterator[dict[str, Driver]]:
    """Yield the four drivers, in the order of the columns of docs/link.md."""

    async def no_order(_payload: bytes) -> Answer:
        return Answer(Code.CHANGED)

    handler = cloud_handler(dispatch, no_order, cancel)
    quick: dict[str, Any] = {"retry_max_seconds": 0.02, "keepalive_seconds": 60}
    cloud.answer = welcome
    profile = make_profile(1, authority.pem)
    local, port = await aiocoap.Context.create_client_context(transports=["simple6"]), free_port()
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        running: list[asyncio.Task[None]] = []

        async def start(settings: LinkSettings, at: int) -> Any:
            made = build_link(make_profile(at, authority.pem), settings, handler, TrustedTime())
            running.append(asyncio.create_task(made.run()))
            async with asyncio.timeout(DEADLINE):
                await made.registered.wait()
            return made

        to_cloud = await enter(proxy(cloud.port))
        framed = await start(LinkSettings(**quick), to_cloud.port)
        made = await enter(broker(folder / "b", authority, {profile.uuid: profile.token}))
        behind = MqttCloud(made, authority.client_context())
        await behind.start()
        behind.answer = welcome
        to_broker = await enter(proxy(made.listeners.port))
        chosen = LinkSettings(kind=LinkKind.MQTT, mqtt_port=to_broker.port, **quick)
        mqtt = await start(chosen, 1)
        await enter(local_coap(dispatch.handle_local, port))
        client = await enter(serving(dispatch, folder / "agent.sock"))
        yield {
            "framed CoAP": FramedDriver(to_cloud, framed, cloud),
            "MQTT": MqttDriver(to_broker, mqtt, behind),
            "local CoAP": CoapDriver(local, port),
            "local HTTP": HttpDriver(client, folder / "agent.sock"),
        }
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await behind.stop()
        await local.shutdown()
