"""Compares the two cloud links: an app's round trip over each, reports a second, the agent's memory.

The reference is a bare pair of paho-mqtt clients with threads of their own: a request of QoS 1 and its
answer through the same broker, NODELAY on both sides, nothing behind it.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.figures import Figure, command_line, figure
from benchmarks.memory import memory
from benchmarks.roundtrip import OpenApiCaller
from benchmarks.stage import agent
from staging.broker.host import read_address
from staging.data_dir import DataDir, Endpoints, read_endpoints
from staging.fleet.devices import FleetDevice, make
from tools.bench import Bench
from tools.processes import BenchError
from transport.framed import FramedEndpoint
from wire.reports import Credentials

TURNS = 20
REQUESTS = 20
REPORTS = 200
SETTLE_SECONDS = 5.0
DEADLINE = 15.0


def measure() -> list[Figure]:
    """Measure both links in turn on one machine, with a cloud for each."""
    # With this variable every start would compile the sources, unlike an installed agent's.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    trips: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    sizes: dict[str, float] = {}
    bare: list[float] = []
    for link in ("coap", "mqtt"):
        with _cloud(link) as bench:
            with agent(bench):
                pass  # its bytecode and state folder are then as on a machine
            with agent(bench) as pid:
                time.sleep(SETTLE_SECONDS)
                sizes[link] = memory(pid).rss
                caller = OpenApiCaller(bench)
                trips[link] = _turns(caller.call)
                caller.close()
            rates[link] = [asyncio.run(_reports(bench, link))]
            if link == "mqtt":
                with _bare_pair(bench) as call:
                    bare = _turns(call)
    names = "control round trip, open API, p50", "reports of one device, each answered"
    return [
        figure(f"{names[0]}, over MQTT", "ms", trips["mqtt"], "over CoAP", trips["coap"]),
        figure(f"{names[0]}, over MQTT", "ms", trips["mqtt"], "bare paho pair, QoS 1", bare),
        figure(f"{names[1]}, over MQTT", "/s", rates["mqtt"], "over CoAP", rates["coap"]),
        figure("RSS of the linked agent, MQTT", "MB", [sizes["mqtt"]], "CoAP", [sizes["coap"]]),
    ]


@contextmanager
def _cloud(link: str) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="story-links-") as name:
        bench = Bench(Path(name))
        try:
            bench.start_cloud(0, 0, mqtt=link == "mqtt")
            bench.flash_device()
            with bench.client() as client:
                client.bind(bench.device["uuid"], bench.device["bindToken"])
            yield bench
        finally:
            bench.stop()


def _turns(call: Any) -> list[float]:
    """Return the median of each turn but the first, which warms up."""
    turns = [[call() for _ in range(REQUESTS)] for _ in range(TURNS + 1)]
    return [statistics.median(turn) for turn in turns[1:]]


async def _reports(bench: Bench, link: str) -> float:
    """Return how many reports a second one device delivers, each after the other's answer."""
    data = DataDir(bench.cloud_data)
    endpoints = _addresses(data)
    endpoint = await FramedEndpoint.create()
    context = ssl.create_default_context(cafile=str(data.ca / "ca.crt"))
    who = Credentials(bench.device["uuid"], bench.device["token"])
    device: FleetDevice = make(link, who, endpoints, {"context": context, "endpoint": endpoint})
    await device.connect()
    started = time.perf_counter()
    for number in range(REPORTS):
        await device.report({"count": number})
    took = time.perf_counter() - started
    await device.close()
    await endpoint.shutdown()
    return REPORTS / took


def _addresses(data: DataDir) -> Endpoints:
    found = read_endpoints(data)
    if found is None:
        raise BenchError("the cloud wrote no addresses")
    return found


@contextmanager
def _bare_pair(bench: Bench) -> Iterator[Any]:
    """Yield a function that makes one exchange between two bare clients, and returns its ms."""
    data = DataDir(bench.cloud_data)
    address, uuid = read_address(data), bench.device["uuid"]
    up, down = f"story/{uuid}/up/bare", f"story/{uuid}/down/bare"
    answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    asker = _bare("asker", "cloud", address.password, data, address.port)
    answerer = _bare(uuid, uuid, bench.device["token"], data, _addresses(data).mqtt_port)
    asker.on_message = lambda _c, _d, message: answers.put(message.payload)
    answerer.on_message = lambda client, _d, message: client.publish(up, message.payload, 1)
    asker.subscribe(up, 1)
    answerer.subscribe(down, 1)
    time.sleep(1)

    def call() -> float:
        started = time.perf_counter()
        asker.publish(down, json.dumps({"method": "GET"}).encode(), 1)
        answers.get(timeout=DEADLINE)
        return (time.perf_counter() - started) * 1000

    try:
        yield call
    finally:
        for client in (asker, answerer):
            client.disconnect()
            client.loop_stop()


def _bare(client_id: str, user: str, password: str, data: DataDir, port: int) -> Any:
    client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(user, password)
    client.tls_set(ca_certs=str(data.ca / "ca.crt"))
    client.on_socket_open = lambda _c, _d, sock: sock.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
