"""The agent itself: creates and connects all parts, and starts and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.contain import Containment
from agent.event_journal import EventJournal
from agent.family import FamilyRoom
from agent.link.build import build_link
from agent.link.delivery import deliver
from agent.link.outbox import Outbox, OutboxError
from agent.local.changes import Changes
from agent.local.doors import Doors, Rooms
from agent.local.sockets import unix_socket
from agent.logs import add_secret
from agent.points import build_points, times_of
from agent.product_points import LEFT_OUT, product_points
from agent.routes import cloud_handler
from agent.settings import Settings
from agent.state import socket_to_bind, state_lock
from agent.systemd import ServiceManager
from agent.updates.glue import Updates
from agent.vitals import Vitals
from agent.voice.cloud import cloud_routes
from agent.voice.ears import Ears, build_ears
from agent.voice.hands import build_buttons
from agent.voice.sender import VoiceSender
from agent.watch import Watcher
from base.clock import TrustedTime, boot_id
from machine.network import read_network
from ota.launch.running import running_release, sbom_digests
from resources.dispatch import Dispatch
from resources.playing.told import describe
from resources.points.play import PlayPoint
from wire.abilities import DEVICE_READS, DIAG_PATH, LISTEN, UTTERANCE_TIMES
from wire.codes import Code
from wire.datapoints import Method, Value
from wire.exchange import Answer, Handler, Request
from wire.family import FAMILY_PATH, Why
from wire.profile import Profile
from wire.reports import (
    KEY_DEVICE_INFO,
    KEY_PACKAGE_INFO,
    KEY_TROUBLE,
    DeviceInfo,
    PackageInfo,
    Sboms,
)
from wire.support import SUPPORT_END
from wire.utterance_times import FAULT, KEY_UTTERANCE_TIMES, NO_UTTERANCE, UtteranceTimes

if TYPE_CHECKING:
    from agent.diag.desk import DiagDesk
    from agent.local.clients import Clients
    from agent.local.page.routes import DevicePage
    from agent.local.server import LocalServer
    from agent.voice.sender import Utterance
    from agent.voice.session import Session

Work = Callable[[], Awaitable[None]]
"""What goes on in the background, until it is cancelled."""

_log = logging.getLogger(__name__)


class Agent:
    """One device's agent; call `run` once."""

    def __init__(
        self,
        profile: Profile,
        settings: Settings,
        state: Path,
        version: str,
        fault: str | None = None,
        read_settings: Callable[[], Settings] | None = None,
    ) -> None:
        """Create the agent; nothing is opened before `run`.

        Args:
            profile: the device's profile.
            settings: the operator's settings.
            state: the folder for everything that the agent stores.
            version: the running version.
            fault: why ``state`` is in memory, if it is.
            read_settings: reads the settings again at SIGHUP; None: SIGHUP does nothing.
        """
        self._profile = profile
        self._settings = settings
        self._state = state
        self._version = version
        self._ended = asyncio.Event()
        self.restart_wanted = False
        self.trouble = self._lost = fault
        """Why the state folder takes nothing, as found at the start."""
        self._contained = Containment()
        self._changes = Changes()
        self._clients = _clients_of(settings, state)
        self._watcher: Watcher | None = None
        self._clock = TrustedTime(state / "ota" / "time.json", running_release().built)
        self._family = FamilyRoom(profile, state, self._clock.now, add_secret)
        self._ears: Ears | None = None
        self._page: DevicePage | None = None
        self._page_lock = threading.Lock()
        self._left_out: dict[str, str] = {}
        self._telling: set[asyncio.Task[Any]] = set()
        self._journal = EventJournal(state, self._clock.now)
        self._service = ServiceManager()
        self.diag_words: Sequence[str] = ()
        """The options by which ``story-agent diag`` finds this machine's files."""
        self._desk: DiagDesk | None = None
        self._read_settings = read_settings
        self._vitals = Vitals(self._vital_status, self._service.notify)
        self._outbox = Outbox(
            state / "outbox.sqlite", settings.outbox.max_bytes, now=self._clock.now
        )

    async def run(self) -> None:
        """Run until SIGTERM, SIGINT or a restart for an update.

        Raises:
            AgentBusyError, LocalAccessError, TransportError, OSError: the agent cannot start.
        """
        with state_lock(self._state) as fault, self._signals():
            await self._open_outbox(fault)
            self._journal.note("start", version=self._version, boot=boot_id()[:8])
            try:
                await self._start()
            finally:
                self._journal.note("end", restart=self.restart_wanted)
                await self._journal.close()
                await self._outbox.close()

    async def _open_outbox(self, fault: str | None) -> None:
        """Open the outbox; say once, in the log and to the cloud, what a card does not take."""
        refused = await self._outbox.open()
        kept_not = self.trouble or refused
        self.trouble = self.trouble or fault or refused
        if self.trouble is None:
            return
        works = "the machine works" + (", and keeps no report over a restart" if kept_not else "")
        text = f"{self.trouble}: {works}"
        _log.error("%s; check the card, its free space, and who owns the folder", text)
        await self._report_value(KEY_TROUBLE, {"part": "state", "text": text})

    async def _start(self) -> None:
        points = await build_points(self._settings, self._state, self._report_noted, self._clock)
        added = product_points([point.description.name for point in points])
        self._left_out = {f"{LEFT_OUT}{name}": why for name, why in added.faults.items()}
        self._dispatch = Dispatch([*points, *added.points], self._report_put)
        self._dispatch.on_order = self._journal.note_order
        self._updates = Updates(
            self._profile, self._settings, self._state, self._version,
            clock=self._clock, outbox=self._outbox, play=self._dispatch.points["play"],
            end=self._end_for_update,
        )  # fmt: skip
        self._updater, self._updates.lost = self._updates.updater, self._lost
        self._times = times_of(points, self._is_needed)
        others: dict[tuple[str, ...], Handler] = {
            FAMILY_PATH: self._family.handle, DIAG_PATH: self._diagnose,
        }  # fmt: skip
        noted = functools.partial(self._journal.noting, self._updater.status)
        handler = cloud_handler(
            self._dispatch,
            noted("update", self._updates.take_order),
            noted("cancel", self._updates.cancel),
            others,
        )
        remote = self._settings.voice.remote_listen
        self._reads = DEVICE_READS | ({LISTEN} if remote else frozenset())
        self._link = build_link(
            self._profile, self._settings.link, handler, self._clock, self._reads,
            lambda: self._updater.on_trial,
        )  # fmt: skip
        self._link.on_change = self._journal.note_link
        self._voice = VoiceSender(self._link, self._settings.voice)
        self._voice.on_sent = self._note_file
        self._family.forget = self._forget_heard
        self._ears = build_ears(
            self._link, self._settings.voice, self._voice.next_id, self._dispatch.points,
            self._settings.light,
        )  # fmt: skip
        self._buttons = build_buttons(
            self._settings.buttons, self._ears, self._dispatch, self._link.registered,
            self._reset,
        )  # fmt: skip
        if self._buttons is not None:
            self._buttons.on_press = lambda key: self._journal.note("button", key=str(key))
        if self._ears is not None:
            self._ears.on_ended = self._note_listening
            others.update(cloud_routes(self._ears, remote=remote))
        for name, point in self._dispatch.points.items():
            _log.info("%s: %s", name, point.back_end)
        try:
            await self._queue_start_reports()
            with unix_socket(socket_to_bind(self._state)) as bound:
                await self._work(bound)
        finally:
            if self._ears is not None:
                await self._ears.close()
            if self._desk is not None:
                await self._desk.close()
            await self._family.close()
            await self._dispatch.close()

    async def _diagnose(self, request: Request) -> Answer:
        """Serve ``/diag`` of the cloud."""
        if self._desk is None:
            from agent.diag.desk import DiagDesk  # noqa: PLC0415  # few machines are ever asked

            self._desk = DiagDesk(self.diag_words)
        return await self._desk.handle(request)

    def _is_needed(self) -> bool:
        """Return whether the machine may not power off for want of use."""
        return self._updater.busy or (self._ears is not None and self._ears.listens)

    async def _work(self, bound: socket.socket) -> None:
        """Run all tasks concurrently; if one fails, all end."""
        self._watcher = Watcher(self._dispatch, self._report_value)
        rooms = Rooms(
            self._make_local_server, self._dispatch.handle_local,
            lambda: self._dispatch.points, self._changes, self._clients,
        )  # fmt: skip
        doors = Doors(self._settings.local, self._state, rooms, self._contained, bound)
        async with asyncio.TaskGroup() as group:
            await doors.open(group)
            tasks = [
                group.create_task(work)
                for work in (
                    self._updater.run(),
                    self._updates.confirm_when_healthy(self._link),
                    self._service.feed_watchdog(),
                    *(self._contained.run(*each) for each in self._background().items()),
                )
            ]
            self._service.ready()
            # What the start has created stays: `agent.cli` has kept the collector off it so far.
            gc.freeze()
            gc.enable()
            _log.info(
                "agent %s started, device %s", self._version, self._profile.uuid,
                extra={"event": "started"},
            )  # fmt: skip
            await self._ended.wait()
            self._service.stopping()
            if self._ears is not None:
                await self._ears.close()  # whoever waits for the end of listening has it now
            for task in tasks:
                task.cancel()
            await doors.close()

    def _background(self) -> dict[str, Work]:
        """Return the work that is begun again when it fails; what proves a new version is not of it."""
        works: dict[str, Work] = {
            "link": self._link.run,
            "reports": functools.partial(deliver, self._outbox, self._link),
            "outbox": self._outbox.tend,
            "journal": self._journal.run,
            "family": functools.partial(self._family.run, self._link),
            "vitals": self._vitals.run,
            **{name: point.run for name, point in self._dispatch.points.items()},
        }
        if self._watcher is not None:
            works["watcher"] = self._watcher.run
        if self._buttons is not None:
            works["buttons"] = self._buttons.run
        if self._ears is not None and self._settings.wake.on:
            works["wake"] = self._listen_for_word
        return works

    def _make_local_server(
        self, token: str = "", tls: tuple[Path, Path] | None = None
    ) -> LocalServer:
        from agent.local.http import build_app  # noqa: PLC0415  # see agent.local.sockets
        from agent.local.lan_routes import lan_routes  # noqa: PLC0415
        from agent.local.ledger import ledger_routes  # noqa: PLC0415
        from agent.local.listen import listen_routes  # noqa: PLC0415
        from agent.local.metrics import metrics_routes  # noqa: PLC0415
        from agent.local.server import LocalServer  # noqa: PLC0415
        from agent.local.wake import wake_routes  # noqa: PLC0415

        ears = self._ears
        others = lan_routes(self._clients, self._settings.local)
        others += self._device_page().routes(token)
        others += ledger_routes(self._family)
        others += metrics_routes(self.status, self._vitals.counts, self._read_point)
        if ears is not None:
            others += [*listen_routes(ears), *wake_routes(ears)]
        return LocalServer(
            build_app(
                self._dispatch, self._voice, self.status, self._updates.cancel, others, token
            ),
            tls,
        )  # fmt: skip

    def _device_page(self) -> DevicePage:
        """Return the page, one for all ports; they are made in threads, when somebody connects."""
        from agent.local.page.routes import DevicePage  # noqa: PLC0415  # see agent.local.sockets

        with self._page_lock:
            if self._page is None:
                self._page = DevicePage(
                    self._dispatch, self.status, self._family, self._state, self._clock.now
                )
            return self._page

    async def _read_point(self, name: str) -> str | None:
        answer = await self._dispatch.request(Method.GET, name)
        return answer.text if answer.code is Code.CONTENT else None

    async def _listen_for_word(self) -> None:
        """Listen for the wake word: off by default, and then nothing of it is imported."""
        from agent.voice.wake_build import build_wake  # noqa: PLC0415  # few machines

        settings, points = self._settings, self._dispatch.points
        assert self._ears is not None  # noqa: S101  # for mypy: see `_background`
        await build_wake(self._ears, settings.wake, settings.voice, self._state, points).run()

    async def _vital_status(self) -> Mapping[str, object]:
        """Return the part of the status that is looked at every few seconds; it reads no file."""
        return {
            "link": self._link.status.to_json(),
            "trouble": self.trouble,
            "update": self._updater.status(),
            "play": {"state": self._play_state()},
        }

    def _play_state(self) -> str | None:
        point = self._dispatch.points["play"]
        return point.teller.state.value if isinstance(point, PlayPoint) else None

    async def status(self) -> Mapping[str, object]:
        """Return the agent's status for ``story-agent status``; it contains no secrets."""
        from agent.first.import_note import load_note  # noqa: PLC0415  # no start needs it

        return {
            **await self._vital_status(),
            "version": self._version,
            "code": str(running_release().folder),
            "uuid": self._profile.uuid,
            "outbox": self._outbox.status(),
            "import": load_note(self._state),
            "faults": {**self._left_out, **self._contained.faults},
            "home_network": None if self._clients is None else self._clients.status(),
            "play": await self._play_status(),
            "listening": None if self._ears is None else self._ears.status(),
            "buttons": None if self._buttons is None else self._buttons.status(),
            "sounds": self._sounds_state(),
            "times": self._times.status() if self._times is not None else {},
            "resources": {name: point.back_end for name, point in self._dispatch.points.items()},
        }

    def _sounds_state(self) -> str | None:
        point = self._dispatch.points["play"]
        if not isinstance(point, PlayPoint) or point.voice is None:
            return None
        return point.voice.state

    async def _play_status(self) -> Mapping[str, object]:
        point = self._dispatch.points["play"]
        if not isinstance(point, PlayPoint):
            return {}
        told = describe(await point.teller.snapshot())
        return {
            **told,
            "title": await point.get() or None,
            "seconds": told["position"],
            "mode": point.teller.mode.value,
            "skipped": point.teller.skipped,
        }

    async def _queue_start_reports(self) -> None:
        """Queue the reports of each start: ``device_info`` and ``package_info``."""
        network = await asyncio.to_thread(read_network)
        sboms = Sboms(*await asyncio.to_thread(sbom_digests))
        device = DeviceInfo(
            uuid=self._profile.uuid,
            bind_token=self._family.bind_token.profile.bind_token,
            firmware_version=self._version,
            network_type=network.type,
            mac=network.mac,
            ip=network.ip,
            ssid="",
            hostname=socket.gethostname(),
            reads=self._reads,
        )
        package = PackageInfo(
            product=self._settings.ota.product,
            batch=self._settings.ota.batch,
            os_name="story-agent",
            developer="story-agent",
            version=self._version,
            sboms=sboms,
            support_end=self._settings.ota.support_end or SUPPORT_END,
        )
        await self._report_value(KEY_DEVICE_INFO, device.to_json())
        await self._report_value(KEY_PACKAGE_INFO, package.to_json())

    def _note_listening(self, session: Session) -> None:
        """Count how an utterance went, and report it to a cloud that reads that."""
        self._vitals.counts.utterances[str(session.end)] += 1
        self._journal.note("listened", end=str(session.end), why=str(session.why))
        self._family.note_session(session)
        if session.id is not None or session.end == FAULT:
            number = NO_UTTERANCE if session.id is None else session.id
            self._tell_times(UtteranceTimes(number, session.end, session.times, session.why))

    def _note_file(self, sent: Utterance) -> None:
        self._family.note_file(sent)
        self._tell_times(UtteranceTimes(sent.id, "sent" if sent.whole else "lost", {}, Why.FILE))

    def _tell_times(self, times: UtteranceTimes) -> None:
        if UTTERANCE_TIMES not in self._link.cloud_abilities:
            return
        task = asyncio.create_task(self._report_value(KEY_UTTERANCE_TIMES, times.to_json()))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _forget_heard(self) -> None:
        """Stop, and forget where stories were left: they are a family's that has gone."""
        for order in (b"stop", b'{"forget": true}'):
            await self._dispatch.handle(Request("PUT", ("play",), payload=order))

    async def _report_put(self, name: str, value: Value) -> None:
        """Report a value that a request has set, which is the answer to whoever has just spoken."""
        if self._ears is not None:
            self._ears.note_order()
        if self._times is not None:
            self._times.ordered(name)
        await self._report_noted(name, value)

    async def _report_noted(self, name: str, value: Value) -> None:
        """Report a value that a request or a part has changed; the watcher need not repeat it."""
        if self._watcher is not None:
            self._watcher.note_reported(name, value)
        await self._report_value(name, value)

    async def _report_value(self, name: str, value: Value | Mapping[str, object]) -> None:
        """Queue a report; on a disk that takes nothing it waits in memory."""
        self._changes.note(name)
        self._journal.note("report", key=name)
        with contextlib.suppress(OutboxError):  # the agent ends
            await self._outbox.put(name, value)

    async def _reset(self) -> None:
        """Let the next start, which is at once, erase what the family has left; the machine stays who it is."""
        from agent.first.reset import Wish, store_wish  # noqa: PLC0415  # once in a machine's life

        await asyncio.to_thread(store_wish, self._state, Wish(keep_profile=True))
        self._end_for_update(restart=True)

    def _end_for_update(self, *, restart: bool) -> None:
        if not self._ended.is_set():  # after SIGTERM or SIGINT the agent must not restart
            self.restart_wanted = restart
        self._ended.set()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            # A terminal that closes while the agent ends would kill it.
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _reload(self) -> None:
        if self._read_settings is None:
            return
        from agent.reload import reload  # noqa: PLC0415  # few machines are ever reloaded

        task = asyncio.create_task(reload(self._settings, self._read_settings))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)


def _clients_of(settings: Settings, state: Path) -> Clients | None:
    """Return the clients on the home network, None where they are not served."""
    if not settings.local.oscore_port:
        return None
    from agent.local.clients import Clients  # noqa: PLC0415  # few machines

    return Clients(state)
