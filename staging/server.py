"""The server: HTTP and device gateway in one event loop, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from staging.api.app import create_app
from staging.api.http_server import HTTP_CONCURRENCY, ApiServer
from staging.commands.command_socket import open_command_socket
from staging.console.app import PathSwitch, create_console
from staging.data_dir import DataDir, Endpoints, locked, write_endpoints
from staging.gateway import tls
from staging.gateway.ear import Ear
from staging.gateway.gateway import CONNECTION_LIMIT, Gateway
from staging.identity import ca
from staging.listening import BACKLOG, advertised, endpoints, listen
from staging.recognition.model import check_extra
from staging.recognition.recogniser import CACHE_FOLDER, Recogniser
from staging.recognition.service import Recognition
from staging.services import Services
from staging.store import Database, ota, products
from staging.store.nonces import Nonces
from staging.times import now_ms
from staging.upkeep import Upkeep, prepare_repository
from wire.fields import get_string

# File descriptors for the store, the log and served files.
SPARE_FILES = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of ``story-cloud serve``; port 0 means any free port."""

    data: DataDir
    database: Path | str
    """The store's file or URL."""
    host: str
    api_port: int
    device_port: int
    legacy_tls: bool
    recognise: bool = False
    """Whether utterances become commands; needs the extra [asr]."""


def run(options: ServeOptions, ready: Callable[[Endpoints], None]) -> None:
    """Serve until a signal; ``ready`` is called when both ports accept. Raises StagingError."""
    if options.recognise:
        check_extra()
    options.data.create()
    _prepare_process()
    lock = options.data.root / ".serve.lock"
    with locked(lock, "another story-cloud serves this folder already", timeout=0):
        asyncio.run(_serve(options, ready))


def _prepare_process() -> None:
    """Set buffer size and file limit for as many connections as the limits allow."""
    tls.limit_buffers()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTION_LIMIT + HTTP_CONCURRENCY + SPARE_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    if hard < wanted:
        _log.warning("the system allows %d open files, %d would be needed", hard, wanted)


async def _serve(options: ServeOptions, ready: Callable[[Endpoints], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with contextlib.ExitStack() as stack:
        api_socket = stack.enter_context(listen(options.host, options.api_port, "--api-port"))
        device_socket = stack.enter_context(
            listen(options.host, options.device_port, "--device-port")
        )
        addresses = endpoints(options.host, api_socket, device_socket)
        host = advertised(options.host)
        certificates = ca.ensure(options.data.ca, (host,))
        context = tls.server_context(certificates, legacy=options.legacy_tls)
        if options.legacy_tls:
            _log.warning(_LEGACY_WARNING)
        await asyncio.to_thread(prepare_repository, options.data)
        database = Database(options.database)
        stack.callback(database.close)
        await database.write(products.default_product, now_ms())
        cloud = _Cloud(options, host, context, database, addresses)
        await cloud.run(api_socket, device_socket, stop, lambda: ready(addresses))


_LEGACY_WARNING = (
    "LEGACY TLS IS ON: devices may use RSA key exchange and CBC or CCM suites without forward "
    "secrecy. For 2017 firmware on a bench only, never on a network that others can reach."
)


class _Cloud:
    """The parts that run while connections are accepted."""

    def __init__(
        self,
        options: ServeOptions,
        host: str,
        context: ssl.SSLContext,
        database: Database,
        endpoints: Endpoints,
    ) -> None:
        self._options = options
        self._context = context
        self._upkeep = Upkeep(options.data, database, context, host)
        self._database = database
        self._endpoints = endpoints
        self._nonces = Nonces(database, now_ms)
        self._gateway = Gateway(database, api_url=lambda: endpoints.api)
        self._ear = Ear(self._gateway.sessions)
        self._recognition = Recognition(
            database,
            self._gateway.control,
            options.data,
            Recogniser(options.data.root / CACHE_FOLDER) if options.recognise else None,
            answer=self._ear.answer,
        )
        self._gateway.listen(self._recognition.collect)

    async def run(
        self,
        api_socket: socket.socket,
        device_socket: socket.socket,
        stop: asyncio.Event,
        ready: Callable[[], None],
    ) -> None:
        """Serve until ``stop`` is set, then shut down in order."""
        services = Services(self._database, self._gateway, self._nonces, now_ms, self._recognition)
        console = create_console(services, self._options.data)
        switch = PathSwitch(create_app(services, self._options.data.tuf), console)
        api = ApiServer(switch, backlog=BACKLOG)
        await self._gateway.start(self._context, sock=device_socket, backlog=BACKLOG)
        commands = open_command_socket(
            self._options.data.root, {"say": self._say, "cancel": self._cancel}
        )
        async with commands, asyncio.TaskGroup() as group:
            upkeep = [
                group.create_task(self._recognition.run()),
                group.create_task(self._nonces.keep_saving()),
                group.create_task(self._upkeep.run()),
            ]
            serving = group.create_task(api.serve([api_socket]))
            await api.accepting.wait()
            write_endpoints(self._options.data, self._endpoints)
            ready()
            await stop.wait()
            _log.info("stopping")
            console.state.console.hub.close()
            api.should_exit = True
            await self._gateway.stop()
            await serving
            for task in upkeep:
                task.cancel()
            await self._recognition.close()
        await self._nonces.save()

    async def _say(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        uuid, text = get_string(wanted, "uuid"), get_string(wanted, "text")
        return (await self._recognition.say(uuid, text)).to_json()

    async def _cancel(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        uuid = get_string(wanted, "uuid").lower()
        return ota.summary(await self._gateway.cancel_update(uuid), uuid)
