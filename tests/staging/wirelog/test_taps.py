"""The wire log at a real gateway, and the command's side of it.

Tests staging.wirelog.works, staging.wirelog.secrets and staging.beside too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from staging.beside import Beside
from staging.errors import NotFoundError
from staging.gateway import tls
from staging.gateway.gateway import Gateway, Limits
from staging.identity import ca
from staging.listening import listen
from staging.store import Database, devices
from staging.store.models import Device
from staging.wirelog.log import WireLog
from staging.wirelog.taps import ConnectionTap, registered_uuid
from staging.wirelog.works import WireWorks
from tests.staging.conftest import FakeClock, ScriptedDevice
from wire.codes import Code
from wire.framing import HEADER, encode_frame

pytestmark = pytest.mark.one_database
DEADLINE = 60.0


@dataclass
class Cloud:
    """A gateway with a wire log, and a device that is watched."""

    beside: Beside
    works: WireWorks
    device: Device
    port: int
    certificates: ca.Certificates
    made: list[ScriptedDevice]

    async def connect(self) -> ScriptedDevice:
        device = ScriptedDevice(self.device, self.certificates)
        await device.connect(self.port)
        self.made.append(device)
        return device

    async def entries(self, after: int = 0) -> list[dict[str, Any]]:
        found = await self.works.look(self.device.uuid, after)
        return list(found["entries"])

    async def until(self, text: str, key: str) -> dict[str, Any]:
        """Wait until an entry has ``text`` in ``key``."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for entry in await self.entries():
                    if text in str(entry.get(key, "")):
                        return entry
                await asyncio.sleep(0.001)


@pytest.fixture
async def cloud(
    tmp_path: Path, database: Database, clock: FakeClock, certificates: ca.Certificates
) -> AsyncIterator[Cloud]:
    beside = Beside(tmp_path, database, bench_faults=False)
    limits = Limits(control=DEADLINE)
    gateway = Gateway(
        database, api_url=lambda: "http://x", limits=limits, clock=clock, taps=beside.taps()
    )
    context = tls.server_context(certificates, legacy=False)
    port = await gateway.start(context, listen("127.0.0.1", 0, "--device-port"))
    device = database.call(devices.add, "0083000000000a", clock())
    works = WireWorks(beside.wire, database)
    made = Cloud(beside, works, device, port, certificates, [])
    await made.entries()
    yield made
    await beside.close()
    for each in made.made:
        await each.close()
    await gateway.stop()


def summary(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (entry["way"], " ".join(str(entry["view"].get(n, "")) for n in ("code", "path")).strip())
        for entry in entries
        if entry["way"] != "note"
    ]


async def test_every_frame_from_the_first_is_there_without_the_token(cloud: Cloud) -> None:
    device = await cloud.connect()
    assert (await device.register()).code == Code.CONTENT
    await device.expect("GET", "resource")
    assert (await device.report({"alive": 0})).code == Code.CHANGED
    entries = await cloud.entries()
    told = summary(entries)
    assert told[0] == ("up", "0.02 POST /reg_for_control")
    assert ("down", "2.05") in told
    assert ("down", "0.01 GET /resource") in told
    assert ("up", "0.02 POST /v1/device/data") in told
    assert entries[0]["text"].startswith("connected from 127.0.0.1:")
    assert not any(entry.get("proven") is False for entry in entries)
    kept = b"".join(bytes.fromhex(entry.get("hex", "")) for entry in entries)
    assert cloud.device.token.encode() not in kept
    assert cloud.device.token not in str(entries)
    await device.close()
    assert (await cloud.until("ended: ", "text"))["way"] == "note"


async def test_a_registration_that_is_refused_is_shown_and_not_proven(cloud: Cloud) -> None:
    device = await cloud.connect()
    assert (await device.register(token="w" * 32)).code == Code.UNAUTHORIZED
    up = await cloud.until("/reg_for_control", "view")
    assert up["proven"] is False
    assert b"w" * 32 not in bytes.fromhex(up["hex"])


async def test_what_is_malformed_is_shown_with_its_reason(cloud: Cloud) -> None:
    device = await cloud.connect()
    await device.register()
    device.connection._writer.write(b"\xbe\xef\xde\xadXXXXnot a frame")
    broken = await cloud.until("frame length", "problem")
    assert bytes.fromhex(broken["hex"]).startswith(b"\xbe\xef\xde\xad")
    await cloud.until("ended: frame length", "text")


async def test_a_look_in_the_middle_of_a_connection_begins_with_a_frame(cloud: Cloud) -> None:
    device = await cloud.connect()
    await device.register()
    await device.expect("GET", "resource")
    await cloud.works.changes["wirelog.off"]({"uuid": cloud.device.uuid})
    await device.report({"alive": 0})
    seen = (await cloud.entries())[-1]["number"]  # a look switches it on
    await device.report({"alive": 0})
    assert summary(await cloud.entries(after=seen)) == [
        ("up", "0.02 POST /v1/device/data"),
        ("down", "2.04"),
    ]


async def test_a_peer_that_is_no_device_is_nobodys(cloud: Cloud) -> None:
    context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
    _, writer = await asyncio.open_connection("127.0.0.1", cloud.port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await writer.drain()
    writer.close()
    assert await cloud.entries() == []


async def test_commands_switch_it_on_and_name_an_unknown_device(cloud: Cloud) -> None:
    uuid = cloud.device.uuid
    told = await cloud.works.changes["wirelog.on"]({"uuid": uuid.upper(), "seconds": 600})
    assert told["left"] == 600
    assert (await cloud.works.changes["wirelog.off"]({"uuid": uuid}))["left"] == 0
    for work in ("wirelog.on", "wirelog.off"):
        with pytest.raises(NotFoundError):
            await cloud.works.changes[work]({"uuid": "f" * 14, "seconds": 1})
    with pytest.raises(NotFoundError):
        await cloud.works.reads["wirelog.read"]({"uuid": "f" * 14})


def test_no_frame_at_all_registers_nobody() -> None:
    for data in (b"", b"\xbe\xef\xde\xad", bytes(40)):
        assert registered_uuid(data) == ""


@pytest.mark.parametrize(
    ("count", "size", "kept"), [(20, 4, 16), (5, 20_000, 3), (2, 70_000, 1), (1, 70_000, 1)]
)
def test_of_a_connection_that_says_not_whose_it_is_little_is_kept(
    count: int, size: int, kept: int
) -> None:
    """Sixteen frames and 64 KiB: whoever never registers fills no memory."""
    log = WireLog(lambda: 7)
    log.watch("0083000000000a", [])
    tap = ConnectionTap(log, "192.0.2.1", lambda: 7)
    for number in range(count):
        tap.sent(encode_frame(bytes((0x50, 0x45, 0, number))) + bytes(size))
    tap.claim("0083000000000a")
    frames = [entry for entry in log.entries("0083000000000a") if entry.data]
    assert [entry.data[HEADER.size + 3] for entry in frames] == [*range(count)][-kept:]
