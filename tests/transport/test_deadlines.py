"""The transport's deadlines as docs/link.md has them, on a moved clock; a test sets none of them."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import pytest

from staging.advise import mqtt_packets as mqtt
from tests.authority import LOOPBACK, Authority
from tests.extras import require
from tests.moved_clock import Since, on_moved_clock
from transport.connection import Connection
from transport.errors import StreamClosedError
from transport.framed import FramedEndpoint
from transport.liveness import is_ping
from transport.tls_socket import open_tls
from wire.exchange import Answer, Request
from wire.framing import encode_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
CLOUD_QUIET_SECONDS = 21.0

NEAR = 0.6


async def nothing(_request: Request) -> Answer:
    raise AssertionError("a silent peer asks nothing")


class Silent:
    """A server that reads and says nothing, and the endpoint that serves our end."""

    async def __aenter__(self) -> Self:
        self.got = bytearray()
        self._server = await asyncio.start_server(self._read, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
        self.endpoint = await FramedEndpoint.create()
        self.served = asyncio.create_task(self.endpoint.serve(self.connection, nothing))
        await asyncio.sleep(0)
        return self

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            self.got += data
        writer.close()

    async def __aexit__(self, *_error: object) -> None:
        await self.endpoint.shutdown()
        await asyncio.gather(self.served, return_exceptions=True)
        self._server.close()
        await self._server.wait_closed()


@on_moved_clock
async def test_a_quiet_peer_is_asked_after_20_s_and_given_up_7_s_later() -> None:
    async with Silent() as peer:
        peer.endpoint.watch(peer.connection)
        since = Since()
        await asyncio.sleep(19.5)
        assert not peer.got
        await asyncio.sleep(1)
        assert len(peer.got) == 12  # docs/link.md: a ping is 12 bytes in its frame
        await peer.served
        assert since.seconds == pytest.approx(27.5, abs=NEAR)


class Counted:
    """Counts the pings that are sent on a connection."""

    def __init__(self) -> None:
        self.pings = 0

    def heard(self, _data: bytes) -> None: ...

    def sent(self, frame: bytes) -> None:
        self.pings += is_ping(frame[8:])


@on_moved_clock
async def test_of_a_machine_and_a_cloud_that_are_well_only_one_asks() -> None:
    ends: dict[str, Connection] = {}
    both = asyncio.Event()
    endpoint = await FramedEndpoint.create()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends["cloud"] = Connection(reader, writer)
        both.set()
        await endpoint.serve(ends["cloud"], nothing)

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ends["machine"] = Connection(*await asyncio.open_connection("127.0.0.1", port))
    served = asyncio.create_task(endpoint.serve(ends["machine"], nothing))
    await both.wait()
    await asyncio.sleep(0)
    counted = {name: Counted() for name in ends}
    for name, connection in ends.items():
        connection.tap = counted[name]
    endpoint.watch(ends["machine"])
    endpoint.watch(ends["cloud"], CLOUD_QUIET_SECONDS)
    await asyncio.sleep(119)
    assert counted["machine"].pings == 5
    assert counted["cloud"].pings == 0
    await endpoint.shutdown()
    await served
    server.close()


@on_moved_clock
async def test_whoever_waits_to_know_is_told_after_3_s() -> None:
    async with Silent() as peer:
        since = Since()
        assert not await peer.endpoint.answers(peer.connection)
        assert since.seconds == pytest.approx(3.0, abs=NEAR)


class Deaf(asyncio.Protocol):
    """Takes a connection and reads nothing of it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()


@on_moved_clock
async def test_a_close_waits_2_s_for_the_other_side() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Deaf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    endpoint = await FramedEndpoint.create()
    served = asyncio.create_task(endpoint.serve(connection, nothing, idle_timeout=5.0))
    await asyncio.sleep(0)
    transport = connection._writer.transport
    while transport.get_write_buffer_size() < 4096:  # more than the system takes
        transport.write(bytes(64 * 1024))
    since = Since()
    await served
    assert since.seconds == pytest.approx(5.0 + 2.0, abs=NEAR)
    await endpoint.shutdown()
    server.close()


@on_moved_clock
async def test_what_comes_puts_off_the_end_of_a_connection_that_may_be_idle_for_10_s() -> None:
    accepted: list[asyncio.StreamWriter] = []

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    endpoint = await FramedEndpoint.create()
    served = asyncio.create_task(endpoint.serve(connection, nothing, idle_timeout=10.0))
    since = Since()
    await asyncio.sleep(6)
    accepted[0].write(encode_frame(b"\x40\0\0\1"))  # a ping
    assert await served == "silent for 10 s"
    assert since.seconds == pytest.approx(16.0, abs=NEAR)
    await endpoint.shutdown()
    accepted[0].close()
    server.close()


@on_moved_clock
async def test_the_farewell_to_a_broker_that_takes_nothing_is_given_up_after_2_s(
    authority: Authority,
) -> None:
    """An agent has 5 s for its whole end."""
    require("paho")
    from transport.mqtt import MqttConnection, MqttOptions, Outgoing

    writers: list[Any] = []

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(mqtt.connack())
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writers.append(writer)

    async with await asyncio.start_server(
        broker, LOOPBACK, 0, ssl=authority.server_context()
    ) as server:
        port = server.sockets[0].getsockname()[1]
        sock = await open_tls(LOOPBACK, port, authority.client_context())
        connection = await MqttConnection.open(sock, MqttOptions("x"), lambda _message: None)
        # More than the sockets between them hold: the farewell waits behind it.
        large = Outgoing("a", bytes(32 * 2**20))
        publishing = asyncio.create_task(connection.publish(large, deadline=60))
        await asyncio.sleep(0)
        since = Since()
        await connection.close()
        assert since.seconds == pytest.approx(2.0, abs=NEAR)
        with pytest.raises(StreamClosedError):
            await publishing
        writers[0].transport.abort()
