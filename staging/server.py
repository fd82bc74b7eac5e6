"""The server: HTTP and device gateway in one event loop, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from staging import web_tls
from staging.api.app import create_app
from staging.api.http_server import HTTP_OPEN, ApiServer
from staging.bench.packages import PackageFaults
from staging.beside import Beside
from staging.broker.gate import BrokerGate
from staging.broker.host import BrokerHost, free_port, read_address
from staging.broker.members import Members
from staging.broker.settings import Listeners
from staging.broker.worker import BrokerAddress, Worker
from staging.broker.worker import check_extra as check_paho
from staging.bulk_jobs import Jobs
from staging.bulk_works import BulkWorks
from staging.commands import at_server
from staging.commands.command_socket import Work, open_command_socket
from staging.commands.runs import Runs
from staging.console.app import PathSwitch, create_console
from staging.console.gate import keep_sessions
from staging.data_dir import DataDir, Endpoints, locked, read_endpoints, write_endpoints
from staging.erasing import Eraser
from staging.errors import StagingError
from staging.fleet_watch import FleetWatch
from staging.gateway import tls
from staging.gateway.bounds import DAY_BYTES
from staging.gateway.ear import Ear
from staging.gateway.gateway import CONNECTION_LIMIT, Gateway, Limits
from staging.identity import ca
from staging.identity.rights import Role
from staging.listening import advertised, api_url, endpoints, listen, names_of
from staging.opening import open_store
from staging.proxies import Network, Proxied, TrustedProxies
from staging.recognition.hearing import DEFAULT_MODEL
from staging.recognition.model import check_model
from staging.recognition.recogniser import CACHE_FOLDER, Recogniser
from staging.recognition.service import Recognition
from staging.services import Services
from staging.store import Database, accounts, ota, products
from staging.store.audit import Entry, Source
from staging.store.nonce_journal import NonceJournal
from staging.store.nonces import Nonces
from staging.store.retention import REPORT_DAYS
from staging.times import now_ms
from staging.upkeep import Upkeep, prepare_repository
from staging.web_tls import Secured, WebTls, packages_url
from staging.webhooks import Sender
from transport.tls_socket import limit_buffers
from wire.abilities import ANSWER
from wire.fields import get_int, get_string

# The server's name among the workers.
SERVER_NAME = "server"
# Characters of what a command did, as the audit log has it.
TARGET_LIMIT = 255
# File descriptors for the store, the log and served files.
SPARE_FILES = 200
# Seconds for which the writing thread keeps the interpreter's lock when the event loop wants it, where Python's own are five
# milliseconds: 16 callers' p99 was 3.2 times their p50 so, and 2.6 times with one; with a third of one 3.4 (docs/benchmarks.md).
SWITCH_SECONDS = 0.001

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
    """Whether utterances become commands."""
    recogniser: str = DEFAULT_MODEL
    """The speech model, as MODULE:FACTORY; the default needs the extra [asr]."""
    mqtt_port: int | None = None
    """The port of a broker for devices that speak MQTT, which is started; None: no broker."""
    public_hosts: tuple[str, ...] = ()
    """The names under which devices and apps reach it; the first is announced. Empty: the host's."""
    voice_days: int = 0
    """For how many days voice is kept; 0: until somebody erases it."""
    report_days: int = REPORT_DAYS
    """For how many days other reports are kept; 0: for ever."""
    day_bytes: int = DAY_BYTES
    """Bytes of reports that a device may send in a day; 0: no limit."""
    bench_faults: bool = False
    """Whether faults can be made on purpose (`staging.bench`)."""
    worker: str = ""
    """The name of one of several workers at another server's broker; "": this is the server."""
    web_tls: WebTls | None = None
    """How the API's port is secured; None: plain HTTP."""
    trusted_proxies: tuple[Network, ...] = ()
    """The proxies whose ``X-Forwarded-For`` is believed."""


def run(options: ServeOptions, ready: Callable[[Endpoints], None]) -> None:
    """Serve until a signal; ``ready`` is called when both ports accept. Raises StagingError."""
    if options.recognise:
        check_model(options.recogniser)
    if options.worker or options.mqtt_port is not None:
        check_paho()
    options.data.create()
    _prepare_process()
    if options.worker:
        # Two of one name would push each other off the broker without end.
        lock = options.data.root / f".worker-{options.worker}.lock"
        with locked(lock, f"another worker is named {options.worker} already", timeout=0):
            asyncio.run(_work(options, ready))
        return
    lock = options.data.root / ".serve.lock"
    with locked(lock, "another story-cloud serves this folder already", timeout=0):
        asyncio.run(_serve(options, ready))


