"""Takes back what was given, and measures how long it takes to reach whoever uses it.

    python -m tools.revoke_proof [--write FILE]

Real parts: PostgreSQL, mosquitto, a server and a worker, each a process; a console page with its live stream at
each of the two, an app that asks both, a device on the framed link and one behind the broker. Each command is a
process too; the time is from its end. Exit code 0 only if everything ends within `LIMIT` seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from staging.client import OpenApiClient, OpenApiError
from staging.data_dir import DataDir, read_endpoints
from staging.fleet.devices import CoapDevice, FleetDevice, MqttDevice
from tools.postgresql import postgresql
from tools.processes import BenchError, Service, command
from transport.errors import TransportError
from transport.framed import FramedEndpoint
from wire.reports import Credentials

LIMIT = 5.0
# Seconds after which something that goes on counts as never ending.
PATIENCE = 15.0
POLL = 0.05


@dataclass
class Proof:
    """The processes, and what was measured."""

    folder: Path
    database: str
    services: list[Service] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    rows: list[tuple[str, str, str, float]] = field(default_factory=list)

    @property
    def _data(self) -> Path:
        return self.folder / "cloud"

    def start(self) -> None:
        """Start the server with its broker, and a worker."""
        common: list[str | Path] = ["--data", self._data, "--database", self.database]
        ports = ["--api-port", "0", "--device-port", "0", "--mqtt-port", "0"]
        for name, words in (("server", ["serve", *ports]), ("w1", ["worker", "--name", "w1"])):
            log = self.folder / f"{name}.log"
            service = Service("story-cloud", [*words, *common], log)
            self.services.append(service)
            self.urls.append(service.wait_for_line(r"ready api=(\S+)")[1])

    def stop(self) -> None:
        """End every process."""
        for service in reversed(self.services):
            service.stop()

    def cloud(self, *words: str) -> dict[str, str]:
        """Run a command and return its object."""
        told = command(
            "story-cloud", *words, "--data", self._data, "--database", self.database, "--json"
        )
        return dict(json.loads(told))

    async def measure(
        self, words: tuple[str, ...], told: dict[str, Callable[[], Awaitable[str | None]]]
    ) -> None:
        """Run a command, then ask each of ``told`` until it says how it has ended."""
        await asyncio.to_thread(self.cloud, *words)
        began = time.monotonic()
        await asyncio.gather(*(self._wait(words, who, look, began) for who, look in told.items()))

    async def _wait(
        self,
        words: tuple[str, ...],
        who: str,
        look: Callable[[], Awaitable[str | None]],
        began: float,
    ) -> None:
        ended: str | None = None
        while ended is None and time.monotonic() - began < PATIENCE:
            ended = await look()
            if ended is None:
                await asyncio.sleep(POLL)
        shown = " ".join(word for word in words if "/" not in word)
        self.rows.append((shown, who, ended or "goes on", time.monotonic() - began))


class Visitor:
    """A browser at the console: a log-in, and the live stream of the list."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Log in at ``url`` when entered."""
        self._client = httpx.AsyncClient(base_url=f"{url}/console/api", timeout=PATIENCE)
        self._who = {"user": user, "password": password}
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Log in and open the stream."""
        csrf = (await self._client.get("/session")).json()["csrf"]
        answer = await self._client.post("/session", json=self._who, headers={"X-CSRF-Token": csrf})
        if answer.status_code != httpx.codes.OK:
            raise BenchError(f"console: {answer.text}")
        opened = asyncio.Event()
        self._reading = asyncio.create_task(self._read(opened))
        await opened.wait()
        return self

    async def _read(self, opened: asyncio.Event) -> None:
        async with self._client.stream("GET", "/live", timeout=None) as stream:
            async for _ in stream.aiter_lines():
                opened.set()

    async def __aexit__(self, *_: object) -> None:
        """Close the stream."""
        if self._reading is not None:
            self._reading.cancel()
        await self._client.aclose()

    async def page(self) -> str | None:
        """Return how a request is refused, None while it is not."""
        answer = await self._client.get("/devices")
        return None if answer.status_code == httpx.codes.OK else f"HTTP {answer.status_code}"

    async def stream(self) -> str | None:
        """Return that the stream has ended, None while it has not."""
        return "ended" if self._reading is None or self._reading.done() else None


def app_at(url: str, app: dict[str, str], token: str) -> Callable[[], Awaitable[str | None]]:
    """Return what asks an API as an app, and how it is refused."""

    def ask() -> str | None:
        with OpenApiClient(url, app["apikey"], app["secret"], token) as client:
            try:
                client.validate()
            except OpenApiError as error:
                return error.code
        return None

    async def look() -> str | None:
        return await asyncio.to_thread(ask)

    return look


def device_of(device: FleetDevice) -> Callable[[], Awaitable[str | None]]:
    """Return what looks whether a device is still connected."""

    async def look() -> str | None:
        return None if device.connected else "cut off"

    return look


async def people(proof: Proof) -> None:
    """Take back sessions and tokens, at the server and at the worker."""
    app = proof.cloud("app", "add", "a", "--type", "web")
    for words in (
        ("session", "revoke", "{}"), ("account", "password", "{}"),
        ("account", "role", "{}", "parent"), ("account", "disable", "{}"),
    ):  # fmt: skip
        name = f"user-{len(proof.rows)}"
        password = proof.cloud("account", "add", name, "--role", "operator")["password"]
        token = proof.cloud("token", "--app", str(app["appId"]), "--user", name)["access_token"]
        async with contextlib.AsyncExitStack() as stack:
            told: dict[str, Callable[[], Awaitable[str | None]]] = {}
            for where, url in zip(("server", "worker"), proof.urls, strict=True):
                visitor = await stack.enter_async_context(Visitor(url, name, password))
                told |= {f"page at the {where}": visitor.page}
                told |= {f"live stream at the {where}": visitor.stream}
                if words[1] in {"password", "disable"}:
                    told |= {f"app at the {where}": app_at(url, app, token)}
            await proof.measure(tuple(word.format(name) for word in words), told)


async def grants(proof: Proof) -> None:
    """Take back an app's tokens and its secret."""
    app = proof.cloud("app", "add", "b", "--type", "web")
    number = str(app["appId"])
    for words in (
        ("token", "revoke", "--user", "ada"), ("token", "expire", "--app", number),
        ("app", "secret", "renew", number),
    ):  # fmt: skip
        token = proof.cloud("token", "--app", number, "--user", "ada")["access_token"]
        told = {
            f"app at the {where}": app_at(url, app, token)
            for where, url in zip(("server", "worker"), proof.urls, strict=True)
        }
        await proof.measure(words, told)


