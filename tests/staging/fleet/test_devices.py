"""The simulated devices against a real gateway and a real broker: both links, the same behaviour."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from staging.broker.gate import BrokerGate
from staging.broker.members import Members
from staging.broker.worker import BrokerAddress, Worker
from staging.client import OpenApiClient
from staging.data_dir import Endpoints
from staging.fleet.cli import main
from staging.fleet.devices import make
from staging.fleet.run import Plan, run
from staging.store.effects import Heartbeat
from tests.authority import LOOPBACK, Authority
from tests.broker import CLOUD_PASSWORD, DEADLINE, broker
from transport.errors import TransportError
from transport.framed import FramedEndpoint
from wire.codes import Code
from wire.reports import Credentials

pytestmark = pytest.mark.one_database


@pytest.fixture
async def reached(cloud: Any, tmp_path: Path) -> AsyncIterator[tuple[Endpoints, ssl.SSLContext]]:
    """Yield the addresses of one cloud with both links."""
    authority = Authority()
    users = {cloud.device.uuid: cloud.device.token}
    async with broker(tmp_path / "b", authority, users) as made:
        gate = BrokerGate(cloud.database, cloud.gateway, Members("server"))
        address = BrokerAddress(
            LOOPBACK, made.listeners.workers_port, tmp_path / "b" / "ca.pem", CLOUD_PASSWORD
        )
        worker = Worker(gate, "server", lambda: address)
        running = asyncio.create_task(worker.run())
        await worker.ready.wait()
        context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
        context.load_verify_locations(cadata=authority.pem)
        yield Endpoints("http://cloud", LOOPBACK, cloud.device_port, made.listeners.port), context
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("kind", ["coap", "mqtt"])
async def test_a_device_registers_reports_and_is_controlled(
    cloud: Any, reached: tuple[Endpoints, ssl.SSLContext], kind: str
) -> None:
    endpoints, context = reached
    endpoint = await FramedEndpoint.create()
    shared = {"context": context, "endpoint": endpoint}
    who = Credentials(cloud.device.uuid, cloud.device.token)
    device = make(kind, who, endpoints, shared)
    await device.connect()
    await cloud.settle()
    assert (await device.report({"volume": 3})).code == Code.CHANGED
    assert await cloud.gateway.control(who.uuid, "volume", "GET", None) == ("2.05", "8")
    assert await cloud.gateway.control(who.uuid, "volume", "PUT", "5") == ("2.04", "")
    assert device.connected
    await device.close()
    async with asyncio.timeout(DEADLINE):
        while cloud.gateway.is_online(who.uuid):
            await asyncio.sleep(0.005)
    await endpoint.shutdown()


@pytest.mark.parametrize("kind", ["coap", "mqtt"])
async def test_a_device_that_the_cloud_does_not_know_says_so(
    reached: tuple[Endpoints, ssl.SSLContext], kind: str
) -> None:
    endpoints, context = reached
    endpoint = await FramedEndpoint.create()
    shared = {"context": context, "endpoint": endpoint}
    device = make(kind, Credentials("0083000000000f", "none"), endpoints, shared)
    with pytest.raises(TransportError):
        await device.connect()
    await device.close()
    await endpoint.shutdown()


async def test_a_run_counts_what_arrived(
    cloud: Any, reached: tuple[Endpoints, ssl.SSLContext]
) -> None:
    endpoints, _context = reached
    told: list[str] = []
    plan = Plan(
        "coap", endpoints, cloud.certificates.ca, rate=100, hold=0.3, report_every=0.1, controls=0
    )
    who = [Credentials(cloud.device.uuid, cloud.device.token)]
    with OpenApiClient("http://cloud", "", "", "") as client:
        figures = await run(plan, who, client, told.append)
    assert (figures.connected, figures.held, figures.reports_lost) == (1, 1, 0)
    assert figures.reports > 0


def test_without_a_cloud_the_error_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path), "--devices", "1"]) == 1
    assert "no story-cloud serve runs on it" in capsys.readouterr().err


async def test_a_device_that_waits_for_the_others_stays_connected(
    cloud: Any, reached: tuple[Endpoints, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands take minutes to connect, and the cloud drops who is silent."""
    monkeypatch.setattr("staging.fleet.devices.ALIVE_SECONDS", 0.01)
    beats = asyncio.Event()
    cloud.gateway.listen(
        lambda _uuid, effects: (
            beats.set() if any(isinstance(e, Heartbeat) for e in effects) else None
        )
    )
    endpoints, context = reached
    endpoint = await FramedEndpoint.create()
    who = Credentials(cloud.device.uuid, cloud.device.token)
    device = make("coap", who, endpoints, {"context": context, "endpoint": endpoint})
    await device.connect()
    async with asyncio.timeout(DEADLINE):
        await beats.wait()
    await device.close()
    await endpoint.shutdown()
