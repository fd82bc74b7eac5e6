"""The device gateway: framed CoAP over TLS, one session per device (device protocol, "Link").

A device connects, registers within a deadline, then sends reports and answers requests. This module
handles connections, registration and reports; `session` sends requests to a device, `control` and
`orders` have what is sent, `reports` interprets what arrives, and `store` stores it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from staging.crowd import DoorLimits
from staging.doorman import Settle
from staging.errors import StoreBusyError
from staging.gateway import twins
from staging.gateway.bounds import DAY_BYTES, Quota, come_again
from staging.gateway.control import Control
from staging.gateway.control_history import ControlHistory
from staging.gateway.diversions import Diversions
from staging.gateway.family import FamilyDesk
from staging.gateway.greeting import Greeter
from staging.gateway.handshakes import TlsServer
from staging.gateway.intake import Intake
from staging.gateway.orders import Orders
from staging.gateway.presence import Presence
from staging.gateway.registrations import Registrations
from staging.gateway.renewals import Renewals
from staging.gateway.reports import decide_all, is_light
from staging.gateway.rollouts import Rollouts
from staging.gateway.session import Endpoint, Peer, Session, Sessions
from staging.gateway.silent import Pace, SilentUpdates
from staging.gateway.taps import Taps
from staging.gateway.twins import Twins
from staging.store import Database, devices
from staging.store.effects import AbilitiesSeen, Applied, Effect, EraseSeen, Heartbeat
from staging.store.models import OtaTask
from staging.times import Clock, now_ms
from transport.connection import Connection
from transport.framed import FramedEndpoint
from wire.abilities import CLOUD_READS, DEADLINE, Abilities
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer, Request
from wire.numbered import parse_reports, refusals_payload
from wire.reports import (
    KEEPALIVE_SECONDS,
    REGISTER_PATH,
    REPORT_PATH,
    alive_answer,
    parse_registration,
    parse_report_query,
    registration_answer,
)

# A 2017 module needs 2-4 s for an RSA handshake; the timeout leaves time for a retry.
HANDSHAKE_TIMEOUT = 10.0
REGISTRATION_DEADLINE = 10.0  # A device registers with its first message.
# How long an app waits for a device's answer; mobile networks stall for several seconds.
CONTROL_DEADLINE = 10.0
# By then two keepalives are missing, the second one by half an interval.
IDLE_TIMEOUT = 2.5 * KEEPALIVE_SECONDS
# How long a clean close of a connection may take; the server must stop within 5 s.
STOP_TIMEOUT = 1.0
CONNECTION_LIMIT = 5000
# Reports are small; a peer must not fill our memory by block-wise transfer.
PAYLOAD_LIMIT = 64 * 1024
# Why a connection ends when its device registers on another one.
REPLACED = "replaced by a newer connection of the same device"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """The gateway's deadlines in seconds, its maximum number of connections, and a device's share."""

    handshake: float = HANDSHAKE_TIMEOUT
    registration: float = REGISTRATION_DEADLINE
    control: float = CONTROL_DEADLINE
    idle: float = IDLE_TIMEOUT
    door: DoorLimits = field(default_factory=lambda: DoorLimits(CONNECTION_LIMIT))
    day_bytes: int = DAY_BYTES
    """Bytes of reports that a device may send in a day; 0: no limit."""


class Gateway:
    """Holds the devices' connections; the open API controls devices through it."""

    def __init__(
        self,
        database: Database,
        *,
        api_url: Callable[[], str],
        limits: Limits = Limits(),  # frozen
        clock: Clock = now_ms,
        pace: Pace = Pace(),  # noqa: B008  # frozen
        owns: Callable[[str], bool] = lambda _uuid: True,
        registrations: Registrations | None = None,
        taps: Taps | None = None,
    ) -> None:
        """Create a gateway; ``api_url`` returns the base URL from which devices fetch packages.

        ``sessions`` has the registered devices. ``owns(uuid)`` says whether this gateway orders
        what nobody asked it for; of several workers, one may. ``taps`` look at the connections.
        """
        self._taps = taps or Taps()
        self._database = database
        self._limits = limits
        self._clock = clock
        self.sessions = Sessions()
        self.diversions = Diversions(self.sessions)
        self._connections: dict[Connection, asyncio.Task[Any]] = {}
        self._others: dict[Peer, Endpoint] = {}
        self._owns = owns
        self._endpoint: FramedEndpoint | None = None
        self._listener: socket.socket | None = None
        self._handshakes: TlsServer | None = None
        # What gives the place free that a connection has until it registers.
        self._settles: dict[Connection, Settle] = {}
        self._registrations = registrations or Registrations()
        self._history = ControlHistory(database)
        self._presence = Presence(database)
        self.sessions.changed = self._note_presence
        self._intake = Intake(database, self._presence, self._history, clock)
        self._control = Control(database, self.sessions, self._history, clock)
        self._orders = Orders(
            database, self.sessions, clock, api_url=api_url, changed=self._changed, owns=owns,
            look_seconds=pace.again,
        )  # fmt: skip
        self._greeter = Greeter(self._intake, self._orders, self._changed)
        self._silent = SilentUpdates(
            database,
            clock,
            online=lambda: [uuid for uuid in self.sessions.by_uuid if owns(uuid)],
            send=self._send_owned,
            pace=pace,
        )
        self._rollouts = Rollouts(database, clock, owns, self._orders.cancel, pace.look)
        self.family = FamilyDesk(database, self.sessions, clock, changed=self._changed, owns=owns)
        """What devices are told about their families."""
        self.erase_rest: Callable[[], Awaitable[bool]] = _nothing_to_erase
        """Erases what orders left to be done; returns whether all is done. Set by the server."""
        self._renewals = Renewals(database, self.sessions, self._cut)
        self.twins = Twins(database, clock, self._changed)
        """Which devices are two machines."""
        self._quota = Quota(limits.day_bytes)
        self._work: list[asyncio.Task[None]] = []
        self._watchers: list[Callable[[str], None]] = []
        self._listeners: list[Callable[[str, Sequence[Effect]], None]] = [self._silent.note_report]

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Call ``watcher(uuid)`` after each change of a device's state.

        It is called in the event loop and must not block.
        """
        self._watchers.append(watcher)

    def listen(self, listener: Callable[[str, Sequence[Effect]], None]) -> None:
        """Call ``listener(uuid, effects)`` after each committed report.

        It is called in the event loop and must not block.
        """
        self._listeners.append(listener)

    def _changed(self, uuid: str) -> None:
        for watcher in self._watchers:
            watcher(uuid)

    async def start(self, context: ssl.SSLContext, listener: socket.socket) -> int:
        """Start accepting on a listening socket, which `stop` closes. Returns its port."""
        self._endpoint = await FramedEndpoint.create()
        self._handshakes = TlsServer(
            self._carry,
            context,
            handshake_seconds=self._limits.handshake,
            shutdown_seconds=STOP_TIMEOUT,
            limits=self._limits.door,
            dress=self._taps.dress,
            diversions=self.diversions,
        )
        self._listener = listener
        self._handshakes.start(listener)
        self.start_work()
        return int(listener.getsockname()[1])

    def start_work(self) -> None:
        """Start the work in the background; `start` does it too. A worker has no port for devices."""
        create = asyncio.get_running_loop().create_task
        works = (
            self._history.keep_saving(),
            self._presence.keep_saving(),
            self._orders.run(),
            self._silent.run(),
            self._rollouts.run(),
            self.family.run(),
            self._renewals.run(),
            self.twins.run(),
        )
        self._work = [create(work) for work in works]

    async def stop(self) -> None:
        """Close the port and every connection, and cancel the work in progress."""
        if self._handshakes is not None:
            self._handshakes.close()
        if self._listener is not None:
            self._listener.close()
        for task in self._work:
            task.cancel()
        for result in await asyncio.gather(*self._work, return_exceptions=True):
            if isinstance(result, Exception):
                _log.error("a background task of the gateway failed", exc_info=result)
        carriers = dict(self._connections)
        if self._endpoint is not None:
            await self._endpoint.shutdown()
        # A TLS close waits for the peer; the connection is cut if the peer does not answer.
        closing = (connection.wait_closed(STOP_TIMEOUT) for connection in carriers)
        await asyncio.gather(*closing)
        if carriers:
            await asyncio.wait(carriers.values(), timeout=STOP_TIMEOUT)
        await self._history.save()
        await self._presence.save()
        await self.twins.save()

    async def save_heard(self) -> None:
        """Wait until the store has when devices were heard last, if it takes that now."""
        await self._presence.save()

    async def save_controlled(self) -> None:
        """Wait until the values that control requests read and set are in the history."""
        await self._history.save()

    def is_online(self, uuid: str) -> bool:
        """Return whether the device has a registered connection."""
        return self.sessions.find(uuid) is not None

    def has_twin(self, uuid: str) -> bool:
        """Return whether two machines use the device's identity."""
        return self.twins.suspects(uuid)

    async def control(
        self, uuid: str, name: str, method: str, value: str | None
    ) -> tuple[str, str]:
        """Read or set a data point of a device, as `Control.send` does."""
        return await self._control.send(uuid, name, method, value)

    async def cancel_update(self, uuid: str) -> OtaTask:
        """Cancel a device's update, as `Orders.cancel` does."""
        return await self._orders.cancel(uuid)

    def send_pending_order(self, uuid: str) -> None:
        """Start to send a device's pending order; it stays pending while the device is offline."""
        self._orders.send_pending(uuid)

    def _send_owned(self, uuid: str) -> None:
        if self._owns(uuid):
            self.send_pending_order(uuid)

    # Devices behind a broker (`staging.broker.gate`), which have no connection here.

    def join(self, peer: Peer, endpoint: Endpoint) -> None:
        """Let ``peer`` register by `serve`; requests to it go through ``endpoint``."""
        self._others[peer] = endpoint

    def know(self, identity: devices.Identity, peer: Peer, endpoint: Endpoint) -> Session:
        """Return a session for a device that registered with another worker, which greeted it."""
        self.join(peer, endpoint)
        session = self._session(identity, peer, endpoint)
        previous = self.sessions.add(session)
        if previous is not None:
            previous.connection.close("replaced by a newer registration of the same device")
        self._changed(identity.uuid)
        return session

    async def serve(self, peer: Peer, request: Request) -> Answer:
        """Answer a request of a peer that has joined."""
        return await self._handle(peer, request)

    def leave(self, peer: Peer, reason: str) -> None:
        """Forget a peer that is gone."""
        self._others.pop(peer, None)
        peer.close(reason)
        self._forget(peer, reason)

    def _cut(self, session: Session, reason: str) -> None:
        """End a device's connection, as of one whose credentials were taken back."""
        if session.connection in self._others:
            self.leave(session.connection, reason)
        else:
            session.connection.close(reason)

    def note_change(self, uuid: str) -> None:
        """Tell the watchers what another worker has changed."""
        self._changed(uuid)

    def _endpoint_of(self, connection: Peer) -> Endpoint | None:
        """Return what reaches a connection, None after its end."""
        if connection in self._connections:
            return self._endpoint
        return self._others.get(connection)

    # Connections.

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settle: Settle
    ) -> None:
        connection = Connection(reader, writer)
        if self._endpoint is None:
            connection.close("the cloud stops")
            return
        task = asyncio.current_task()
        if task is None:  # asyncio runs this callback as a task
            raise RuntimeError("a connection is carried outside a task")
        self._connections[connection] = task
        self._settles[connection] = settle
        self._taps.opened(connection)
        limit = self._limits.registration
        watchdog = asyncio.get_running_loop().call_later(
            limit, self._check_registered, connection, f"did not register within {limit:g} s"
        )
        reason = "the cloud stopped"
        try:
            handler = functools.partial(self._handle, connection)
            reason = await self._endpoint.serve(connection, handler, idle_timeout=self._limits.idle)
            _log.info("%s: connection ended: %s", self._name(connection), reason)
            self._taps.ended(connection, reason)
            session = self.sessions.on(connection)
            if reason == REPLACED and connection.closed_by_both and session is not None:
                self.twins.note(session.identity.uuid)
        finally:
            watchdog.cancel()
            del self._connections[connection]
            self._settles.pop(connection, None)
            self._forget(connection, reason)

    def _check_registered(self, connection: Peer, reason: str) -> None:
        if self.sessions.on(connection) is None:
            connection.close(reason)

    def _name(self, connection: Peer) -> str:
        session = self.sessions.on(connection)
        return f"device {session.identity.uuid}" if session else repr(connection)

    def _forget(self, connection: Peer, reason: str = "") -> None:
        uuid = self.sessions.remove(connection, reason)
        if uuid is not None:
            self._changed(uuid)

    def _note_presence(self, session: Session, /, *, online: bool, reason: str) -> None:
        # Of several workers each knows who is there, and one tells.
        identity = session.identity
        if self._owns(identity.uuid):
            self._presence.change(identity.id, self._clock(), online=online, reason=reason)

    # Requests from devices.

    async def _handle(self, connection: Peer, request: Request) -> Answer:
        try:
            return await self._answer(connection, request)
        except WireError as error:
            _log.warning("%s: %s refused: %s", self._name(connection), request.method, error)
            return Answer(Code.BAD_REQUEST, str(error).encode())
        except StoreBusyError as error:
            # The report is not accepted, so the device's outbox keeps it and retries. The store has told.
            _log.debug("%s: %s refused: %s", self._name(connection), request.method, error)
            return self._not_now()
        except SQLAlchemyError as error:
            _log.error("%s: %s failed: %s", self._name(connection), request.method, error)
            return self._not_now()

    def _not_now(self) -> Answer:
        again = come_again(len(self.sessions.by_uuid))
        return Answer(Code.SERVICE_UNAVAILABLE, b"the store cannot take this now", again)

    async def _answer(self, connection: Peer, request: Request) -> Answer:
        if len(request.payload) > PAYLOAD_LIMIT:
            return Answer(Code.TOO_LARGE, f"expected at most {PAYLOAD_LIMIT} bytes".encode())
        if request.path == REGISTER_PATH and request.method == "POST":
            return await self._register(connection, request)
        session = self.sessions.on(connection)
        if session is None:
            return Answer(Code.UNAUTHORIZED, b"not registered")
        if request.path != REPORT_PATH:
            return Answer(Code.NOT_FOUND, b"no such resource")
        if request.method != "POST":
            return Answer(Code.METHOD_NOT_ALLOWED, b"expected POST")
        return await self._report(session, request)

    async def _register(self, connection: Peer, request: Request) -> Answer:
        credentials = parse_registration(request.payload)
        row = self._database.find(devices.IDENTITY, uuid=credentials.uuid.lower())
        identity = await self._registrations.judge(connection, credentials, row)
        if isinstance(identity, Answer):
            return identity
        if isinstance(connection, Connection):
            self._taps.claimed(identity.uuid, connection)
        if await self._is_taken(identity.uuid, connection):
            return Answer(Code.CONFLICT, twins.TEXT.encode())
        await self._presence.register(identity, self._clock())
        endpoint = self._endpoint_of(connection)
        if endpoint is None:
            return Answer(Code.SERVICE_UNAVAILABLE, b"the connection ended")
        session = self._session(identity, connection, endpoint)
        self._admit(session)
        return Answer(Code.CONTENT, registration_answer(session.now_ms(), CLOUD_READS))

    def _session(self, identity: devices.Identity, peer: Peer, endpoint: Endpoint) -> Session:
        told = self._clock() + self._taps.told_time_ms(identity.uuid)
        return Session(identity, peer, endpoint, self._limits.control, registered_ms=told)

    async def _is_taken(self, uuid: str, connection: Peer) -> bool:
        """Return whether another machine is there with an identity that two machines use."""
        present = self.sessions.find(uuid)
        if present is None or present.connection is connection:
            return False
        if self._endpoint is None or not isinstance(present.connection, Connection):
            return False  # a broker lets one of them in at a time
        if not await self.twins.knows(uuid):
            return False
        if not await self._endpoint.answers(present.connection):
            return False  # the machine's own connection of before, which is dead
        self.twins.note(uuid)
        return True

    def _admit(self, session: Session) -> None:
        identity, connection = session.identity, session.connection
        self._forget(connection)
        if isinstance(connection, Connection) and (settle := self._settles.pop(connection, None)):
            settle()
        previous = self.sessions.add(session)
        if previous is not None:
            previous.connection.close(REPLACED)
        _log.info("device %s: registered from %r", identity.uuid, connection)
        self._changed(identity.uuid)
        self._silent.consider(identity.uuid)
        session.spawn(self._greeter.greet(session))

    async def _report(self, session: Session, request: Request) -> Answer:
        credentials = parse_report_query(request.query)
        identity = session.identity
        if credentials.uuid.lower() != identity.uuid or not identity.accepts(credentials.token):
            _log.warning("device %s: report with other credentials", identity.uuid)
            return Answer(Code.UNAUTHORIZED, b"not the credentials of this connection")
        batch = parse_reports(request.payload)
        wanted, refused = decide_all(credentials.uuid, batch, session.types)
        heard = [effect for each in wanted for effect in each.effects]
        session.utterance.check(heard)
        size = len(request.payload)
        if not (is_light(wanted) or self._quota.take(identity.uuid, size, heard)):
            text = "device %s: has sent its share of a day; reports come later"
            _log.warning(text, identity.uuid)
            return Answer(Code.SERVICE_UNAVAILABLE, b"a day's share of reports is used up")
        done = await self._intake.apply(session, batch.epoch, wanted)
        self._note_applied(session, done)
        for number, reason in refused.items():
            _log.warning("device %s: report %d refused: %s", identity.uuid, number, reason)
        if any(isinstance(effect, EraseSeen) for effect in done.effects) and not (
            await self.erase_rest()
        ):
            return Answer(Code.SERVICE_UNAVAILABLE, b"it is not erased everywhere yet: ask again")
        alive = any(isinstance(effect, Heartbeat) for effect in done.effects)
        if alive and DEADLINE in session.abilities:
            told = alive_answer(session.now_ms(), twin=self.has_twin(identity.uuid))
            return Answer(Code.CHANGED, told)
        return Answer(Code.CHANGED, refusals_payload(refused))

    def _note_applied(self, session: Session, done: Applied) -> None:
        """Let the cloud's other parts know what reports have changed."""
        uuid = session.identity.uuid
        session.note(done.effects)
        if any(isinstance(effect, AbilitiesSeen) for effect in done.effects):
            self.family.greet(session)
        self._changed(uuid)
        for listener in self._listeners:
            listener(uuid, done.effects)
        for note in done.notes:
            _log.warning("device %s: %s", uuid, note)
        if done.repeats:
            _log.info("device %s: %d repeated reports dropped", uuid, done.repeats)

    def note_abilities(self, session: Session, reads: Abilities) -> None:
        """Note what a device behind a broker reads, which it says beside its reports."""
        is_news = reads != session.abilities
        session.abilities = reads
        if is_news:
            self.family.greet(session)


async def _nothing_to_erase() -> bool:
    """Find everything erased: for a gateway without other places to look after."""
    return True
