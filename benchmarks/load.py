"""Measures a cloud's throughput: ``info/by_uuid`` and ``control/send`` for 1, 16 and 64 callers.

Each caller has its own connection and sends the next request, freshly signed, after each answer.
The callers are asyncio protocols in two processes; they take a small part of the cloud's time for a
request. ``control/send`` goes to a fleet of devices, one for each caller, that answer at once. Two
clouds are measured in turns, one on SQLite and one on PostgreSQL over its Unix socket. The
reference is a path that does not exist: HTTP and the application's layers without a store or a
device.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.figures import Aim, Figure, command_line, figure
from benchmarks.fleet import Address, add_devices, fleet
from benchmarks.stage import stage
from staging.commands.common import DATABASE_VARIABLE
from staging.identity.signature import new_nonce, sign
from staging.store import Database, apps, devices
from staging.times import now_ms
from tools.bench import USER, Bench
from tools.postgresql import postgresql
from tools.processes import BenchError
from wire.reports import Credentials

CALLERS = (1, 16, 64)
PROCESSES = 2
TURNS = 5
TURN_SECONDS = 1.0
DEADLINE = 30.0
INFO, CONTROL, NOTHING = "info/by_uuid", "control/send", "a path that does not exist"
# Aims: requests as a share of those to the path that does not exist; PostgreSQL's of SQLite's; p99 over p50.
SHARE = {INFO: 0.4, CONTROL: 0.3}
POSTGRESQL_SHARE = 0.7
TAIL, TAIL_CALLERS = 3.0, 16
_STATUS = {INFO: b"200", CONTROL: b"200", NOTHING: b"404"}


@dataclass(frozen=True, slots=True)
class Caller:
    """The cloud's address, the app's credentials, and the devices to ask about."""

    host: str
    port: int
    apikey: str
    secret: str
    token: str
    uuids: Sequence[str]

    def request(self, endpoint: str, number: int) -> bytes:
        """Build a signed request about the device of this number."""
        uuid = self.uuids[number % len(self.uuids)]
        body = b""
        line = f"GET /v1/device/info/by_uuid?deviceUuid={uuid}"
        if endpoint == CONTROL:
            line = "POST /v1/device/control/send"
            body = json.dumps({"deviceUuid": uuid, "method": "GET", "name": "volume"}).encode()
        elif endpoint == NOTHING:
            line = "GET /v1/nothing"
        signed = sign(new_nonce(), self.apikey, self.secret, self.token)
        head = (
            f"{line} HTTP/1.1\r\nHost: {self.host}\r\nX-IOT-APP: {self.apikey}\r\n"
            f"X-IOT-Signature: {signed}\r\nX-IOT-Token: {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Connection(asyncio.Protocol):
    """One caller's connection; records the seconds to each answer until ``end``."""

    def __init__(self, caller: Caller, endpoint: str, number: int, end: float) -> None:
        self._caller, self._endpoint, self._number, self._end = caller, endpoint, number, end
        self._buffer = b""
        self._asked = 0.0
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(BenchError("the cloud closed a connection"))

    def _ask(self) -> None:
        request = self._caller.request(self._endpoint, self._number)
        self._asked = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        now = time.perf_counter()
        if head[9:12] != _STATUS[self._endpoint]:
            self.done.set_exception(BenchError(f"{self._endpoint}: {self._buffer!r}"))
            return
        self._buffer = b""
        self.times.append(now - self._asked)
        if now < self._end:
            self._ask()
        else:
            self.done.set_result(None)
            self._transport.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn's requests per second, and the latency in milliseconds."""

    rate: float
    p50: float
    p99: float


def measure() -> list[Figure]:
    """Start both clouds and measure them in turns."""
    with ExitStack() as stack:
        server = stack.enter_context(postgresql(durable=True))
        clouds = [stack.enter_context(cloud(url)) for url in (None, server.url())]
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(PROCESSES, _ignore))
        return [
            each
            for endpoint in (INFO, CONTROL)
            for callers in CALLERS
            for each in _figures(pool, clouds, endpoint, callers)
        ]