async def machines(proof: Proof) -> None:
    """Renew the tokens of a device on the framed link and of one behind the broker."""
    data = DataDir(proof.folder / "cloud")
    endpoints = read_endpoints(data)
    if endpoints is None:
        raise BenchError("the server wrote no addresses")
    context = ssl.create_default_context(cafile=str(data.ca / "ca.crt"))
    endpoint = await FramedEndpoint.create()
    for link in ("framed link", "broker"):
        added = proof.cloud("device", "add")
        who = Credentials(added["uuid"], added["token"])

        def new(who: Credentials = who, link: str = link) -> FleetDevice:
            if link == "broker":
                return MqttDevice(who, endpoints, context)
            return CoapDevice(who, endpoints, context, endpoint)

        device = new()
        deadline = time.monotonic() + PATIENCE
        while True:  # the broker lets a new device in after half a second
            try:
                await device.connect()
                break
            except (OSError, TransportError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(POLL)

        async def again(new: Callable[[], FleetDevice] = new) -> str | None:
            try:
                await new().connect()
            except (OSError, TransportError):
                return "refused"
            return None

        words = ("device", "token", "renew", who.uuid)
        await proof.measure(words, {f"device, {link}": device_of(device)})
        await proof.measure(("device", "list"), {f"the old token again, {link}": again})
        await device.close()
    await endpoint.shutdown()


def report(proof: Proof) -> str:
    """Return the measured times as a table."""
    lines = ["| command | who | told | seconds |", "|---|---|---|---|"]
    lines += [
        f"| `{words}` | {who} | {told} | {took:.2f} |" for words, who, told, took in proof.rows
    ]
    return "\n".join(lines)


async def run(proof: Proof) -> None:
    """Do all of it."""
    await people(proof)
    await grants(proof)
    await machines(proof)


def main() -> int:
    """Run the proof and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgresql() as server:
        with server.connect() as connection:
            connection.execute("CREATE DATABASE proof")
        proof = Proof(Path(folder), server.url("proof"))
        try:
            proof.start()
            asyncio.run(run(proof))
        except BenchError as error:
            print(f"revoke proof: {error}", file=sys.stderr)
            return 1
        finally:
            proof.stop()
    text = report(proof)
    print(text)
    if options.write:
        options.write.write_text(text + "\n", "utf-8")
    late = [row for row in proof.rows if row[3] > LIMIT or row[2] == "goes on"]
    print(f"{len(proof.rows)} measured, {len(late)} later than {LIMIT:g} s")
    return 1 if late or not proof.rows else 0


if __name__ == "__main__":
    sys.exit(main())