def _recogniser(options: ServeOptions) -> Recogniser:
    return Recogniser(options.data.root / CACHE_FOLDER, model=options.recogniser)


def _prepare_process() -> None:
    """Set buffer size and file limit for as many connections as the limits allow, and the threads' turns."""
    limit_buffers()
    sys.setswitchinterval(SWITCH_SECONDS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTION_LIMIT + HTTP_OPEN + SPARE_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    if hard < wanted:
        _log.warning("the system allows %d open files, %d would be needed", hard, wanted)


async def _serve(options: ServeOptions, ready: Callable[[Endpoints], None]) -> None:
    stop = _stop_event()
    with contextlib.ExitStack() as stack:
        api_socket = stack.enter_context(listen(options.host, options.api_port, "--api-port"))
        device_socket = stack.enter_context(
            listen(options.host, options.device_port, "--device-port")
        )
        names = names_of(options.host, options.public_hosts)
        secure = options.web_tls is not None
        addresses = endpoints(names[0], api_socket, device_socket, secure=secure)
        addresses = replace(addresses, packages=packages_url(addresses.api, options.web_tls))
        if options.mqtt_port is not None:
            addresses = replace(addresses, mqtt_port=options.mqtt_port or free_port())
        if options.web_tls is not None and not options.web_tls.is_own:
            _web_context(options, ca.locate(options.data.ca))  # raises before keys are made
        # A store that is not as it was is refused before keys are made: this may be the wrong folder.
        database = open_store(options.data, options.database, looks=True)
        stack.callback(database.close)
        certificates = ca.ensure(options.data.ca, names)
        context = tls.server_context(certificates, legacy=options.legacy_tls)
        web = _web_context(options, certificates)
        if options.legacy_tls:
            _log.warning(_LEGACY_WARNING)
        await asyncio.to_thread(prepare_repository, options.data)
        if not await database.read(products.has_default):  # a full disk takes no write
            await database.write(products.default_product, now_ms())
        await _tell_roles(database)
        cloud = _Cloud(options, database, addresses)
        async with _broker(options, database, addresses, certificates) as broker:
            with contextlib.closing(device_socket):
                await cloud.start_gateway(context, device_socket)
                if broker and options.bench_faults:
                    mqtt = listen(options.host, addresses.mqtt_port, "--mqtt-port")
                    port, authority = broker.devices_port, broker.address.ca
                    cloud.beside.start_front(context, stack.enter_context(mqtt), port, authority)

                def renewed() -> None:
                    if broker:
                        broker.renew()
                    if web is not None and options.web_tls is not None:
                        web_tls.load(web, options.web_tls, certificates)

                upkeep = Upkeep(
                    options.data, database, context, names, renewed, options.report_days
                )
                cloud.believe(lambda: upkeep.believes_clock)
                _on_hangup(upkeep.renew_certificates)
                works = [upkeep.run, *([broker.run] if broker else [])]
                cloud.connect((lambda: broker.address) if broker else None)
                await cloud.run(api_socket, web, works, stop, lambda: ready(addresses))


async def _work(options: ServeOptions, ready: Callable[[Endpoints], None]) -> None:
    """Run one worker: the open API and the broker's devices, without a port for devices."""
    stop = _stop_event()
    server = read_endpoints(options.data)
    if server is None:
        raise StagingError(f"--data {options.data.root}: no story-cloud serve ran on it yet")
    with contextlib.ExitStack() as stack:
        api_socket = stack.enter_context(listen(options.host, options.api_port, "--api-port"))
        database = open_store(options.data, options.database)
        stack.callback(database.close)
        cloud = _Cloud(options, database, server)
        read_address(options.data)  # raises where there is no broker
        cloud.connect(lambda: read_address(options.data))
        # The server made them, and renews them: a worker reads them again on SIGHUP.
        certificates = ca.locate(options.data.ca)
        web = _web_context(options, certificates)
        _on_hangup(lambda: _reload(web, options, certificates))
        here = replace(
            server, api=api_url(advertised(options.host), api_socket, secure=web is not None)
        )
        await cloud.run(api_socket, web, [], stop, lambda: ready(here))


def _web_context(options: ServeOptions, certificates: ca.Certificates) -> ssl.SSLContext | None:
    if options.web_tls is None:
        return None
    return web_tls.make_context(options.web_tls, certificates)


def _reload(
    context: ssl.SSLContext | None, options: ServeOptions, certificates: ca.Certificates
) -> None:
    if context is None or options.web_tls is None:
        return
    try:
        web_tls.load(context, options.web_tls, certificates)
        _log.info("the certificate was read again")
    except StagingError as error:
        _log.error("the certificate in use stays: %s", error)


def _on_hangup(reload: Callable[[], None]) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)


