"""The faults of a link on real connections with real TLS: held, slow, cut in the middle, and reset."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest

from staging.bench.board import Board
from staging.bench.line import LINE
from staging.bench.lines import Lines
from staging.crowd import DoorLimits
from staging.doorman import Settle
from staging.gateway import tls
from staging.gateway.handshakes import TlsServer
from staging.identity import ca
from staging.listening import listen
from tests.waiting import until

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
QUEUE_LIMIT = 262_144

UUID = "00830000000001"
DEADLINE = 60.0


class Echo:
    """A TLS server on a bench that answers what it gets, and a client's connection to it."""

    def __init__(self, board: Board, certificates: ca.Certificates) -> None:
        self.board = board
        self.lines = Lines(board)
        self._certificates = certificates
        self.served: list[asyncio.StreamWriter] = []
        self.ends: list[str] = []
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def start(self) -> None:
        context = tls.server_context(self._certificates, legacy=False)
        self._tls = TlsServer(
            self._carry, context, handshake_seconds=DEADLINE, shutdown_seconds=1,
            limits=DoorLimits(9), dress=self.lines.dress,
        )  # fmt: skip
        self._listener = listen("127.0.0.1", 0, "--device-port")
        self.port = self._listener.getsockname()[1]
        self._tls.start(self._listener)
        await self.connect()

    async def connect(self) -> None:
        context = ssl.create_default_context(cafile=str(self._certificates.ca))
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context
        )

    async def connect_and_say(self, text: bytes) -> bytes:
        await self.connect()
        return await self.say(text)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settle: Settle
    ) -> None:
        settle()
        self.served.append(writer)
        line = writer.get_extra_info(LINE)
        self.lines.claim_line(UUID, line)
        try:
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
            self.ends.append("closed")
        except OSError as error:
            self.ends.append(type(error).__name__)
        finally:
            writer.close()

    async def say(self, text: bytes) -> bytes:
        self.writer.write(text)
        return await self.hear(len(text))

    async def hear(self, count: int) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readexactly(count)

    async def stop(self) -> None:
        self.lines.close()
        self.writer.close()
        self._tls.close()
        self._listener.close()


@pytest.fixture
async def echo(certificates: ca.Certificates) -> AsyncIterator[Echo]:
    made = Echo(Board(asyncio.get_running_loop().time), certificates)
    await made.start()
    yield made
    await made.stop()


async def test_without_a_fault_everything_passes_whole(echo: Echo) -> None:
    big = bytes(range(256)) * 4096
    sending = asyncio.create_task(_write(echo.writer, big))
    assert await echo.hear(len(big)) == big
    await sending


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def test_a_black_hole_holds_and_lets_go_in_order(echo: Echo) -> None:
    assert await echo.say(b"before") == b"before"
    echo.board.set(UUID, "half_open")
    for word in (b"one ", b"two ", b"three"):
        echo.writer.write(word)
    line = echo.served[0].get_extra_info(LINE)
    await until(lambda: line.up.size > 0)
    echo.board.clear(UUID)
    assert await echo.hear(13) == b"one two three"


async def test_an_end_in_a_black_hole_is_told_after_it(echo: Echo) -> None:
    assert await echo.say(b"x") == b"x"
    echo.board.set(UUID, "half_open")
    echo.served[0].transport.abort()
    await until(lambda: echo.ends)  # our side is told at once
    assert not echo.reader.at_eof()
    echo.board.clear(UUID)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await echo.hear(1)


async def test_one_way_is_held_alone(echo: Echo) -> None:
    assert await echo.say(b"x") == b"x"
    echo.board.set(UUID, "half_open", {"way": "to_device"})
    echo.writer.write(b"heard")
    line = echo.served[0].get_extra_info(LINE)
    await until(lambda: line.down.size > 0)
    assert line.up.is_empty
    echo.board.clear(UUID)
    assert await echo.hear(5) == b"heard"


async def test_a_slow_and_late_link_brings_everything(echo: Echo) -> None:
    echo.board.set(UUID, "slow", {"bytes_per_second": 10_000_000})
    echo.board.set(UUID, "delay", {"ms": 1, "jitter_ms": 1})
    text = bytes(range(256)) * 20
    assert await echo.say(text) == text


async def test_what_waits_is_bounded(echo: Echo) -> None:
    assert await echo.say(b"x") == b"x"
    echo.board.set(UUID, "half_open", {"way": "to_cloud"})
    line = echo.served[0].get_extra_info(LINE)
    size = 16 * QUEUE_LIMIT
    sending = asyncio.create_task(_write(echo.writer, bytes(size)))
    await until(lambda: line.up.size >= QUEUE_LIMIT)
    for _ in range(20):
        await asyncio.sleep(0)
    assert line.up.size < 3 * QUEUE_LIMIT
    echo.board.clear(UUID)
    assert await echo.hear(size) == bytes(size)
    await sending


async def test_a_cut_is_told_to_both_and_new_connections_are_cut_too(echo: Echo) -> None:
    assert await echo.say(b"x") == b"x"
    echo.board.set(UUID, "cut")
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await echo.hear(1)
    await until(lambda: echo.ends)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await echo.connect_and_say(b"x")
    echo.board.clear(UUID)
    await echo.connect()
    assert await echo.say(b"again") == b"again"


async def test_a_cut_in_the_middle_happens_once(echo: Echo) -> None:
    assert await echo.say(b"x") == b"x"
    echo.board.set(UUID, "cut_after", {"bytes": 10, "way": "to_cloud"})
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await echo.say(b"more than ten bytes of TLS")
    assert UUID in echo.board.devices
    await echo.connect()
    assert await echo.say(b"open") == b"open"


async def test_an_address_of_one_device_has_its_faults_from_the_first_byte(echo: Echo) -> None:
    assert echo.lines.at("127.0.0.1") == [UUID]
    assert echo.lines.address_of(UUID) == "127.0.0.1"
    echo.board.set(UUID, "half_open")
    shaking = asyncio.create_task(echo.connect())
    await until(lambda: len(echo.lines._lines) == 2)
    served = len(echo.served)
    echo.board.clear(UUID)
    await shaking
    await until(lambda: len(echo.served) == served + 1)
