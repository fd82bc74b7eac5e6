"""The bench at a real gateway: a registered device's link, its downloads and its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from staging.bench.bench import Bench
from staging.bench.board import BenchOffError
from staging.bench.works import FaultWorks
from staging.errors import NotFoundError
from staging.gateway import tls
from staging.gateway.gateway import Gateway, Limits
from staging.gateway.taps import Taps
from staging.identity import ca
from staging.listening import listen
from staging.store import Database, devices
from staging.store.models import Device
from tests.staging.conftest import FakeClock, ScriptedDevice
from tests.waiting import until
from transport.errors import TransportError
from wire.codes import Code
from wire.reports import parse_registration_answer

pytestmark = pytest.mark.one_database
DEADLINE = 60.0


@dataclass
class Cloud:
    """A gateway with a bench, and a device."""

    bench: Bench
    gateway: Gateway
    database: Database
    device: Device
    port: int
    certificates: ca.Certificates
    made: list[ScriptedDevice]

    async def connect(self) -> ScriptedDevice:
        device = ScriptedDevice(self.device, self.certificates)
        await device.connect(self.port)
        self.made.append(device)
        return device


@pytest.fixture
async def cloud(
    tmp_path: Path, database: Database, clock: FakeClock, certificates: ca.Certificates
) -> AsyncIterator[Cloud]:
    bench = Bench(tmp_path)
    lines = bench.lines
    taps = Taps(dress=lines.dress, claimed=lines.claim, told_time_ms=bench.told_time_ms)
    gateway = Gateway(
        database,
        api_url=lambda: "http://x",
        limits=Limits(control=DEADLINE),
        clock=clock,
        taps=taps,
    )
    listener = listen("127.0.0.1", 0, "--device-port")
    port = await gateway.start(tls.server_context(certificates, legacy=False), listener)
    device = database.call(devices.add, "0083000000000a", clock())
    cloud = Cloud(bench, gateway, database, device, port, certificates, [])
    yield cloud
    await bench.close()
    for made in cloud.made:
        await made.close()
    await gateway.stop()


async def test_a_registered_device_is_held_and_let_go(cloud: Cloud) -> None:
    device = await cloud.connect()
    assert (await device.register()).code == Code.CONTENT
    uuid = cloud.device.uuid
    await cloud.bench.set(uuid, "half_open")
    asking = asyncio.create_task(cloud.gateway.control(uuid, "volume", "GET", None))
    await until(lambda: cloud.gateway.sessions.get(uuid).waiting)
    assert not asking.done()
    await cloud.bench.clear(uuid)
    assert (await asking)[0] == "4.04"  # this device has no volume


async def test_a_registration_in_a_black_hole_has_no_answer(cloud: Cloud) -> None:
    await cloud.bench.set(cloud.device.uuid, "half_open", {"way": "to_device"})
    device = await cloud.connect()
    asking = asyncio.create_task(device.register())
    await until(lambda: cloud.gateway.is_online(cloud.device.uuid))
    assert not asking.done()
    await cloud.bench.clear(cloud.device.uuid)
    assert (await asking).code == Code.CONTENT


async def test_a_cut_device_cannot_register(cloud: Cloud) -> None:
    await cloud.bench.set(cloud.device.uuid, "cut")
    device = await cloud.connect()
    with pytest.raises(TransportError):
        await device.register()
    await until(lambda: not cloud.gateway.is_online(cloud.device.uuid))


async def test_a_device_is_told_a_wrong_time(cloud: Cloud, clock: FakeClock) -> None:
    await cloud.bench.set(cloud.device.uuid, "cloud_time", {"minutes": -10})
    device = await cloud.connect()
    told = parse_registration_answer((await device.register()).payload)
    assert told.time_ms == clock() - 600_000


async def test_downloads_are_those_of_the_device_at_the_same_address(cloud: Cloud) -> None:
    device = await cloud.connect()
    await device.register()
    await cloud.bench.set(cloud.device.uuid, "package_portal")
    assert list(cloud.bench.package_faults_at("127.0.0.1")) == ["package_portal"]
    assert not cloud.bench.package_faults_at("127.0.0.2")


async def test_the_commands_switch_faults_on_and_off(cloud: Cloud) -> None:
    works = FaultWorks(cloud.bench, cloud.database)
    uuid = cloud.device.uuid
    told = await works.changes["fault.set"]({"uuid": uuid.upper(), "name": "slow", "values": {}})
    assert told["shown"] == "slow bytes_per_second=8000 way=both seconds=60"
    listed = await works.reads["fault.list"]({"uuid": uuid})
    assert [fault["name"] for fault in listed["faults"]] == ["slow"]  # type: ignore[attr-defined]
    everything = await works.reads["fault.list"]({})
    assert list(everything["devices"]) == [uuid]  # type: ignore[call-overload]
    ended = await works.changes["fault.clear"]({"uuid": uuid})
    assert ended["ended"] == ["slow"]
    with pytest.raises(NotFoundError):
        await works.changes["fault.set"]({"uuid": "f" * 14, "name": "slow"})


async def test_a_cloud_without_a_bench_says_how_to_get_one(database: Database) -> None:
    works = FaultWorks(None, database)
    assert (await works.reads["fault.list"]({}))["on"] is False
    with pytest.raises(BenchOffError, match="--bench-faults"):
        await works.changes["fault.set"]({"uuid": "0083000000000a", "name": "cut"})
