"""Runs the broker beside the cloud: starts it, lets new devices in, and starts it again if it dies."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket

from sqlalchemy.exc import SQLAlchemyError

from base.backoff import Backoff
from base.files import write_atomically
from staging.broker.kick import kick
from staging.broker.process import BrokerError, Mosquitto
from staging.broker.settings import CLOUD_USER, Listeners, TlsFiles
from staging.broker.worker import BrokerAddress
from staging.data_dir import SECRET_MODE, DataDir
from staging.errors import StagingError, StoreBusyError, level_of
from staging.identity.ca import Certificates
from staging.store import Database, devices
from transport.errors import TransportError
from wire.errors import WireError
from wire.fields import get_int, get_string, parse_object

# Seconds until a device that was added may log in at the broker.
LOOK_SECONDS = 0.5
RETRY_MAX_SECONDS = 10.0
START_TRIES = 6
ADDRESS = "workers.json"

_log = logging.getLogger(__name__)


class BrokerHost:
    """A broker for this cloud's devices and workers."""

    def __init__(
        self, database: Database, data: DataDir, listeners: Listeners, certificates: Certificates
    ) -> None:
        """Prepare; the broker's files are in the data folder, and ``database`` has the devices."""
        self._database = database
        self._folder = data.root / "broker"
        self._ca = certificates.ca
        files = TlsFiles(certificates.ca, certificates.server, certificates.server_key)
        self._broker = Mosquitto(self._folder, listeners, files)
        self._listeners = listeners
        self._users = {CLOUD_USER: secrets.token_urlsafe(24)}
        self._last = 0
        self._renewed: int | None = None

    @property
    def address(self) -> BrokerAddress:
        """How workers reach it."""
        password = self._users[CLOUD_USER]
        return BrokerAddress("127.0.0.1", self._listeners.workers_port, self._ca, password)

    @property
    def devices_port(self) -> int:
        """The broker's port for devices."""
        return self._listeners.port

    async def start(self) -> None:
        """Start the broker with the devices of the store. Raises BrokerError."""
        await self._read_renewed()  # first: what is renewed now is read with the new devices
        await self._read_new()
        for left in reversed(range(START_TRIES)):
            try:
                await self._broker.start(self._users)
                break
            except BrokerError:
                # The broker of a cloud that was killed may have the port for another moment.
                if not left:
                    raise
                await asyncio.sleep(LOOK_SECONDS)
        told = {"port": self._listeners.workers_port, "password": self._users[CLOUD_USER]}
        path = self._folder / ADDRESS
        await asyncio.to_thread(write_atomically, path, json.dumps(told).encode(), mode=SECRET_MODE)

    async def run(self) -> None:
        """Let new devices in, and start a dead broker again, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_admitting())
            group.create_task(self._keep_running())

    async def _keep_admitting(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                new, renewed = await self._read_new(), await self._read_renewed()
                if new or renewed:
                    await self._broker.admit(self._users)
                for uuid in renewed:
                    await kick(self.address, uuid)
            except (StoreBusyError, SQLAlchemyError, OSError, TransportError) as error:
                _log.log(level_of(error), "broker: tokens are read later: %s", error)

    async def _read_new(self) -> bool:
        """Read the devices that were added since; return whether there are any."""
        found = await self._database.read(devices.logins, self._last)
        for identity in found:
            self._users[identity.uuid] = identity.token
            self._last = identity.id
        return bool(found)

    async def _read_renewed(self) -> list[str]:
        """Read the tokens that were renewed since; return whose they are."""
        if self._renewed is None:
            self._renewed = await self._database.read(devices.last_renewal)
        found, self._renewed = await self._database.read(devices.renewed, self._renewed)
        for identity in found:
            self._users[identity.uuid] = identity.token
        return [identity.uuid for identity in found]

    async def _keep_running(self) -> None:
        backoff = Backoff(RETRY_MAX_SECONDS)
        while True:
            _log.error("broker: %s", await self._broker.ended())
            await asyncio.sleep(backoff.next())
            try:
                await self._broker.start(self._users)
            except BrokerError as error:
                _log.error("broker: %s", error)

    def renew(self) -> None:
        """Read the certificate again; connections that are open stay."""
        self._broker.reload()

    async def stop(self) -> None:
        """End the broker."""
        await self._broker.stop()


def read_address(data: DataDir) -> BrokerAddress:
    """Return how workers reach the broker of a data folder; raises StagingError."""
    path = data.root / "broker" / ADDRESS
    try:
        source = parse_object(path.read_bytes(), str(path))
        port, password = get_int(source, "port"), get_string(source, "password", secret=True)
    except FileNotFoundError as error:
        reason = "no broker runs on this folder: start story-cloud serve --mqtt-port N"
        raise StagingError(f"{path}: {reason}") from error
    except (OSError, WireError) as error:
        raise StagingError(f"{path}: {error}") from error
    return BrokerAddress("127.0.0.1", port, data.ca / "ca.crt", password)


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
