"""Runs in a network of its own, where a host has dead addresses; prints the seconds until each link is up.

`tests.agent.link.test_dead_addresses` starts it by ``unshare``. At a dead address a listener's queue is
full, so that the kernel drops what comes, as a router does whose IPv6 is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.link.build import build_link
from agent.settings import LinkKind, LinkSettings
from base.clock import TrustedTime
from tests.agent.parts import TOKEN, UUID, Cloud, make_profile
from tests.authority import Authority
from tests.broker import MqttCloud, broker
from tests.proxy import Proxy
from transport.dial import resolve
from wire.codes import Code
from wire.exchange import Answer, Request

HOST = "cloud.test"
# Where the servers listen; of each scene the dead address, then the live one.
LIVE = "127.0.0.1"
SCENES = {
    "dead IPv6 beside IPv4": ("fd00::2", LIVE),
    "one of two A records dead": ("10.9.9.2", "10.9.9.1"),
}
# Far above what is expected, and far below the links' own patience.
DEADLINE, PATIENCE = 20.0, 60.0


def set_up_network() -> None:
    """Start loopback, with the dead addresses on it."""
    for words in (
        "link set lo up",
        "addr add 10.9.9.1/32 dev lo",
        "addr add 10.9.9.2/32 dev lo",
        "addr add fd00::2/128 dev lo nodad",
    ):
        subprocess.run(["ip", *words.split()], check=True)


@contextlib.contextmanager
def dead(address: str, port: int) -> Iterator[None]:
    """Let nothing answer at a port of an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener, socket.socket(family) as one, socket.socket(family) as two:  # fmt: skip
        listener.bind((address, port))
        listener.listen(0)
        for filler in (one, two):
            filler.setblocking(False)
            filler.connect_ex((address, port))
        yield


def set_hosts(path: Path, *addresses: str) -> None:
    """Let the host have these addresses."""
    path.write_text("".join(f"{address} {HOST}\n" for address in addresses))


async def refuse(_request: Request) -> Answer:
    return Answer(Code.NOT_FOUND)


async def register(authority: Authority, port: int, **settings: Any) -> float:
    """Return the seconds from a link's start until it is registered."""
    chosen = LinkSettings(connect_timeout_seconds=PATIENCE, **settings)
    profile = make_profile(port, authority.pem, server_addr=HOST)
    link = build_link(profile, chosen, refuse, TrustedTime())
    began = time.monotonic()
    task = asyncio.create_task(link.run())
    async with asyncio.timeout(DEADLINE):
        await link.registered.wait()
    took = time.monotonic() - began
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return took


async def main(folder: Path, hosts: Path) -> dict[str, dict[str, Any]]:
    """Return the seconds of each link by scene, and the order of the addresses."""
    authority, found = Authority(), dict[str, dict[str, Any]]()
    leaf = authority.leaf(HOST, LIVE)
    cloud = Cloud(authority.server_context(HOST))
    await cloud.start()
    async with broker(folder, authority, {UUID: TOKEN}, leaf) as made:
        behind = MqttCloud(made, authority.client_context())
        await behind.start()
        ports = (cloud.port, made.listeners.port)
        for port in ports:  # the same servers at the other live address
            await asyncio.start_server(Proxy(port).carry, "10.9.9.1", port)
        for scene, (address, live) in SCENES.items():
            set_hosts(hosts, address, live)
            with dead(address, ports[0]), dead(address, ports[1]):
                found[scene] = {
                    "order": [each.sockaddr[0] for each in await resolve(HOST, 1)],
                    "coap": await register(authority, cloud.port),
                    "mqtt": await register(
                        authority, 1, kind=LinkKind.MQTT, mqtt_port=made.listeners.port
                    ),
                }
        await behind.stop()
    await cloud.stop()
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        own = Path(name) / "hosts"
        own.touch()
        subprocess.run(["mount", "--bind", own, "/etc/hosts"], check=True)
        set_up_network()
        json.dump(asyncio.run(main(Path(name) / "b", own)), sys.stdout)
