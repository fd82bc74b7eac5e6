"""One visit of a device: it is led to the advisor, the suite runs, it is led back, and the report is signed and written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from base.files import write_atomically
from staging.advise import catalogue, html, junit, report, sign
from staging.advise.bench import AbsentError
from staging.advise.helper import MachineHelper
from staging.advise.host import RealBench
from staging.advise.lab import Lab
from staging.advise.papers import Papers
from staging.advise.record import Known
from staging.advise.releases import Package, Releases
from staging.advise.runner import Progress, Runner
from staging.advise.shelf import FOLDER, JUNIT, PAGE, REPORT, Shelf
from staging.advise.tuf import SEED_BYTES
from staging.bench.machines import Helpers
from staging.commands.asking import ask
from staging.data_dir import PUBLIC_MODE, SECRET_MODE, DataDir, Endpoints
from staging.errors import StagingError
from staging.identity import ca
from staging.identity.profiles import DeviceRecord, profile_of
from staging.times import now_ms
from wire.errors import FieldError
from wire.profile import render_profile

# The key of the bench's own releases.
SEED = "releases.key"
# Seconds between two renewals of the lease; it lasts for three of them.
RENEW_SECONDS = 10.0
SEED_MAX = 2**31 - 1
LOOPBACK = "127.0.0.1"


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
        root: where the root of the bench's own releases is written, which the device must be flashed with; None: it trusts another.
        web_port: where updates are fetched; 0: any.
        package: a package of the device's maker, which it may install; None: there is none.
        helper: where the helper beside the machine listens, IP:PORT of loopback, "" for the one that the cloud's bench knows.
        helper_token: what proves this bench to it.
        installer: what a package is for, as its release says it.
        ask_to_speak: asks the tester to speak, and returns when he has; None: he is not there.
        firmware, product: what the cloud knows of the device, "" for nothing.
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
    root: Path | None = None
    web_port: int = 0
    package: Package | None = None
    helper: str = ""
    helper_token: str = field(default="", repr=False)
    installer: str = "slots"
    ask_to_speak: Callable[[], Awaitable[None]] | None = None
    firmware: str = ""
    product: str = ""
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
    known = Known(
        device.uuid, device.token, wish.link, hidden=_hidden(device), version=wish.firmware, product=wish.product,
    )  # fmt: skip
    releases = releases_of(data, wish)
    with _listener(wish) as listener:
        port = int(listener.getsockname()[1])
        async with (
            RealBench(
                listener,
                papers,
                wish.link,
                wish.hand,
                wish.ask_to_speak,
                _helper(data, device.uuid, wish),
            ) as bench,
            contextlib.AsyncExitStack() as led,
        ):
            await _open_web(bench, endpoints, wish)
            if wish.profile is not None:
                _write_profile(data, device, endpoints, wish, port, bench.web)
            await led.enter_async_context(_led(data, device.uuid, 0 if wish.port else port))
            runner = Runner(
                Lab(bench, known, wish.seed, releases), checks,
                limit=catalogue.LIMITS.get(wish.suite, catalogue.LIMITS[catalogue.FULL]), progress=progress,
            )  # fmt: skip
            try:
                outcome = await runner.run()
            except AbsentError as error:
                raise StagingError(f"device {device.uuid} did not come: {error}") from error
    made = report.build(outcome, known, suite=wish.suite, seed=wish.seed, started_ms=started)
    made["signature"] = sign.sign(made, certificates)
    return made, _keep(data, made, wish)


def _keep(data: DataDir, made: dict[str, Any], wish: Wish) -> Path:
    """Write a report where it is wanted, else on the cloud's shelf, whose oldest ones of this device then go."""
    if wish.folder is not None:
        return write(made, wish.folder, wish.language)
    shelf, uuid = Shelf(data.root), made["device"]["uuid"]
    folder = write(made, shelf.folder(uuid, made["startedMs"]), wish.language)
    shelf.clear_out(uuid)
    return folder


def _helper(data: DataDir, uuid: str, wish: Wish) -> MachineHelper:
    """Return who makes faults at the machine: the helper that was given, else the one that the cloud's bench knows."""
    helpers = Helpers(data.root)
    if wish.helper:
        try:
            helpers.set(uuid, wish.helper, wish.helper_token)
        except FieldError as error:
            raise StagingError(f"--helper: {error}") from error
    return MachineHelper(helpers, uuid)


def releases_of(data: DataDir, wish: Wish) -> Releases:
    """Return what may be ordered; the bench's root is written where it is wanted."""
    if wish.root is None:
        return Releases(None, wish.package, installer=wish.installer)
    made = Releases(_seed(data), wish.package, installer=wish.installer)
    try:
        write_atomically(wish.root, made.root, mode=PUBLIC_MODE)
    except OSError as error:
        raise StagingError(f"--root {wish.root}: {error.strerror}") from error
    return made


def _seed(data: DataDir) -> bytes:
    """Return the seed of the key of the bench's releases: the same each time, so that a device is flashed once."""
    file = data.root / FOLDER / SEED
    try:
        with contextlib.suppress(FileNotFoundError):
            if len(kept := file.read_bytes()) == SEED_BYTES:
                return kept
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = secrets.token_bytes(SEED_BYTES)
        write_atomically(file, made, mode=SECRET_MODE)
    except OSError as error:
        raise StagingError(f"{file}: {error.strerror}") from error
    return made


async def _open_web(bench: RealBench, endpoints: Endpoints, wish: Wish) -> None:
    """Serve what updates fetch where the device reaches this computer, or for this computer alone where it has no such address."""
    try:
        await bench.open_web(endpoints.device_host, wish.web_port)
    except OSError as error:
        if wish.web_port or wish.root is not None:
            where = f"{endpoints.device_host}, port {wish.web_port}"
            raise StagingError(f"--web-port: {where}: {error.strerror or error}") from error
        await bench.open_web(LOOPBACK)


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
    data: DataDir, device: DeviceRecord, endpoints: Endpoints, wish: Wish, port: int, web: str
) -> None:
    """Write a profile that leads the device here; it has the token, so nobody else may read it."""
    here = replace(endpoints, device_port=port, mqtt_port=port if wish.link == "mqtt" else 0)
    if wish.root is not None:
        here = replace(
            here, packages=web
        )  # `profile_of` puts /tuf behind it, where the bench has its repository
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
