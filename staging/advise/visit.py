"""One visit of a device: it is led to the advisor, the suite runs, it is led back, and the report is signed and written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from base.files import write_atomically
from staging.advise import catalogue, html, junit, report, sign
from staging.advise.bench import AbsentError
from staging.advise.host import RealBench
from staging.advise.lab import Lab
from staging.advise.papers import Papers
from staging.advise.record import Known
from staging.advise.runner import Progress, Runner
from staging.commands.asking import ask
from staging.data_dir import PUBLIC_MODE, SECRET_MODE, DataDir, Endpoints
from staging.errors import StagingError
from staging.identity import ca
from staging.identity.profiles import DeviceRecord, profile_of
from staging.times import now_ms
from wire.profile import render_profile

FOLDER = "advise"
# Seconds between two renewals of the lease; it lasts for three of them.
RENEW_SECONDS = 10.0
SEED_MAX = 2**31 - 1
LOOPBACK = "127.0.0.1"
REPORT, JUNIT, PAGE = "report.json", "junit.xml", "report.html"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        suite: `staging.advise.catalogue.select` has what it may be.
        seed: of what the cases choose; the same seed makes the same choices.
        folder: where the report is written; None: in the data folder.
        port: where the device is led by a profile of its own; 0: the running cloud leads it.
        address: where that port listens.
        link: what the device speaks, "coap" or "mqtt".
        profile: where a profile is written that leads the device here; None: nowhere.
        hand: the program that acts at the machine, "" for none.
        language: the page's and the XML's, zh or en.
    """

    suite: str
    seed: int
    folder: Path | None = None
    port: int = 0
    address: str = LOOPBACK
    link: str = "coap"
    profile: Path | None = None
    hand: str = ""
    language: str = "en"


def any_seed() -> int:
    """Return a seed for who gave none; the report has it."""
    return random.SystemRandom().randint(1, SEED_MAX)


async def visit(
    data: DataDir,
    device: DeviceRecord,
    endpoints: Endpoints,
    wish: Wish,
    progress: Callable[[Progress], None],
) -> tuple[dict[str, Any], Path]:
    """Run a suite on a device; return the report, and the folder in which it is.

    Raises:
        StagingError: the device cannot be led here, or did not come; the report cannot be written.
    """
    checks = catalogue.select(wish.suite)
    certificates = ca.locate(data.ca)
    papers = Papers(certificates)
    started = now_ms()
    known = Known(device.uuid, device.token, wish.link, hidden=_hidden(device))
    with _listener(wish) as listener:
        port = int(listener.getsockname()[1])
        if wish.profile is not None:
            _write_profile(data, device, endpoints, wish, port)
        async with (
            _led(data, device.uuid, 0 if wish.port else port),
            RealBench(listener, papers, wish.link, wish.hand) as bench,
        ):
            await bench.open_web(endpoints.device_host if wish.port else LOOPBACK)
            runner = Runner(
                Lab(bench, known, wish.seed), checks,
                limit=catalogue.LIMITS.get(wish.suite, catalogue.LIMITS[catalogue.FULL]), progress=progress,
            )  # fmt: skip
            try:
                outcome = await runner.run()
            except AbsentError as error:
                raise StagingError(f"device {device.uuid} did not come: {error}") from error
    made = report.build(outcome, known, suite=wish.suite, seed=wish.seed, started_ms=started)
    made["signature"] = sign.sign(made, certificates)
    return made, write(made, wish.folder or folder_of(data, device.uuid, started), wish.language)


def folder_of(data: DataDir, uuid: str, started_ms: int) -> Path:
    """Return where the report of a run is kept."""
    return data.root / FOLDER / f"{uuid}-{started_ms}"


def write(made: dict[str, Any], folder: Path, language: str) -> Path:
    """Write a report in its three forms; return the folder. Raises StagingError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(made, ensure_ascii=False, indent=1).encode()
        write_atomically(folder / REPORT, text, mode=PUBLIC_MODE)
        write_atomically(folder / JUNIT, junit.render(made, language), mode=PUBLIC_MODE)
        write_atomically(folder / PAGE, html.render(made, language), mode=PUBLIC_MODE)
    except OSError as error:
        raise StagingError(f"--report {folder}: {error.strerror}") from error
    return folder


def _hidden(device: DeviceRecord) -> tuple[bytes, ...]:
    return tuple(each.encode() for each in (device.token, device.bind_token) if each)


@contextlib.contextmanager
def _listener(wish: Wish) -> Any:
    family = socket.AF_INET6 if ":" in wish.address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((wish.address, wish.port))
            sock.listen(64)
        except OSError as error:
            raise StagingError(f"--port {wish.port} at {wish.address}: {error.strerror}") from error
        yield sock


def _write_profile(
    data: DataDir, device: DeviceRecord, endpoints: Endpoints, wish: Wish, port: int
) -> None:
    """Write a profile that leads the device here; it has the token, so nobody else may read it."""
    here = replace(endpoints, device_port=port, mqtt_port=port if wish.link == "mqtt" else 0)
    profile = profile_of(device, here, ca.ensure_authority(data.ca))
    try:
        write_atomically(Path(str(wish.profile)), render_profile(profile), mode=SECRET_MODE)
    except OSError as error:
        raise StagingError(f"--profile {wish.profile}: {error.strerror}") from error


@contextlib.asynccontextmanager
async def _led(data: DataDir, uuid: str, port: int) -> AsyncIterator[None]:
    """Have the running cloud lead the device to a port, which is renewed; port 0: it is led otherwise."""
    if not port:
        yield
        return
    await asyncio.to_thread(ask, data.root, "lead", {"uuid": uuid, "port": port})
    renewing = asyncio.create_task(_renew(data, uuid, port))
    try:
        yield
    finally:
        renewing.cancel()
        with contextlib.suppress(StagingError):  # a cloud that has stopped leads nobody
            await asyncio.to_thread(ask, data.root, "lead", {"uuid": uuid, "port": 0})


async def _renew(data: DataDir, uuid: str, port: int) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        with contextlib.suppress(StagingError):
            await asyncio.to_thread(ask, data.root, "lead", {"uuid": uuid, "port": port})