async def _first_of(*events: asyncio.Event) -> None:
    """Wait until one of ``events`` is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@contextlib.asynccontextmanager
async def _broker(
    options: ServeOptions, database: Database, addresses: Endpoints, certificates: ca.Certificates
) -> AsyncIterator[BrokerHost | None]:
    if not addresses.mqtt_port:
        yield None
        return
    listeners = Listeners(options.host, addresses.mqtt_port, free_port())
    if options.bench_faults:  # the port for devices is the bench's (`staging.bench.mqtt_front`)
        listeners = Listeners("127.0.0.1", free_port(), free_port())
    host = BrokerHost(database, options.data, listeners, certificates)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


async def _tell_roles(database: Database) -> None:
    """Log which accounts the console has, and what to do where it has no operator."""
    counted = await database.read(accounts.roles)
    told = ", ".join(f"{counted[role]} {role}" for role in reversed(Role))
    _log.info("accounts that can log in: %s (docs/accounts.md)", told)
    if counted.total() and not counted[Role.OPERATOR]:
        _log.warning(_NO_OPERATOR)


_NO_OPERATOR = (
    "no account is an operator: nobody can make products, publish versions or manage accounts at the console. "
    "Name one: story-cloud account role NAME operator"
)
_LEGACY_WARNING = (
    "LEGACY TLS IS ON: devices may use RSA key exchange and CBC or CCM suites without forward "
    "secrecy. For 2017 firmware on a bench only, never on a network that others can reach."
)


class _Cloud:
    """The parts that run while connections are accepted."""

    def __init__(self, options: ServeOptions, database: Database, endpoints: Endpoints) -> None:
        self._options = options
        self._database = database
        self._endpoints = endpoints
        self.beside = Beside(options.data.root, database, bench_faults=options.bench_faults)
        journal = NonceJournal(options.data.root, options.worker or SERVER_NAME)
        self._nonces = Nonces(database, now_ms, journal=journal)
        self._members = Members(options.worker or SERVER_NAME)
        url = endpoints.packages or endpoints.api
        self._gateway = Gateway(
            database,
            api_url=lambda: url,
            limits=Limits(day_bytes=options.day_bytes),
            owns=self._members.owns,
            taps=self.beside.taps(),
        )
        self._worker: Worker | None = None
        self._ear = Ear(self._gateway.sessions)
        self._recognition = Recognition(
            database,
            self._gateway.control,
            options.data,
            _recogniser(options) if options.recognise else None,
            answer=self._ear.answer,
            waits=lambda uuid: self._ear.reads(uuid, ANSWER),
        )
        self._gateway.listen(self._recognition.collect)
        days = options.voice_days
        self._eraser = Eraser(database, self._recognition.outcomes, now_ms, days)
        self._gateway.erase_rest = self._eraser.soon
        self._gateway.family.voice_days = days

    async def start_gateway(self, context: ssl.SSLContext, device_socket: socket.socket) -> None:
        """Accept devices that speak framed CoAP."""
        await self._gateway.start(context, device_socket)

    def connect(self, address: Callable[[], BrokerAddress] | None) -> None:
        """Serve also the devices at a broker; a cloud that only does that has no port for devices."""
        if self._options.worker:
            self._gateway.start_work()
        if address is not None:
            gate = BrokerGate(self._database, self._gateway, self._members)
            self._worker = Worker(gate, self._members.who, address)

    def believe(self, believes_clock: Callable[[], bool]) -> None:
        """Let nothing be erased for its age while the clock is not believed."""
        self._eraser.believes_clock = believes_clock

    async def run(
        self,
        api_socket: socket.socket,
        web: ssl.SSLContext | None,
        works: Sequence[Callable[[], Coroutine[Any, Any, None]]],
        stop: asyncio.Event,
        ready: Callable[[], None],
    ) -> None:
        """Serve, and do ``works`` beside it, until ``stop`` is set; then shut down in order."""
        services = Services(
            self._database, self._gateway, self._nonces, now_ms, self._recognition,
            erase_rest=self._eraser.soon, voice_days=self._options.voice_days, bench=self.beside.bench,
            wire=self.beside.wire,
        )  # fmt: skip
        console = create_console(services, self._options.data)
        switch: ASGIApp = PathSwitch(create_app(services, self._options.data.tuf), console)
        if self.beside.bench is not None:
            switch = PackageFaults(switch, self.beside.bench.package_faults_at)
        proxies = TrustedProxies(self._options.trusted_proxies)
        app = Proxied(Secured(switch, only=web is not None), proxies)
        api = ApiServer(app, tls=web, proxies=proxies)
        watch = FleetWatch(self._database, self._gateway, now_ms, samples=not self._options.worker)
        sender = Sender(self._database, now_ms)
        await self._nonces.restore()
        async with (
            self._commands(services, console.state.console.jobs),
            asyncio.TaskGroup() as group,
        ):
            upkeep = [
                group.create_task(self._recognition.run()),
                group.create_task(self._nonces.keep_saving()),
                group.create_task(self._eraser.run()),
                group.create_task(services.audit.keep_saving()),
                group.create_task(keep_sessions(console.state.console)),
                group.create_task(watch.run()),
                group.create_task(watch.hear(self._recognition.outcomes)),
                *([] if self._options.worker else [group.create_task(sender.run())]),
                *(group.create_task(work()) for work in works),
            ]
            if self.beside.bench is not None:
                upkeep.append(group.create_task(self.beside.bench.run()))
            if self._worker is not None:
                upkeep.append(group.create_task(self._worker.run()))
                # A broker that is away may stay so: whoever stops this process does not wait for it.
                await _first_of(self._worker.ready, stop)
            serving = group.create_task(api.serve([api_socket]))
            await api.accepting.wait()
            if not stop.is_set():
                if not self._options.worker:
                    self._write_endpoints()
                # What the start has made stays: a full collection then takes no tenth of a second of the loop.
                gc.collect()
                gc.freeze()
                ready()
            await stop.wait()
            _log.info("stopping")
            console.state.console.hub.close()
            await console.state.console.jobs.close()
            await console.state.console.desk.close()
            api.should_exit = True
            await self.beside.close()
            await services.diagnoses.close()
            await self._gateway.stop()
            await serving
            for task in upkeep:
                task.cancel()
            await self._recognition.close()
            await watch.store()
        await self._nonces.save()
        await services.audit.save()

    def _write_endpoints(self) -> None:
        try:
            write_endpoints(self._options.data, self._endpoints)
        except OSError as error:
            _log.error(
                "%s: %s: profiles may have old addresses", self._options.data.endpoints, error
            )

    def _commands(self, services: Services, jobs: Jobs) -> AbstractAsyncContextManager[object]:
        """Return the socket for the commands, which the server has, and no worker."""
        if self._options.worker:
            return contextlib.nullcontext()

        log = services.audit

        def logged(action: str, work: Work) -> Work:
            async def run(wanted: Mapping[str, object]) -> Mapping[str, object]:
                outcome = await work(wanted)
                user, uuid = str(wanted.get("user", "")), get_string(wanted, "uuid").lower()
                target = str(outcome.get("shown", ""))[:TARGET_LIMIT]
                await log.add(
                    Entry(now_ms(), Source.COMMAND, user, action, device=uuid, target=target)
                )
                return outcome

            return run

        changes, reads = self.beside.works(services.diagnoses)
        options, sessions = self._options, self._gateway.sessions
        runs = Runs(self._database, options.data, options.database, sessions.ids)
        works = {
            "say": logged("say", self._say),
            "cancel": logged("update.cancel", self._cancel),
            "online": self._online,
            "lead": self._lead,
            **{name: logged(name, work) for name, work in changes.items()},
            **reads,
            **BulkWorks(jobs, self._database).works,
            at_server.WORK: runs.run,
        }
        return open_command_socket(options.data.root, works)

    async def _say(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        uuid, text = get_string(wanted, "uuid"), get_string(wanted, "text")
        return (await self._recognition.say(uuid, text)).to_json()

    async def _online(self, _wanted: Mapping[str, object]) -> Mapping[str, object]:
        return {"ids": self._gateway.sessions.ids()}

    async def _lead(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        """Lead a device to the advisor, which logs that itself; it renews this every few seconds."""
        uuid, port = get_string(wanted, "uuid").lower(), get_int(wanted, "port", high=65535)
        return self._gateway.diversions.lead(uuid, port)

    async def _cancel(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        uuid = get_string(wanted, "uuid").lower()
        return ota.summary(await self._gateway.cancel_update(uuid), uuid)
