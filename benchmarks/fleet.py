"""Measures a cloud with 2,000 devices: framed TLS connections with heartbeats, and memory for each.

The devices are asyncio protocols in one process: registration, heartbeats and answers to the
cloud's requests, no more. Heartbeats come every 10 s, 5.5 times as often as from real devices. The
reference is a bare asyncio TLS server that only reads; the same process connects to it and sends
nothing.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import signal
import ssl
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import aiocoap

from benchmarks.figures import Figure, command_line, figure
from benchmarks.memory import memory
from benchmarks.stage import on_stage
from staging.data_dir import DataDir
from staging.store import Database, devices
from staging.times import now_ms
from tools.bench import Bench
from tools.processes import BenchError
from wire.framing import FrameDecoder, encode_frame
from wire.reports import (
    KEEPALIVE,
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    registration_payload,
    report_payload,
    report_query,
)

DEVICES = 2000
HEARTBEAT_SECONDS = 10.0
HOLD_SECONDS = 25.0
# Concurrent handshakes. One takes the cloud about 2 ms, so that more at once would only wait
# longer.
HANDSHAKES = 32
DEADLINE = 120.0
_HEADER = struct.Struct("!BBH")
_CONTENT, _NOT_FOUND = 0x45, 0x84


@dataclass(frozen=True, slots=True)
class Address:
    """The address that devices connect to, and the file of the CA certificate that they trust."""

    host: str
    port: int
    ca: str


class FleetDevice(asyncio.Protocol):
    """One device: registers, sends heartbeats, has a volume of 8 and no self-description."""

    def __init__(self, credentials: Credentials) -> None:
        self._decoder = FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self._register = post(REGISTER_PATH, registration_payload(credentials), ())
        query = report_query(credentials)
        self._alive = post(REPORT_PATH, report_payload(KEEPALIVE), query)
        self._mid = 0
        self.answered = 0
        self.registered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.registered.done():
            self.registered.set_exception(exc or ConnectionError("closed"))
        self._transport = None

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def register(self) -> None:
        self._send(self._register)

    def keep_alive(self) -> None:
        self._send(self._alive)

    def _send(self, request: bytes) -> None:
        if self._transport is not None:
            self._mid = (self._mid + 1) & 0xFFFF
            # The message id is bytes 2 and 3 of the header; the rest is prebuilt.
            message = request[:2] + self._mid.to_bytes(2, "big") + request[4:]
            self._transport.write(encode_frame(message))

    def data_received(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            first, code, mid = _HEADER.unpack_from(message)
            if code >= 0x40:
                self._note_answer(code)
            elif code:
                self._answer(first, mid, message)

    def _note_answer(self, code: int) -> None:
        if code >> 5 != 2:
            raise BenchError(f"the cloud answered {code >> 5}.{code & 31:02}")
        if self.registered.done():
            self.answered += 1
        else:
            self.registered.set_result(None)

    def _answer(self, first: int, mid: int, message: bytes) -> None:
        token = message[4 : 4 + (first & 0x0F)]
        code, body = (_CONTENT, b"\xff8") if b"volume" in message else (_NOT_FOUND, b"")
        assert self._transport is not None
        reply = _HEADER.pack(0x60 | len(token), code, mid) + token + body
        self._transport.write(encode_frame(reply))


def post(path: Sequence[str], payload: bytes, query: Sequence[str]) -> bytes:
    """Return a confirmable POST; its message id is 0."""
    message = aiocoap.Message(code=aiocoap.POST, payload=payload, _mtype=aiocoap.CON, _mid=0)
    message.opt.uri_path, message.opt.uri_query = tuple(path), tuple(query)
    return bytes(message.encode())


def measure(bench: Bench) -> list[Figure]:
    """Connect the fleet to the cloud, then to a bare server."""
    allow_files()
    assert bench.cloud is not None
    host, _, port = bench.device_address.rpartition(":")
    data = DataDir(bench.cloud_data)
    address = Address(host, int(port), str(data.ca / "ca.crt"))
    credentials = add_devices(data.database, DEVICES)
    before = memory(bench.cloud.process.pid).rss
    with fleet(address, credentials) as held:
        time.sleep(HOLD_SECONDS)
        ours = (memory(bench.cloud.process.pid).rss - before) * 1000 / DEVICES
    bare = _measure_bare(data, credentials)
    # The last few answers may still be in flight.
    if held.connected != DEVICES or held.answered < 0.99 * held.sent:
        lost = f"{held.sent - held.answered} of {held.sent} heartbeats"
        raise BenchError(f"{held.connected} of {DEVICES} held, {lost} without an answer")
    return [
        figure(
            f"memory a device, {DEVICES:,} held with heartbeats", "kB", [ours],
            "bare asyncio TLS server", [bare],
        ),
        figure(
            "devices connected and registered", "/s", [DEVICES / held.seconds],
            f"heartbeats of {DEVICES:,} real devices", [DEVICES / 55],
        ),
    ]  # fmt: skip


def add_devices(database: Path | str, count: int) -> list[Credentials]:
    """Add devices to the cloud's store while the server runs."""
    store = Database(database)
    try:
        made = store.call(
            lambda session: [devices.add(session, None, now_ms()) for _ in range(count)]
        )
    finally:
        store.close()
    return [Credentials(device.uuid, device.token) for device in made]


