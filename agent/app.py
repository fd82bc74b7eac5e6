"""The agent put together: what runs, who is told what, and the order in which it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from agent import netinfo
from agent.client import SOCKET_NAME
from agent.delivery import deliver
from agent.health import wait_until_proven
from agent.link import CloudLink
from agent.local_http import LocalServer, build_app, loopback_socket, unix_socket
from agent.logs import PLAIN, RedactingFormatter
from agent.outbox import Outbox, OutboxError
from agent.points import build_points
from agent.requests import cloud_handler, serve
from agent.service import ServiceManager
from agent.settings import InstallerKind, Settings
from agent.voice import VoiceSender
from agent.watch import Watcher
from ota.clock import TrustedTime
from ota.download import DownloadSettings
from ota.installer import Installer
from ota.machine import Hooks, Updater, UpdaterSettings
from ota.rauc import RaucInstaller
from ota.reboot import reboot_machine
from ota.release import running_release
from ota.slots import SlotInstaller
from ota.trial_log import TrialLog, read_lines, trial_log_path
from resources.dispatch import Dispatch
from resources.play import PlayPoint
from transport.datagram import DatagramServer
from transport.framed import Reply
from wire.datapoints import Value
from wire.profile import Profile
from wire.reports import KEY_DEVICE_INFO, KEY_PACKAGE_INFO, DeviceInfo, PackageInfo

# Before a restart for an update: how long the cloud may take to hear that it comes.
FAREWELL_SECONDS = 3.0
# How long the system may take to end the agent once a restart of the machine is ordered.
REBOOT_SECONDS = 120.0

_log = logging.getLogger(__name__)


class AgentBusyError(RuntimeError):
    """Another agent uses this state folder."""


class Agent:
    """One device's agent; `run` once."""

    def __init__(self, profile: Profile, settings: Settings, state: Path, version: str) -> None:
        """Work for the device of ``profile``, with everything on disk below ``state``."""
        self._profile = profile
        self._settings = settings
        self._state = state
        self._version = version
        self._ended = asyncio.Event()
        self.restart_wanted = False
        self._service = ServiceManager()
        self._outbox = Outbox(state / "outbox.sqlite", settings.outbox.max_bytes)
        self._clock = TrustedTime(state / "ota" / "time.json", running_release().built)

    async def run(self) -> None:
        """Run until SIGTERM, SIGINT or a restart for an update.

        Raises:
            AgentBusyError, LocalAccessError, OutboxError, TransportError: it cannot start.
        """
        with state_lock(self._state), self._signals():
            await self._outbox.open()
            try:
                await self._start()
            finally:
                await self._outbox.close()

    async def _start(self) -> None:
        points = await build_points(self._settings, self._state, self._report_value)
        self._dispatch = Dispatch(points, self._value_was_put)
        self._watcher = Watcher(self._dispatch, self._report_value)
        self._updater = self._build_updater()
        if self._updater.on_trial:  # what it logs is what its failure is reported with
            formatter = RedactingFormatter(PLAIN, self._profile.secrets)
            logging.getLogger().addHandler(TrialLog(trial_log_path(self._state), formatter))
        handler = cloud_handler(self._dispatch, self._updater.take_order)
        self._link = CloudLink(self._profile, self._settings.link, handler, self._clock)
        self._voice = VoiceSender(self._link, self._settings.voice)
        for name, point in self._dispatch.points.items():
            _log.info("%s: %s", name, point.back_end)
        try:
            await self._introduce()
            with unix_socket(self._state / SOCKET_NAME) as bound:
                await self._work(bound)
        finally:
            await self._dispatch.close()

    async def _work(self, bound: socket.socket) -> None:
        """Run everything side by side; the first that fails ends all."""
        app = build_app(self._dispatch, self._voice, self.status)
        server = LocalServer(app)
        sockets = [bound]
        if self._settings.local.http_port:
            sockets.append(loopback_socket(self._settings.local.http_port))
        async with self._local_coap(), asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets))
            tasks = [
                group.create_task(work)
                for work in (
                    self._link.run(),
                    deliver(self._outbox, self._link),
                    self._updater.run(),
                    self._prove_trial(),
                    self._watcher.run(),
                    self._service.keep_watchdog_quiet(),
                )
            ]
            self._service.ready()
            _log.info("agent %s runs, device %s", self._version, self._profile.uuid)
            await self._ended.wait()
            self._service.stopping()
            server.should_exit = True
            for task in tasks:
                task.cancel()
            await serving
        for extra in sockets[1:]:
            extra.close()

    @contextlib.asynccontextmanager
    async def _local_coap(self) -> AsyncIterator[None]:
        port = self._settings.local.coap_port
        if not port:
            yield
            return

        async def handle(method: str, path: tuple[str, ...], payload: bytes) -> Reply:
            return await serve(self._dispatch, method, path, payload)

        server = await DatagramServer.create(handle, "127.0.0.1", port)
        try:
            yield
        finally:
            await server.shutdown()

    async def status(self) -> Mapping[str, object]:
        """Describe the agent for ``story-agent status``; no secret is in it."""
        try:
            waiting: int | str = await self._outbox.depth()
        except OutboxError as error:
            waiting = str(error)
        return {
            "version": self._version,
            "code": str(running_release().folder),
            "uuid": self._profile.uuid,
            "link": self._link.status.to_json(self._link.server),
            "outbox": {"waiting": waiting, "dropped": self._outbox.dropped},
            "update": self._updater.status(),
            "play": await self._play_status(),
            "resources": {name: point.back_end for name, point in self._dispatch.points.items()},
        }

    async def _play_status(self) -> Mapping[str, object]:
        point = self._dispatch.points["play"]
        if not isinstance(point, PlayPoint):
            return {}
        return {"title": await point.get() or None, "seconds": await point.position()}

    async def _introduce(self) -> None:
        """Queue who we are and what runs, as after every start."""
        network = await asyncio.to_thread(netinfo.read_network)
        device = DeviceInfo(
            uuid=self._profile.uuid,
            bind_token=self._profile.bind_token,
            firmware_version=self._version,
            network_type=network.type,
            mac=network.mac,
            ip=network.ip,
            ssid="",
            hostname=socket.gethostname(),
        )
        package = PackageInfo(
            product=self._settings.ota.product,
            batch=self._settings.ota.batch,
            os_name="story-agent",
            developer="story-agent",
            version=self._version,
        )
        await self._report_value(KEY_DEVICE_INFO, device.to_json())
        await self._report_value(KEY_PACKAGE_INFO, package.to_json())

    async def _value_was_put(self, name: str, value: Value) -> None:
        self._watcher.told(name, value)
        await self._report_value(name, value)

    async def _report_value(self, name: str, value: Value | Mapping[str, object]) -> None:
        """Queue a report; a full disk must not undo what was done, nor keep the agent from starting."""
        try:
            await self._outbox.put(name, value)
        except OutboxError as error:
            _log.error("%s is not reported: %s", name, error)

    async def _report_update(
        self, key: str, value: Mapping[str, object], *, once: str | None = None
    ) -> None:
        try:
            await self._outbox.put(key, value, once=once)
        except OutboxError as error:
            # The updater knows what a disk that fails means for the step it is in.
            raise OSError(str(error)) from error

    def _build_updater(self) -> Updater:
        settings = self._settings.ota
        repository = settings.repository or self._profile.configures.get("otaRepository", "")
        return Updater(
            UpdaterSettings(
                product=settings.product,
                repository=str(repository),
                root_file=self._state / settings.root_file,
                state_dir=self._state,
                confirm_timeout=settings.confirm_timeout_seconds,
                installer=settings.installer,
                delta=settings.delta,
                download=DownloadSettings(max_rate=settings.max_bytes_per_second),
            ),
            self._build_installer(),
            self._report_update,
            self._request_restart,
            self._version,
            hooks=Hooks(
                clock=self._clock,
                log_lines=lambda: read_lines(trial_log_path(self._state)),
            ),
        )

    def _build_installer(self) -> Installer:
        if self._settings.ota.installer is InstallerKind.RAUC:
            return RaucInstaller(self._state, self._version)
        return SlotInstaller(self._state)

    async def _prove_trial(self) -> None:
        """Confirm a new version once it has shown that it works; the updater watches the time."""
        if not self._updater.on_trial:
            return
        await wait_until_proven(self._link.registered, self._state / SOCKET_NAME)
        while self._updater.on_trial:
            try:
                await self._updater.confirm()
            except OSError as error:
                _log.error("the new version cannot be confirmed: %s", error)
                await asyncio.sleep(1.0)

    def _request_restart(self) -> None:
        self.restart_wanted = self._settings.ota.installer is InstallerKind.SLOTS
        self._farewell = asyncio.create_task(self._end_when_told())

    async def _end_when_told(self) -> None:
        """End once the cloud has heard all reports, or soon: they survive the restart anyway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._outbox.emptied.wait()
        if self._settings.ota.installer is InstallerKind.RAUC:
            await self._reboot()
        self._ended.set()

    @staticmethod
    async def _reboot() -> None:
        """Restart the machine; if it will not, the agent's own next start gives the update up."""
        try:
            await reboot_machine()
            await asyncio.sleep(REBOOT_SECONDS)  # SIGTERM ends us before that
        except OSError as error:
            _log.error("the machine cannot be restarted for the update: %s", error)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


@contextlib.contextmanager
def state_lock(state: Path) -> Iterator[None]:
    """Hold the state folder for this process; raises AgentBusyError when another has it."""
    descriptor = os.open(state / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise AgentBusyError(f"another agent runs on the state folder {state}") from error
    try:
        yield
    finally:
        os.close(descriptor)
