"""The gateway's deadlines as docs/staging.md and the device protocol have them, with none of them set by a test.

Each is met on a moved clock: nothing happens a moment before it, and it has happened a moment after.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from staging.doorman import Settle
from staging.errors import DeviceSilentError
from staging.gateway import tls
from staging.gateway.gateway import Gateway
from staging.identity import ca
from staging.listening import listen
from staging.store import Database, devices
from staging.store.models import Device
from tests.moved_clock import Since, on_moved_clock
from tests.staging.conftest import API_URL, FakeClock, ScriptedDevice
from wire.codes import Code

pytestmark = pytest.mark.one_database

# How far the clock may be off a deadline: timers that fall together, and what runs between them.
NEAR = 0.6


@contextlib.asynccontextmanager
async def gateway_on(
    database: Database, certificates: ca.Certificates
) -> AsyncIterator[tuple[Gateway, int, Device]]:
    """Run a gateway as `story-cloud serve` makes it: no limit is told."""
    clock = FakeClock()
    device = database.call(devices.add, "0083000000000a", clock())
    gateway = Gateway(database, api_url=lambda: API_URL, clock=clock)
    port = await gateway.start(
        tls.server_context(certificates, legacy=False), listen("127.0.0.1", 0, "--device-port")
    )
    yield gateway, port, device
    await gateway.stop()


async def registered(port: int, device: Device, certificates: ca.Certificates) -> ScriptedDevice:
    scripted = ScriptedDevice(device, certificates)
    await scripted.connect(port)
    assert (await scripted.register()).code == Code.CONTENT
    await scripted.expect("GET", "resource")
    return scripted


@on_moved_clock
async def test_a_peer_that_does_not_end_its_handshake_is_dropped_after_10_s(
    database: Database, certificates: ca.Certificates
) -> None:
    async with gateway_on(database, certificates) as (_gateway, port, _device):
        since = Since()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01\x02\x00\x01")  # the head of a ClientHello, and no more
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert since.seconds == pytest.approx(10.0, abs=NEAR)
        writer.close()


@on_moved_clock
async def test_a_peer_that_does_not_register_is_closed_after_10_s(
    database: Database, certificates: ca.Certificates
) -> None:
    async with gateway_on(database, certificates) as (_gateway, port, device):
        scripted = ScriptedDevice(device, certificates)
        await scripted.connect(port)
        since = Since()
        await scripted.ended()
        assert since.seconds == pytest.approx(10.0, abs=NEAR)


@on_moved_clock
async def test_a_device_without_alive_is_offline_after_two_and_a_half_intervals(
    database: Database, certificates: ca.Certificates
) -> None:
    async with gateway_on(database, certificates) as (gateway, port, device):
        scripted = await registered(port, device, certificates)
        await asyncio.sleep(54)
        await scripted.report({"alive": 1})
        since = Since()
        await asyncio.sleep(137)
        assert gateway.is_online(device.uuid)
        await asyncio.sleep(1.2)
        assert not gateway.is_online(device.uuid)
        await scripted.ended()
        assert since.seconds == pytest.approx(138.2, abs=NEAR)


@on_moved_clock
async def test_a_device_that_answers_nothing_is_said_to_be_silent_after_10_s(
    database: Database, certificates: ca.Certificates
) -> None:
    async with gateway_on(database, certificates) as (gateway, port, device):
        scripted = await registered(port, device, certificates)
        scripted.silent.set()
        since = Since()
        with pytest.raises(DeviceSilentError):
            await gateway.control(device.uuid, "volume", "GET", None)
        assert since.seconds == pytest.approx(10.0, abs=NEAR)
        await scripted.close()


@on_moved_clock
async def test_a_stop_waits_a_second_for_a_device_that_takes_no_part_in_it(
    database: Database, certificates: ca.Certificates
) -> None:
    """The cloud must be down within 5 s."""
    async with gateway_on(database, certificates) as (gateway, port, device):
        scripted = await registered(port, device, certificates)
        connection = scripted.connection
        assert connection is not None
        connection._writer.transport.pause_reading()  # type: ignore[attr-defined]
        since = Since()
        await gateway.stop()
        assert since.seconds == pytest.approx(1.0, abs=NEAR)
        connection.abort()
        await scripted.ended()


@on_moved_clock
async def test_a_connection_that_nobody_closes_is_dropped_a_second_after_its_close_was_due(
    database: Database, certificates: ca.Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS has a second for its close; what is open then is in nobody's hands."""

    async def leave(
        _gateway: Gateway,
        _reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        settle: Settle,
    ) -> None:
        left.append(writer)  # else its end closes it
        settle()

    left: list[Any] = []
    monkeypatch.setattr(Gateway, "_carry", leave)
    async with gateway_on(database, certificates) as (_gateway, port, device):
        scripted = ScriptedDevice(device, certificates)
        await scripted.connect(port)
        since = Since()
        await scripted.ended()
        assert since.seconds == pytest.approx(2.0, abs=NEAR)