def _figures(pool: Pool, clouds: list[Caller], endpoint: str, callers: int) -> list[Figure]:
    turns = [
        [run(pool, clouds[0], endpoint, callers), run(pool, clouds[1], endpoint, callers),
         run(pool, clouds[0], NOTHING, callers)]
        for _ in range(TURNS + 1)
    ][1:]  # fmt: skip
    sqlite, postgres, nothing = zip(*turns, strict=True)
    name = f"{endpoint}, {callers} caller{'s' * (callers > 1)}"
    is_even = Aim("ratio", "<", TAIL) if callers == TAIL_CALLERS else None
    return [
        figure(
            f"{name}, requests", "/s", [turn.rate for turn in sqlite],
            NOTHING, [turn.rate for turn in nothing], Aim("ratio", "≥", SHARE[endpoint]),
        ),
        figure(
            f"{name}, requests, PostgreSQL", "/s", [turn.rate for turn in postgres],
            "SQLite", [turn.rate for turn in sqlite], Aim("ratio", "≥", POSTGRESQL_SHARE),
        ),
        *(
            figure(
                f"{name}, p99{of}", "ms", [turn.p99 for turn in found],
                "p50", [turn.p50 for turn in found], is_even,
            )
            for of, found in (("", sqlite), (", PostgreSQL", postgres))
        ),
    ]  # fmt: skip


def run(pool: Pool, caller: Caller, endpoint: str, callers: int) -> Turn:
    """Run one turn."""
    shares = [range(n, callers, PROCESSES) for n in range(min(PROCESSES, callers))]
    asked = [pool.apply_async(ask, (caller, endpoint, share)) for share in shares]
    results = [each.get(DEADLINE) for each in asked]
    times = sorted(each for seconds, _ in results for each in seconds)
    rate = sum(len(seconds) / took for seconds, took in results)
    quantiles = statistics.quantiles(times, n=100)
    return Turn(rate, quantiles[49] * 1000, quantiles[98] * 1000)


def ask(caller: Caller, endpoint: str, numbers: Sequence[int]) -> tuple[list[float], float]:
    """Run the callers ``numbers`` in a process of the pool.

    Returns:
        The seconds to each answer, and the total seconds.
    """
    return asyncio.run(_ask(caller, endpoint, numbers))


async def _ask(caller: Caller, endpoint: str, numbers: Sequence[int]) -> tuple[list[float], float]:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    connections = [
        (
            await loop.create_connection(
                lambda number=number: Connection(  # type: ignore[misc]  # binds the loop variable
                    caller, endpoint, number, started + TURN_SECONDS
                ),
                caller.host,
                caller.port,
            )
        )[1]
        for number in numbers
    ]
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(connection.done for connection in connections))
    return [each for made in connections for each in made.times], time.perf_counter() - started


@contextmanager
def cloud(url: str | None) -> Iterator[Caller]:
    """Run a cloud on a database with a device for each caller, bound and online."""
    with ExitStack() as stack:
        if url is not None:
            os.environ[DATABASE_VARIABLE] = url
            stack.callback(os.environ.pop, DATABASE_VARIABLE, None)
        bench = stack.enter_context(stage())
        where = url or bench.cloud_data / "cloud.sqlite"
        fleet_of = add_devices(where, max(CALLERS))
        bind(where, fleet_of)
        host, _, port = bench.device_address.rpartition(":")
        address = Address(host, int(port), str(bench.cloud_data / "ca" / "ca.crt"))
        stack.enter_context(fleet(address, fleet_of))
        os.environ.pop(DATABASE_VARIABLE, None)
        yield caller_of(bench, fleet_of)


def caller_of(bench: Bench, fleet_of: Sequence[Credentials]) -> Caller:
    """Return who asks the cloud of ``bench`` about these devices."""
    api = urlsplit(bench.api)
    assert api.hostname is not None
    assert api.port is not None
    uuids = [each.uuid for each in fleet_of]
    return Caller(
        api.hostname, api.port, bench.app["apikey"], bench.app["secret"], bench.token, uuids
    )


def bind(where: Path | str, fleet_of: Sequence[Credentials]) -> None:
    """Bind the devices to the app's account."""
    store = Database(where)
    owner = store.call(apps.account, USER, now_ms()).id
    for each in fleet_of:
        device = store.call(devices.get, each.uuid)
        store.call(devices.bind, each.uuid, device.bind_token or "", owner, now_ms())
    store.close()


def _ignore() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent terminates us


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
