"""The port before the broker: bytes pass, each packet is seen, and faults act, with a scripted broker behind it.

Tests staging.wirelog.mqtt_taps too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest

from staging.bench.board import Board
from staging.bench.lines import Lines
from staging.bench.mqtt_front import MqttFront
from staging.gateway import tls
from staging.identity import ca
from staging.listening import listen
from staging.wirelog.log import WireLog
from staging.wirelog.mqtt_taps import MqttTap
from tests.staging.wirelog.test_frames import packet
from tests.staging.wirelog.test_mqtt_view import CONNECT
from tests.waiting import until

DEADLINE = 60.0
CONNACK, PING = packet(0x20, b"\0\0\0"), packet(0xC0, b"")
UUID = "uid"  # as CONNECT has it


class Front:
    """A front with a broker behind it that answers each piece with CONNACK."""

    def __init__(self, certificates: ca.Certificates) -> None:
        self._certificates = certificates
        self.board = Board(asyncio.get_running_loop().time)
        self.log = WireLog()
        self.heard: list[bytes] = []

    async def start(self) -> None:
        context = tls.server_context(self._certificates, legacy=False)
        self.broker = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=context)
        port = self.broker.sockets[0].getsockname()[1]
        self.front = MqttFront(
            Lines(self.board), context, port, self._certificates.ca,
            lambda peer: MqttTap(self.log, peer),
        )  # fmt: skip
        self._listener = listen("127.0.0.1", 0, "--mqtt-port")
        self.front.start(self._listener)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            self.heard.append(data)
            writer.write(CONNACK)
        writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = ssl.create_default_context(cafile=str(self._certificates.ca))
        port = self._listener.getsockname()[1]
        return await asyncio.open_connection("127.0.0.1", port, ssl=context)

    async def stop(self) -> None:
        self.front.close()
        self.broker.close()
        self._listener.close()


@pytest.fixture
async def front(certificates: ca.Certificates) -> AsyncIterator[Front]:
    made = Front(certificates)
    await made.start()
    yield made
    await made.stop()


async def _read(reader: asyncio.StreamReader, count: int) -> bytes:
    async with asyncio.timeout(DEADLINE):
        return await reader.readexactly(count)


async def _until(front: Front, text: str) -> None:
    await until(lambda: any(text in str(entry.to_json()) for entry in front.log.entries(UUID)))


async def test_bytes_pass_both_ways_and_each_packet_is_seen(front: Front) -> None:
    front.log.watch(UUID, [])
    reader, writer = await front.connect()
    writer.write(CONNECT)
    assert await _read(reader, len(CONNACK)) == CONNACK
    assert front.heard == [CONNECT]  # the password too: only the log has it not
    told = [(e.way, e.view.get("type")) for e in front.log.entries(UUID) if e.data]
    assert told == [("up", "CONNECT"), ("down", "CONNACK")]
    assert b"secret" not in front.log.entries(UUID)[1].data
    writer.write(PING)
    await _read(reader, len(CONNACK))
    writer.write(b"\0\0 no packet")
    await _until(front, "packet type 0")
    writer.close()
    await _until(front, "ended: closed by the device")


async def test_what_does_not_begin_with_a_connect_reaches_the_broker_all_the_same(
    front: Front,
) -> None:
    reader, writer = await front.connect()
    writer.write(packet(0x30, b"\0\x01t\0"))
    assert await _read(reader, len(CONNACK)) == CONNACK
    assert front.heard == [packet(0x30, b"\0\x01t\0")]
    writer.close()


async def test_a_fault_of_the_device_acts_on_its_connection(front: Front) -> None:
    reader, writer = await front.connect()
    writer.write(CONNECT)
    await _read(reader, len(CONNACK))
    front.board.set(UUID, "cut")
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await _read(reader, 1)
    writer.close()


async def test_a_broker_that_is_away_ends_the_connection(front: Front) -> None:
    front.broker.close()
    await front.broker.wait_closed()
    reader, writer = await front.connect()
    writer.write(CONNECT)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await _read(reader, 1)
    writer.close()