def allow_files() -> None:
    """Raise the limit of open files for this process and its children to the maximum."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < 2 * DEVICES:
        raise BenchError(f"the limit of open files is {hard}, the fleet needs {2 * DEVICES}")


@dataclass(slots=True)
class Held:
    """The fleet's counts; all but ``seconds`` (to connect) are set after it has ended."""

    seconds: float
    connected: int = 0
    answered: int = 0
    sent: int = 0


@contextmanager
def fleet(
    address: Address, credentials: Sequence[Credentials], *, speaks: bool = True
) -> Iterator[Held]:
    """Hold a connection for each device, in a separate process."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(
        target=_run, args=(address, list(credentials), speaks, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        held = Held(_receive(ours)[0])
        yield held
        ours.send(None)
        held.connected, held.answered, held.sent = map(int, _receive(ours))
    finally:
        process.terminate()
        process.join()


def _receive(pipe: Connection) -> Sequence[float]:
    try:
        if pipe.poll(DEADLINE):
            return tuple(pipe.recv())
    except EOFError:
        pass
    raise BenchError("the fleet ended, or did not connect in time")


def _run(address: Address, credentials: list[Credentials], speaks: bool, pipe: Connection) -> None:  # noqa: FBT001  # a process's arguments are positional
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent terminates us
    asyncio.run(_hold(address, credentials, speaks=speaks, pipe=pipe))


async def _hold(
    address: Address, credentials: list[Credentials], *, speaks: bool, pipe: Connection
) -> None:
    context = ssl.create_default_context(cafile=address.ca)
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(HANDSHAKES)

    async def connect(who: Credentials) -> FleetDevice:
        async with gate:
            _, device = await loop.create_connection(
                lambda: FleetDevice(who), address.host, address.port, ssl=context
            )
            if speaks:
                device.register()
                await device.registered
            else:
                device.registered.set_result(None)
            return device

    started = time.perf_counter()
    held = await asyncio.gather(*map(connect, credentials))
    pipe.send([time.perf_counter() - started])
    ending = asyncio.Event()
    loop.add_reader(pipe.fileno(), ending.set)
    ended = loop.create_task(ending.wait())
    sent = 0
    while not ended.done():
        if speaks:
            held[sent % len(held)].keep_alive()
            sent += 1
        await asyncio.wait([ended], timeout=HEARTBEAT_SECONDS / len(held))
    loop.remove_reader(pipe.fileno())
    counts = (sum(each.connected for each in held), sum(each.answered for each in held))
    pipe.send([*counts, sent])


def _measure_bare(data: DataDir, credentials: list[Credentials]) -> float:
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    certificate = (str(data.ca / "server.crt"), str(data.ca / "server.key"))
    process = spawn.Process(target=_serve_bare, args=(*certificate, sender), daemon=True)
    process.start()
    try:
        if not receiver.poll(DEADLINE):
            raise BenchError("the bare server did not start")
        address = Address("127.0.0.1", receiver.recv(), str(data.ca / "ca.crt"))
        assert process.pid is not None
        before = memory(process.pid).rss
        with fleet(address, credentials, speaks=False):
            return (memory(process.pid).rss - before) * 1000 / len(credentials)
    finally:
        process.terminate()
        process.join()


def _serve_bare(certificate: str, key: str, ready: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def read(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass

    async def serve() -> None:
        server = await asyncio.start_server(read, "127.0.0.1", 0, ssl=context, backlog=512)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(command_line(__doc__, on_stage(measure)))
