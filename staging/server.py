"""The server: HTTP and device gateway in one event loop, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import resource
import signal
import socket
import ssl
from asyncio import sslproto
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from staging.api.app import create_app
from staging.commands.command_socket import open_command_socket
from staging.console.app import PathSwitch, create_console
from staging.data_dir import DataDir, Endpoints, locked, write_endpoints
from staging.errors import StagingError, StoreBusyError
from staging.gateway import tls
from staging.gateway.gateway import CONNECTION_LIMIT, Gateway
from staging.identity import ca
from staging.recognition.model import check_extra
from staging.recognition.recogniser import CACHE_FOLDER, Recogniser
from staging.recognition.service import Recognition
from staging.releases import tool
from staging.services import Nonces, Services
from staging.store import Database, apps, ota, products
from staging.times import now_ms
from wire.fields import get_string

# TUF's timestamp is valid for days; four signatures a day leave room for failures.
UPKEEP_SECONDS = 6 * 3600.0
# How long a shutdown waits for API requests; the whole shutdown must take less than 5 s.
GRACE_SECONDS = 2
BACKLOG = 512
HTTP_CONCURRENCY = 1000
# File descriptors for the store, the log and served files.
SPARE_FILES = 200
# A little over the longest TLS record (RFC 8446 section 5.1); device messages are far shorter.
TLS_BUFFER = 20 * 1024

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
    # asyncio allocates a buffer of this size for each TLS connection; its default is 256 KiB.
    sslproto.SSLProtocol.max_size = TLS_BUFFER
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
        api_socket = stack.enter_context(_listen(options.host, options.api_port, "--api-port"))
        device_socket = stack.enter_context(
            _listen(options.host, options.device_port, "--device-port")
        )
        endpoints = _endpoints(options.host, api_socket, device_socket)
        host = _advertised(options.host)
        certificates = ca.ensure(options.data.ca, (host,))
        context = tls.server_context(certificates, legacy=options.legacy_tls)
        if options.legacy_tls:
            _log.warning(_LEGACY_WARNING)
        await asyncio.to_thread(_prepare_repository, options.data)
        database = Database(options.database)
        stack.callback(database.close)
        await database.write(products.default_product, now_ms())
        cloud = _Cloud(options, host, context, database, endpoints)
        await cloud.run(api_socket, device_socket, stop, lambda: ready(endpoints))


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
        self._host = host
        self._context = context
        self._database = database
        self._endpoints = endpoints
        self._nonces = Nonces(database, now_ms)
        self._gateway = Gateway(database, api_url=lambda: endpoints.api)
        self._recognition = Recognition(
            database,
            self._gateway.control,
            options.data,
            Recogniser(options.data.root / CACHE_FOLDER) if options.recognise else None,
        )
        self._gateway.listen(self._recognition.hear)

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
        api = _ApiServer(PathSwitch(create_app(services, self._options.data.tuf), console))
        await self._gateway.start(self._context, sock=device_socket, backlog=BACKLOG)
        commands = open_command_socket(
            self._options.data.root, {"say": self._say, "cancel": self._cancel}
        )
        async with commands, asyncio.TaskGroup() as group:
            upkeep = [
                group.create_task(self._recognition.run()),
                group.create_task(self._nonces.keep_saving()),
                group.create_task(self._keep_up()),
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

    async def _keep_up(self) -> None:
        """Periodically purge old rows, re-sign the repository and renew the certificate."""
        while True:
            await self._purge()
            await asyncio.sleep(UPKEEP_SECONDS)
            await asyncio.to_thread(_prepare_repository, self._options.data)
            self._renew_certificate()

    async def _purge(self) -> None:
        try:
            await self._database.write(apps.purge, now_ms())
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.warning("old nonces were not purged: %s", error)

    def _renew_certificate(self) -> None:
        try:
            certificates = ca.ensure(self._options.data.ca, (self._host,))
            tls.load_certificates(self._context, certificates)
        except (StagingError, OSError) as error:
            _log.error("the gateway's certificate was not renewed: %s", error)


class _ApiServer(uvicorn.Server):
    """uvicorn in our event loop: sets ``accepting`` when it accepts, and leaves signals to us."""

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                limit_concurrency=HTTP_CONCURRENCY,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.accepting = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting, then set ``accepting``."""
        await super().startup(sockets)
        self.accepting.set()


def _prepare_repository(data: DataDir) -> None:
    """Create or refresh the update repository; without it everything but updates works."""
    try:
        tool.ensure_repository(data)
        tool.refresh(data)
    except StagingError as error:
        _log.error("update repository: %s", error)


def _listen(host: str, port: int, option: str) -> socket.socket:
    """Return a listening socket; raises StagingError that names the option and the port."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio disables Nagle's algorithm only if the protocol is given.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise StagingError(f"--host {host}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise StagingError(f"{option} {port}: cannot listen on {host}: {error.strerror}") from error
    return sock


def _endpoints(host: str, api: socket.socket, device: socket.socket) -> Endpoints:
    shown = _advertised(host)
    url_host = f"[{shown}]" if ":" in shown else shown
    return Endpoints(
        api=f"http://{url_host}:{api.getsockname()[1]}",
        device_host=shown,
        device_port=device.getsockname()[1],
    )


def _advertised(host: str) -> str:
    """Return the host to advertise; for a wildcard address this machine's own."""
    try:
        wildcard = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host
    if not wildcard:
        return host
    family, probe = (
        (socket.AF_INET6, "2001:db8::1") if ":" in host else (socket.AF_INET, "192.0.2.1")
    )
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((probe, 9))  # sends nothing; only selects the source address
        except OSError:
            return "localhost"
        return str(sock.getsockname()[0])
