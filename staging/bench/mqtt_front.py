"""Stands before the broker on a bench: the devices' TLS ends here, so that faults act on it and each packet is seen.

A broker is a program of its own, and what is between it and a device is encrypted. On a bench its port for devices is
this one, which passes every byte on to the broker by another TLS connection on loopback; the CONNECT says whose it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from staging.bench.line import LINE, Line
from staging.bench.lines import Lines
from staging.crowd import DoorLimits
from staging.doorman import Settle
from staging.gateway.handshakes import TlsServer
from staging.wirelog.frames import MqttSplitter
from staging.wirelog.mqtt_taps import MqttTap
from staging.wirelog.mqtt_view import CONNECT, split_packet

HANDSHAKE_SECONDS = 10.0
SHUTDOWN_SECONDS = 1.0
# A device sends its CONNECT with its first bytes.
CONNECT_SECONDS = 10.0
# Bytes of a CONNECT with a will; ours has a few hundred.
CONNECT_LIMIT = 16 * 1024
READ_SIZE = 16 * 1024
CONNECTIONS = 1024

Tapping = Callable[[str], MqttTap]
"""Returns the wire log of a new connection from an address."""

_log = logging.getLogger(__name__)


class MqttFront:
    """One port before the broker."""

    def __init__(
        self, lines: Lines, context: ssl.SSLContext, port: int, ca: Path, tapping: Tapping
    ) -> None:
        """Pass on to the broker's ``port`` on loopback, which chains to ``ca``, what comes by TLS of ``context``.

        ``tapping`` makes the wire log of each connection.
        """
        self._lines = lines
        self._port = port
        self._ca = ca
        self._tapping = tapping
        self._server = TlsServer(
            self._carry, context, handshake_seconds=HANDSHAKE_SECONDS,
            shutdown_seconds=SHUTDOWN_SECONDS, limits=DoorLimits(CONNECTIONS), dress=lines.dress,
            name="broker's port",
        )  # fmt: skip
        self._writers: set[asyncio.StreamWriter] = set()

    def start(self, listener: socket.socket) -> None:
        """Begin to accept on a listening socket, which stays the caller's."""
        self._server.start(listener)

    def close(self) -> None:
        """Accept no more, and end every connection."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settle: Settle
    ) -> None:
        self._writers.add(writer)
        tap = self._tapping(_peer(writer))
        reason = "closed"
        try:
            first = await _first_packet(reader)
            settle()
            tap.heard(first)
            self._claim(first, writer, tap)
            reason = await self._pass_on(first, reader, writer, tap)
        except (OSError, TimeoutError) as error:
            reason = str(error) or "no CONNECT came"
        finally:
            tap.end(reason)
            self._writers.discard(writer)
            writer.close()

    def _claim(self, first: bytes, writer: asyncio.StreamWriter, tap: MqttTap) -> None:
        parts = split_packet(first)
        line = writer.get_extra_info(LINE)
        if parts.kind == CONNECT and parts.user:
            uuid = parts.user.lower()
            tap.claim(uuid)
            if isinstance(line, Line):
                self._lines.claim_line(uuid, line)

    async def _pass_on(
        self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tap: MqttTap
    ) -> str:
        """Pass on both ways until one ends; return which."""
        context = ssl.create_default_context(cafile=self._ca)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port, ssl=context)
        self._writers.add(far_writer)
        try:
            far_writer.write(first)
            up = asyncio.create_task(_pump(reader, far_writer, tap.heard, "the device"))
            down = asyncio.create_task(_pump(far_reader, writer, tap.told, "the broker"))
            done, waiting = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            return next(iter(done)).result()
        finally:
            self._writers.discard(far_writer)
            far_writer.close()


async def _first_packet(reader: asyncio.StreamReader) -> bytes:
    """Return the first bytes of a connection, a whole packet if there is one in them; raises TimeoutError."""
    splitter, data = MqttSplitter(CONNECT_LIMIT), b""
    async with asyncio.timeout(CONNECT_SECONDS):
        while piece := await reader.read(READ_SIZE):
            data += piece
            if any(True for _ in splitter.feed(piece)):
                break
    return data


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    seen: Callable[[bytes], None],
    who: str,
) -> str:
    with contextlib.suppress(OSError):
        while data := await reader.read(READ_SIZE):
            seen(data)
            writer.write(data)
            await writer.drain()
        return f"closed by {who}"
    return f"lost by {who}"


def _peer(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "?"
