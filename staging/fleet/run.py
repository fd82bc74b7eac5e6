"""One run of a fleet: connect at a rate, hold with reports and an app's requests, count, end."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from staging.client import OpenApiClient, OpenApiError
from staging.data_dir import Endpoints
from staging.fleet.devices import FleetDevice, make
from staging.fleet.figures import Figures
from transport.errors import TransportError
from transport.framed import FramedEndpoint
from wire.reports import Credentials

# Connections being opened at once; one costs the cloud a TLS handshake.
HANDSHAKES = 32
# Tries to connect; the broker lets new devices in a moment after they are added.
TRIES = 5
RETRY_SECONDS = 1.0
# An app's requests at once.
APPS = 4
_random = random.SystemRandom()

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fleet does; times in seconds."""

    link: str
    endpoints: Endpoints
    ca: Path
    rate: float
    """Connections begun a second, at most."""
    hold: float
    report_every: float
    """Each device reports its volume so often."""
    controls: int
    """Requests of an app, to random devices."""


async def run(
    plan: Plan, devices: Sequence[Credentials], client: OpenApiClient, tell: Tell
) -> Figures:
    """Run a fleet of these devices; ``tell`` gets a line about every second."""
    endpoint = await FramedEndpoint.create()
    shared = {
        "context": await asyncio.to_thread(ssl.create_default_context, cafile=str(plan.ca)),
        "endpoint": endpoint,
    }
    fleet = [make(plan.link, who, plan.endpoints, shared) for who in devices]
    figures = Figures(len(fleet), plan.link)
    telling = asyncio.create_task(_keep_telling(figures, fleet, tell))
    try:
        await _connect(plan, fleet, figures)
        await _hold(plan, fleet, devices, client, figures)
    finally:
        telling.cancel()
        await asyncio.gather(*(each.close() for each in fleet), return_exceptions=True)
        await endpoint.shutdown()
    return figures


async def _connect(plan: Plan, fleet: Sequence[FleetDevice], figures: Figures) -> None:
    gate = asyncio.Semaphore(HANDSHAKES)
    started = time.monotonic()

    async def connect(number: int, device: FleetDevice) -> None:
        await asyncio.sleep(number / plan.rate)
        for left in reversed(range(TRIES)):
            try:
                async with gate:
                    await device.connect()
            except (OSError, TransportError) as error:
                if not left:
                    figures.refused += 1
                    figures.note_error(error)
                    return
                await asyncio.sleep(RETRY_SECONDS)
            else:
                figures.connected += 1
                figures.connect_seconds = time.monotonic() - started
                return

    await asyncio.gather(*(connect(number, device) for number, device in enumerate(fleet)))


async def _hold(
    plan: Plan,
    fleet: Sequence[FleetDevice],
    devices: Sequence[Credentials],
    client: OpenApiClient,
    figures: Figures,
) -> None:
    started = time.monotonic()
    ends = started + plan.hold

    async def report(device: FleetDevice) -> None:
        await _sleep(_random.uniform(0, plan.report_every), ends)
        value = 0
        while time.monotonic() < ends and device.connected:
            value = (value + 1) % 10
            sent = time.monotonic()
            try:
                answer = await device.report({"volume": value})
            except TransportError as error:
                figures.note_error(error)
                figures.reports_lost += 1
            else:
                figures.reports += 1
                figures.reports_lost += answer.code >> 5 != 2
                figures.report_ms.append((time.monotonic() - sent) * 1000)
            await _sleep(_random.uniform(0.5, 1.5) * plan.report_every, ends)

    shares = [len(range(first, plan.controls, APPS)) for first in range(APPS)]
    apps = [_control(plan, share, devices, client, figures) for share in shares]
    await asyncio.gather(*map(report, fleet), *apps)
    figures.hold_seconds = time.monotonic() - started
    figures.held = sum(device.connected for device in fleet)


async def _sleep(seconds: float, ends: float) -> None:
    """Sleep, but not beyond ``ends`` (monotonic seconds)."""
    await asyncio.sleep(min(seconds, max(0.0, ends - time.monotonic())))


async def _control(
    plan: Plan,
    share: int,
    devices: Sequence[Credentials],
    client: OpenApiClient,
    figures: Figures,
) -> None:
    """Send an app's share of the requests, spread over the time."""
    for _ in range(share):
        await asyncio.sleep(_random.uniform(0, 2) * plan.hold / share)
        uuid = _random.choice(devices).uuid
        sent = time.monotonic()
        try:
            answer = await asyncio.to_thread(client.send, uuid, "GET", "volume", None)
        except (OpenApiError, httpx.HTTPError) as error:
            figures.controls_lost += 1
            figures.note_error(error)
        else:
            figures.controls_lost += answer["code"] != "2.05"
            figures.control_ms.append((time.monotonic() - sent) * 1000)


async def _keep_telling(figures: Figures, fleet: Sequence[FleetDevice], tell: Tell) -> None:
    while True:
        await asyncio.sleep(1)
        online = sum(device.connected for device in fleet)
        tell(
            f"{online}/{len(fleet)} connected, {figures.reports} reports, "
            f"{len(figures.control_ms)} requests, "
            f"{figures.reports_lost + figures.controls_lost} lost"
        )
