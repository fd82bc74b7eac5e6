"""The broker that the cloud starts: new devices get in, a dead broker comes back, workers find it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from staging.broker.gate import BrokerGate
from staging.broker.host import BrokerHost, read_address
from staging.broker.settings import Listeners
from staging.broker.worker import BrokerAddress, Worker, check_extra
from staging.data_dir import DataDir
from staging.errors import StagingError
from staging.identity import ca
from staging.store import Database, devices
from tests.authority import LOOPBACK
from tests.broker import DEADLINE, free_ports, require_broker
from transport.errors import TransportError

pytestmark = pytest.mark.one_database

OLD, NEW = "0083000000000a", "0083000000000b"


@pytest.fixture
async def host(
    tmp_path: Path, database: Database, certificates: ca.Certificates
) -> AsyncIterator[BrokerHost]:
    require_broker()
    database.call(devices.add, OLD, 1)
    made = BrokerHost(database, DataDir(tmp_path), Listeners(LOOPBACK, *free_ports()), certificates)
    await made.start()
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await made.stop()


async def log_in(host: BrokerHost, user: str, password: str, certificates: ca.Certificates) -> None:
    import ssl

    from transport.mqtt import MqttConnection, MqttOptions
    from transport.tls_socket import open_tls

    context = ssl.create_default_context(cafile=str(certificates.ca))
    sock = await open_tls(LOOPBACK, host._listeners.port, context)
    options = MqttOptions(user, user, password)
    connection = await MqttConnection.open(sock, options, lambda _: None)
    await connection.close()


async def until_in(
    host: BrokerHost, user: str, password: str, certificates: ca.Certificates
) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await log_in(host, user, password, certificates)
            except (TransportError, OSError):
                await asyncio.sleep(0.02)


async def test_a_device_that_is_added_gets_in_and_a_dead_broker_comes_back(
    host: BrokerHost, database: Database, certificates: ca.Certificates
) -> None:
    tokens = {OLD: database.call(devices.get, OLD).token}
    await log_in(host, OLD, tokens[OLD], certificates)
    with pytest.raises(TransportError):
        await log_in(host, NEW, "guess", certificates)
    tokens[NEW] = database.call(devices.add, NEW, 2).token
    await until_in(host, NEW, tokens[NEW], certificates)
    process = host._broker._process
    assert process
    process.send_signal(signal.SIGKILL)
    await process.wait()
    for uuid, token in tokens.items():
        await until_in(host, uuid, token, certificates)


async def test_a_renewed_certificate_is_shown_by_the_broker_too(
    host: BrokerHost, database: Database, tmp_path: Path, certificates: ca.Certificates
) -> None:
    token = database.call(devices.get, OLD).token
    other = ca.ensure(tmp_path / "other", (LOOPBACK,))
    kept = [path.read_bytes() for path in (certificates.server, certificates.server_key)]
    certificates.server.write_bytes(other.server.read_bytes())
    certificates.server_key.write_bytes(other.server_key.read_bytes())
    try:
        host.renew()
        await until_in(host, OLD, token, other)
    finally:
        certificates.server.write_bytes(kept[0])
        certificates.server_key.write_bytes(kept[1])


async def test_a_worker_finds_the_broker_of_a_server_that_started_anew(
    host: BrokerHost,
) -> None:
    asked: list[str] = []

    def address() -> BrokerAddress:
        asked.append("")
        if len(asked) == 1:
            raise StagingError("no broker runs on this folder")
        return host.address if len(asked) > 2 else replace(host.address, password="before")

    worker = Worker(cast("BrokerGate", Quiet()), "w", address)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(DEADLINE):
        await worker.ready.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(asked) == 3


class Quiet:
    """Takes part in nothing."""

    def deliver(self, _message: object) -> None:
        """Ignore it."""

    async def begin(self, _connection: object, _group: str) -> None:
        """Subscribe to nothing."""

    async def end(self, _reason: str) -> None:
        """Forget nothing."""


async def test_workers_find_the_broker_in_the_data_folder(host: BrokerHost, tmp_path: Path) -> None:
    found = read_address(DataDir(tmp_path))
    assert (found.host, found.port) == (LOOPBACK, host._listeners.workers_port)
    assert found.password == host.address.password
    assert found.password not in repr(found)


def test_without_a_broker_the_error_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(StagingError, match="story-cloud serve --mqtt-port"):
        read_address(DataDir(tmp_path))


def test_without_paho_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transport.mqtt", None)
    with pytest.raises(StagingError, match="paho-mqtt"):
        check_extra()
