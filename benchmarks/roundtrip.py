"""Compares the time until an app has a device's answer with a bare CoAP exchange.

Ours: ``POST /v1/device/control/send`` (GET volume) on one persistent HTTP connection, each request
signed: HTTP, signature, nonce, token, binding, the framed CoAP link over TLS, the agent's dispatch,
and back. The reference: aiocoap's own client and server, one GET over UDP on loopback with nothing
behind it, once with aiocoap's default transport on Linux (udp6) and once with its fastest
(simple6). Ours are three processes, the reference's two.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import signal
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

import aiocoap
from aiocoap.resource import Resource, Site

from benchmarks.figures import Aim, Figure, command_line, figure
from benchmarks.stage import agent, on_stage
from staging.identity.signature import new_nonce, sign
from tools.bench import Bench
from tools.processes import BenchError

ROUNDS = 40
# Turns are short, so that a burst of load affects both sides.
REQUESTS = 30
DEADLINE = 15.0
HOST = "127.0.0.1"
NAME = "control round trip, open API"

Turns = list[list[float]]


@dataclass(frozen=True, slots=True)
class Transport:
    """A pair of aiocoap's UDP transports."""

    server: str
    client: str


DEFAULT = Transport("udp6", "udp6")
LEAN = Transport("simplesocketserver", "simple6")


def measure(bench: Bench) -> list[Figure]:
    """Measure all in turns; no agent may run on ``bench`` yet."""
    with agent(bench), bare_server(DEFAULT) as default, bare_server(LEAN) as lean:
        ours, default_turns, lean_turns = asyncio.run(_measure(bench, default, lean))
    default_name, lean_name = "bare aiocoap GET, its default UDP", "bare aiocoap GET, its lean UDP"
    p50, p99 = f"{NAME}, p50", f"{NAME}, p99"
    aim = Aim("ratio", "<", 1.5)
    return [
        figure(p50, "ms", medians(ours), default_name, medians(default_turns), aim),
        figure(p50, "ms", medians(ours), lean_name, medians(lean_turns)),
        figure(p99, "ms", [percentile99(ours)], default_name, [percentile99(default_turns)]),
    ]


async def _measure(bench: Bench, default: str, lean: str) -> tuple[Turns, Turns, Turns]:
    caller = OpenApiCaller(bench)
    ours: Turns = []
    default_turns: Turns = []
    lean_turns: Turns = []
    async with (
        bare_client(DEFAULT, default) as default_call,
        bare_client(LEAN, lean) as lean_call,
    ):
        for _ in range(ROUNDS + 1):
            ours.append([caller.call() for _ in range(REQUESTS)])
            default_turns.append([await default_call() for _ in range(REQUESTS)])
            lean_turns.append([await lean_call() for _ in range(REQUESTS)])
    caller.close()
    # The first turn warms up connections and caches.
    return ours[1:], default_turns[1:], lean_turns[1:]


def medians(turns: Turns) -> list[float]:
    """Return the p50 of each turn."""
    return [statistics.median(turn) for turn in turns]


def percentile99(turns: Turns) -> float:
    """Return the 99th percentile of all turns together: one turn has too few values."""
    return statistics.quantiles([each for turn in turns for each in turn], n=100)[98]


class OpenApiCaller:
    """Reads a device's volume through the open API, as an app does."""

    def __init__(self, bench: Bench) -> None:
        address = urlsplit(bench.api)
        assert address.hostname is not None
        self._http = http.client.HTTPConnection(address.hostname, address.port, timeout=DEADLINE)
        self._app, self._token = bench.app, bench.token
        asked = {"deviceUuid": bench.device["uuid"], "method": "GET", "name": "volume"}
        self._body = json.dumps(asked).encode()

    def call(self) -> float:
        """Return the milliseconds of one request, including the app's signing."""
        started = time.perf_counter()
        self._http.request("POST", "/v1/device/control/send", self._body, self._headers())
        response = self._http.getresponse()
        answer = response.read()
        took = (time.perf_counter() - started) * 1000
        if response.status != 200 or json.loads(answer)["data"]["code"] != "2.05":
            raise BenchError(f"control/send: {response.status} {answer.decode()}")
        return took

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _headers(self) -> dict[str, str]:
        apikey = self._app["apikey"]
        return {
            "X-IOT-APP": apikey,
            "X-IOT-Signature": sign(new_nonce(), apikey, self._app["secret"], self._token),
            "X-IOT-Token": self._token,
            "Content-Type": "application/json",
        }


@asynccontextmanager
async def bare_client(transport: Transport, url: str) -> AsyncIterator[Any]:
    """Yield a coroutine function that makes one exchange and returns its milliseconds."""
    context = await aiocoap.Context.create_client_context(transports=[transport.client])

    async def call() -> float:
        started = time.perf_counter()
        async with asyncio.timeout(DEADLINE):
            reply = await context.request(aiocoap.Message(code=aiocoap.GET, uri=url)).response
        took = (time.perf_counter() - started) * 1000
        if reply.code != aiocoap.CONTENT:
            raise BenchError(f"bare GET: {reply.code}")
        return took

    try:
        yield call
    finally:
        await context.shutdown()


@contextmanager
def bare_server(transport: Transport) -> Iterator[str]:
    """Run aiocoap's server in a separate process; yields the URL of its one resource."""
    # Not forked: the child must not share our event loop's and sockets' state.
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_serve_bare, args=(transport, sender), daemon=True)
    process.start()
    try:
        if not receiver.poll(DEADLINE):
            raise BenchError(f"the bare CoAP server did not start within {DEADLINE:g} s")
        yield f"coap://{HOST}:{receiver.recv()}/volume"
    finally:
        process.terminate()
        process.join()


def _serve_bare(transport: Transport, ready: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent terminates us
    asyncio.run(_serve(transport, ready))


async def _serve(transport: Transport, ready: Connection) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    site = Site()
    site.add_resource(("volume",), _Volume())
    await aiocoap.Context.create_server_context(
        site, bind=(HOST, port), transports=[transport.server]
    )
    ready.send(port)
    await asyncio.get_running_loop().create_future()


class _Volume(Resource):
    async def render_get(self, _request: Any) -> Any:
        return aiocoap.Message(code=aiocoap.CONTENT, payload=b"8")


if __name__ == "__main__":
    sys.exit(command_line(__doc__, on_stage(measure)))
