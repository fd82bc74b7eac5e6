"""Kills a worker of the cloud while devices report, and counts what the cloud acknowledged and lost.

    python -m tools.worker_proof [--devices 200] [--seconds 20] [--kills 3]

Real parts: PostgreSQL, mosquitto, a server and two workers, each a process. Every report has a number
in its value, and for the cloud, as an agent's has; it counts as acknowledged when the cloud answered 2.04.
Then the history is read: every acknowledged number must be there. Exit code 0 only if none is missing, and
none is there twice, though the broker hands over again what a killed worker had not acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import ssl
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import sqlalchemy

from staging.data_dir import DataDir, Endpoints, read_endpoints
from staging.fleet.devices import MqttDevice
from staging.store import Database, devices
from staging.times import now_ms
from tools.amounts import amount, whole
from tools.postgresql import postgresql
from tools.processes import BenchError, Service
from transport.errors import TransportError
from wire.numbered import NumberedReport, numbered_payload
from wire.reports import Credentials

# Seconds between a killed worker's end and its successor's start.
PAUSE = 3.0


class Proof:
    """One run."""

    def __init__(self, folder: Path, database: str, options: argparse.Namespace) -> None:
        """Keep all files below ``folder``; the store is ``database``."""
        self._folder = folder
        self._database = database
        self._options = options
        self._services: dict[str, Service] = {}
        self.acknowledged: dict[str, set[int]] = defaultdict(set)
        self.repeated = 0

    def start(self) -> None:
        """Start the server with its broker, and two workers."""
        common: list[str | Path] = ["--data", self._folder / "cloud", "--database", self._database]
        ports = ["--api-port", "0", "--device-port", "0", "--mqtt-port", "0"]
        server = Service("story-cloud", ["serve", *common, *ports], self._folder / "server.log")
        self._services["server"] = server
        server.wait_for_line("ready api=")
        for name in ("w1", "w2"):
            self.start_worker(name)

    def start_worker(self, name: str) -> None:
        """Start one worker and wait until it takes part."""
        log = self._folder / f"{name}.log"
        log.unlink(missing_ok=True)
        words: list[str | Path] = ["worker", "--name", name, "--data", self._folder / "cloud"]
        service = Service("story-cloud", [*words, "--database", self._database], log)
        self._services[name] = service
        service.wait_for_line("ready api=")

    def stop(self) -> None:
        """End every process."""
        for service in reversed(list(self._services.values())):
            service.stop()

    async def run(self) -> None:
        """Report from all devices while workers are killed in turn."""
        data = DataDir(self._folder / "cloud")
        endpoints = read_endpoints(data)
        if endpoints is None:
            raise BenchError("the server wrote no addresses")
        context = ssl.create_default_context(cafile=str(data.ca / "ca.crt"))
        made = self._add_devices()
        fleet = [Reporter(who, endpoints, context, self) for who in made]
        until = time.monotonic() + self._options.seconds
        reporting = asyncio.gather(*(reporter.run(until) for reporter in fleet))
        for number in range(self._options.kills):
            await asyncio.sleep(self._options.seconds / (self._options.kills + 1))
            name = ("w1", "w2")[number % 2]
            print(f"kill -9 {name}", flush=True)
            await asyncio.to_thread(self._services[name].kill)
            await asyncio.sleep(PAUSE)
            await asyncio.to_thread(self.start_worker, name)
        await reporting

    def _add_devices(self) -> list[Credentials]:
        store = Database(self._database)
        try:
            count, now = self._options.devices, now_ms()
            added = store.call(lambda s: [devices.add(s, None, now) for _ in range(count)])
        finally:
            store.close()
        return [Credentials(device.uuid, device.token) for device in added]

    def missing(self) -> tuple[int, int]:
        """Return how many acknowledged numbers are not in the history, and how many are twice."""
        engine = sqlalchemy.create_engine(
            self._database.replace("postgresql:", "postgresql+psycopg:")
        )
        query = "SELECT d.uuid, r.value FROM reports r JOIN devices d ON d.id = r.device_id WHERE r.key = 'count'"
        stored: dict[str, list[int]] = defaultdict(list)
        with engine.connect() as connection:
            for uuid, value in connection.execute(sqlalchemy.text(query)):
                stored[uuid].append(int(value))
        engine.dispose()
        lost = sum(len(numbers - set(stored[uuid])) for uuid, numbers in self.acknowledged.items())
        twice = sum(len(numbers) - len(set(numbers)) for numbers in stored.values())
        return lost, twice


class Reporter:
    """One device that counts: it sends a number until it is acknowledged, then the next."""

    def __init__(
        self, who: Credentials, endpoints: Endpoints, context: ssl.SSLContext, proof: Proof
    ) -> None:
        """Report to the broker of ``endpoints``."""
        self._who = who
        self._endpoints = endpoints
        self._context = context
        self._proof = proof

    async def run(self, until: float) -> None:
        """Report until the time ``until`` (monotonic seconds)."""
        number, device = 1, await self._connect()
        epoch = secrets.token_hex(8)
        while time.monotonic() < until:
            try:
                report = NumberedReport(number, {"count": number})
                answer = await device.send_report(numbered_payload(epoch, report))
            except TransportError:
                self._proof.repeated += 1
                if not device.connected:
                    device = await self._connect()
                continue
            if answer.code >> 5 == 2:
                self._proof.acknowledged[self._who.uuid].add(number)
                number += 1
            await asyncio.sleep(0.2)
        await device.close()

    async def _connect(self) -> MqttDevice:
        while True:
            device = MqttDevice(self._who, self._endpoints, self._context)
            try:
                await device.connect()
            except (OSError, TransportError):
                await asyncio.sleep(0.5)
            else:
                return device


def main() -> int:
    """Run the proof and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=whole(1), default=200, metavar="N")
    parser.add_argument("--seconds", type=amount(), default=30.0)
    parser.add_argument("--kills", type=whole(0), default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgresql() as server:
        with server.connect() as connection:
            connection.execute("CREATE DATABASE proof")
        proof = Proof(Path(folder), server.url("proof"), options)
        try:
            proof.start()
            asyncio.run(proof.run())
            lost, twice = proof.missing()
        except BenchError as error:
            print(f"worker proof: {error}", file=sys.stderr)
            return 1
        finally:
            proof.stop()
    count = sum(map(len, proof.acknowledged.values()))
    print(
        f"{options.devices} devices, {options.kills} kills: {count} reports acknowledged, {lost} of "
        f"them lost, {proof.repeated} sent again, {twice} stored twice"
    )
    return 0 if count and not (lost or twice) else 1


if __name__ == "__main__":
    sys.exit(main())
