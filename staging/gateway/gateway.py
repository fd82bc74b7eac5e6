"""The device gateway: framed CoAP over TLS, one session per device (device protocol, "Link").

A device connects, registers within a deadline, then sends reports and answers requests. This module
handles connections and deadlines; `reports` interprets the reports, and `store` stores them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import (
    CancelRefusedError,
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRejectedError,
    DeviceSilentError,
    GatewayError,
    StagingError,
    StoreBusyError,
)
from staging.gateway.control_history import Recorder
from staging.gateway.reports import decide
from staging.gateway.silent import Pace, SilentUpdates
from staging.store import Database, devices, effects, order_rules, ota
from staging.store.controls import Controlled
from staging.store.devices import Identity
from staging.store.effects import Effect
from staging.store.models import OtaTask
from staging.store.order_rules import Cancel
from staging.times import Clock, now_ms
from transport.connection import Connection
from transport.errors import RequestRejectedError, RequestTimeoutError, StreamClosedError
from transport.framed import FramedEndpoint
from wire.codes import Code, dotted
from wire.datapoints import parse_self_description
from wire.errors import WireError, show
from wire.exchange import Answer, Request
from wire.ota import ORDER_PATH, OtaOrder, cancel_query, order_payload
from wire.reports import (
    DESCRIPTION_PATH,
    KEEPALIVE_SECONDS,
    REGISTER_PATH,
    REPORT_PATH,
    parse_registration,
    parse_report,
    parse_report_query,
    registration_answer,
)

# A 2017 module needs 2-4 s for an RSA handshake; the timeout leaves time for a retry.
HANDSHAKE_TIMEOUT = 10.0
# A device registers with its first message; a peer that takes longer is not a device.
REGISTRATION_DEADLINE = 10.0
# How long an app waits for a device's answer; mobile networks stall for several seconds.
CONTROL_DEADLINE = 10.0
# By then two keepalives are missing, the second one by half an interval.
IDLE_TIMEOUT = 2.5 * KEEPALIVE_SECONDS
# How long a clean close of a connection may take; the server must stop within 5 s.
STOP_TIMEOUT = 1.0
CONNECTION_LIMIT = 5000
# Requests to one device are sent one by one (RFC 7252 NSTART); beyond this many they are refused.
REQUEST_LIMIT = 16
# Reports are small; a peer must not fill our memory by block-wise transfer.
PAYLOAD_LIMIT = 64 * 1024
# A resource's path goes into Uri-Path options of at most 255 bytes each.
URI_LIMIT = 255

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """The gateway's deadlines in seconds, and its maximum number of connections."""

    handshake: float = HANDSHAKE_TIMEOUT
    registration: float = REGISTRATION_DEADLINE
    control: float = CONTROL_DEADLINE
    idle: float = IDLE_TIMEOUT
    connections: int = CONNECTION_LIMIT


@dataclass(eq=False, slots=True)
class _Session:
    """One registered connection."""

    identity: Identity
    connection: Connection
    waiting: int = 0
    """The number of requests in progress or queued."""
    ordering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while an order is sent, so that two triggers do not send it twice."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Gateway:
    """Holds the devices' connections; the open API controls devices through it."""

    def __init__(
        self,
        database: Database,
        *,
        api_url: Callable[[], str],
        limits: Limits = Limits(),  # frozen
        clock: Clock = now_ms,
        pace: Pace | None = None,
    ) -> None:
        """Create a gateway; ``api_url`` returns the base URL from which devices fetch packages."""
        self._database = database
        self._api_url = api_url
        self._limits = limits
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._by_connection: dict[Connection, _Session] = {}
        self._connections: dict[Connection, asyncio.Task[Any]] = {}
        self._endpoint: FramedEndpoint | None = None
        self._server: asyncio.Server | None = None
        self._recorder = Recorder(database)
        self._silent = SilentUpdates(
            database,
            clock,
            online=self._sessions.keys,
            send=self.send_pending_order,
            pace=pace or Pace(),
        )
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

    async def start(self, context: ssl.SSLContext, **listen: Any) -> int:
        """Start accepting; asyncio gets ``listen`` (host and port, or sock). Returns the port."""
        self._endpoint = await FramedEndpoint.create()
        self._server = await asyncio.start_server(
            self._carry,
            ssl=context,
            ssl_handshake_timeout=self._limits.handshake,
            ssl_shutdown_timeout=STOP_TIMEOUT,
            **listen,
        )
        create = asyncio.get_running_loop().create_task
        self._work = [create(self._recorder.keep_saving()), create(self._silent.run())]
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port and every connection, and cancel the work in progress."""
        if self._server is not None:
            self._server.close()
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
        if self._server is not None:
            await self._server.wait_closed()
        await self._recorder.save()

    async def save_controlled(self) -> None:
        """Wait until the values that control requests read and set are in the history."""
        await self._recorder.save()

    def is_online(self, uuid: str) -> bool:
        """Return whether the device has a registered connection."""
        return uuid in self._sessions

    async def control(self, uuid: str, method: str, uri: str, content: str) -> tuple[str, str]:
        """Read or set a resource of a device; returns its answer as ("2.05", content).

        Raises:
            WireError: ``uri`` is not a valid resource path.
            DeviceOfflineError, DeviceSilentError, DeviceRejectedError, DeviceBusyError: no answer.
        """
        path = tuple(part for part in uri.split("/") if part)
        if not path or len(uri.encode()) > URI_LIMIT:
            raise WireError(f"uri: got {show(uri)}, expected a path of 1 to {URI_LIMIT} bytes")
        session = self._session(uuid)
        reply = await self._request(session, method, path, content.encode())
        text = reply.payload.decode("utf-8", "replace")
        value = text if method == "GET" else content
        if reply.code == (Code.CONTENT if method == "GET" else Code.CHANGED):
            self._recorder.note(Controlled(session.identity.id, uri, value, self._clock()))
        return dotted(reply.code), text

    async def order_update(self, uuid: str, order: OtaOrder) -> str | None:
        """Send an order; returns None if the device accepts it, else its refusal as text.

        Raises:
            GatewayError: the device did not answer.
        """
        session = self._session(uuid)
        reply = await self._request(session, "PUT", ORDER_PATH, order_payload(order))
        if reply.code >> 5 == 2:
            return None
        return _shown(reply)

    async def cancel_update(self, uuid: str) -> OtaTask:
        """Cancel a device's update; its answer decides how the task ends (docs/adr/0013).

        Returns:
            The task: ended, or still active because the device ends it with its own report.

        Raises:
            NotFoundError, NoUpdateError: there is nothing to cancel.
            CancelRefusedError: the device refuses to cancel it.
            GatewayError: the device is connected and did not answer; retry.
        """
        session = self._sessions.get(uuid)
        # While an order is being sent, it is unknown whether the device has it.
        async with session.ordering if session else contextlib.nullcontext():
            task = await self._database.read(ota.under_way, uuid)
            code = await self._send_cancel(session, task.id) if session else None
            reason = order_rules.ends_by_cancel(code, answered=task.cancel == Cancel.ANSWERED)
            answered, now = code is not None, self._clock()
            done = await self._database.write(ota.cancel, task.id, reason, now, answered=answered)
        _log.info("device %s: update %d cancelled: %s", uuid, task.id, reason or "device ends it")
        self._changed(uuid)
        return done

    async def _send_cancel(self, session: _Session, task_id: int) -> int | None:
        """Send a cancellation; returns the answer, 2.04 or 4.04, or None if it went offline."""
        query, uuid = cancel_query(str(task_id)), session.identity.uuid
        try:
            reply = await self._request(session, "DELETE", ORDER_PATH, query=query)
        except DeviceOfflineError:
            return None
        if reply.code in {Code.CHANGED, Code.NOT_FOUND}:
            return reply.code
        raise CancelRefusedError(f"device {uuid} does not give it up: {_shown(reply)}")

    def send_pending_order(self, uuid: str) -> None:
        """Start to send a device's pending order; it stays pending while the device is offline."""
        session = self._sessions.get(uuid)
        if session is not None:
            self._spawn(session, self._send_order(session))

    # Connections.

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        if self._endpoint is None or len(self._connections) >= self._limits.connections:
            _log.warning("%r: refused, %d connections are open", connection, len(self._connections))
            connection.close("too many connections")
            return
        task = asyncio.current_task()
        if task is None:  # asyncio runs this callback as a task
            raise RuntimeError("a connection is carried outside a task")
        self._connections[connection] = task
        limit = self._limits.registration
        watchdog = asyncio.get_running_loop().call_later(
            limit, self._check_registered, connection, f"did not register within {limit:g} s"
        )
        try:
            handler = functools.partial(self._handle, connection)
            reason = await self._endpoint.serve(connection, handler, idle_timeout=self._limits.idle)
            _log.info("%s: connection ended: %s", self._name(connection), reason)
        finally:
            watchdog.cancel()
            del self._connections[connection]
            self._forget(connection)

    def _check_registered(self, connection: Connection, reason: str) -> None:
        if connection not in self._by_connection:
            connection.close(reason)

    def _name(self, connection: Connection) -> str:
        session = self._by_connection.get(connection)
        return f"device {session.identity.uuid}" if session else repr(connection)

    def _forget(self, connection: Connection) -> None:
        session = self._by_connection.pop(connection, None)
        if session is None:
            return
        if self._sessions.get(session.identity.uuid) is session:
            del self._sessions[session.identity.uuid]
            self._changed(session.identity.uuid)
        for task in session.tasks:
            task.cancel()

    # Requests from devices.

    async def _handle(self, connection: Connection, request: Request) -> Answer:
        try:
            return await self._answer(connection, request)
        except WireError as error:
            _log.warning("%s: %s refused: %s", self._name(connection), request.method, error)
            return Answer(Code.BAD_REQUEST, str(error).encode())
        except (StoreBusyError, SQLAlchemyError) as error:
            # The report is not accepted, so the device's outbox keeps it and retries.
            _log.error("%s: %s failed: %s", self._name(connection), request.method, error)
            return Answer(Code.SERVICE_UNAVAILABLE, b"the store cannot take this now")

    async def _answer(self, connection: Connection, request: Request) -> Answer:
        if len(request.payload) > PAYLOAD_LIMIT:
            return Answer(Code.TOO_LARGE, f"expected at most {PAYLOAD_LIMIT} bytes".encode())
        if request.path == REGISTER_PATH and request.method == "POST":
            return await self._register(connection, request)
        session = self._by_connection.get(connection)
        if session is None:
            return Answer(Code.UNAUTHORIZED, b"not registered")
        if request.path != REPORT_PATH:
            return Answer(Code.NOT_FOUND, b"no such resource")
        if request.method != "POST":
            return Answer(Code.METHOD_NOT_ALLOWED, b"expected POST")
        return await self._report(session, request)

    async def _register(self, connection: Connection, request: Request) -> Answer:
        credentials = parse_registration(request.payload)
        identity = await self._database.read(devices.identity, credentials.uuid)
        if identity is None:
            _log.warning("%r: unknown device %s", connection, show(credentials.uuid))
            return Answer(Code.NOT_FOUND, b"unknown device")
        if not identity.accepts(credentials.token):
            _log.warning("%r: device %s: wrong token", connection, identity.uuid)
            return Answer(Code.UNAUTHORIZED, b"wrong token")
        await self._database.write(devices.note_registration, identity.id, self._clock())
        if connection not in self._connections:
            return Answer(Code.SERVICE_UNAVAILABLE, b"the connection ended")
        self._admit(identity, connection)
        return Answer(Code.CONTENT, registration_answer(self._clock() / 1000))

    def _admit(self, identity: Identity, connection: Connection) -> None:
        self._forget(connection)
        previous = self._sessions.pop(identity.uuid, None)
        if previous is not None:
            previous.connection.close("replaced by a newer connection of the same device")
        session = _Session(identity, connection)
        self._sessions[identity.uuid] = self._by_connection[connection] = session
        _log.info("device %s: registered from %r", identity.uuid, connection)
        self._changed(identity.uuid)
        self._silent.consider(identity.uuid)
        self._spawn(session, self._greet(session))

    async def _report(self, session: _Session, request: Request) -> Answer:
        credentials = parse_report_query(request.query)
        identity = session.identity
        if credentials.uuid.lower() != identity.uuid or not identity.accepts(credentials.token):
            _log.warning("device %s: report with other credentials", identity.uuid)
            return Answer(Code.UNAUTHORIZED, b"not the credentials of this connection")
        wanted = decide(credentials.uuid, parse_report(request.payload))
        if self._recorder.holds(identity.id):
            # In the history, a value that was set precedes the device's report of it.
            await self._recorder.save()
        notes = await self._database.write(effects.apply, identity.id, wanted, self._clock())
        self._changed(identity.uuid)
        for listener in self._listeners:
            listener(identity.uuid, wanted)
        for note in notes:
            _log.warning("device %s: %s", identity.uuid, note)
        return Answer(Code.CHANGED)

    # Requests to devices.

    def _session(self, uuid: str) -> _Session:
        session = self._sessions.get(uuid)
        if session is None:
            raise DeviceOfflineError(f"device {uuid} is offline")
        return session

    async def _request(
        self,
        session: _Session,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        query: tuple[str, ...] = (),
    ) -> Answer:
        uuid, endpoint = session.identity.uuid, self._endpoint
        if endpoint is None or session.waiting >= REQUEST_LIMIT:
            raise DeviceBusyError(f"device {uuid}: {session.waiting} requests wait already")
        session.waiting += 1
        try:
            return await endpoint.request(
                session.connection,
                method,
                path,
                payload,
                query=query,
                deadline=self._limits.control,
            )
        except RequestTimeoutError as error:
            raise DeviceSilentError(f"device {uuid} is silent: {error}") from error
        except StreamClosedError as error:
            raise DeviceOfflineError(f"device {uuid} went offline: {error}") from error
        except RequestRejectedError as error:
            raise DeviceRejectedError(f"device {uuid}: {error}") from error
        finally:
            session.waiting -= 1

    def _spawn(self, session: _Session, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(session, work))
        session.tasks.add(task)
        task.add_done_callback(session.tasks.discard)

    async def _guard(self, session: _Session, work: Coroutine[Any, Any, None]) -> None:
        """Run a background task of a session; a failure is only logged."""
        try:
            await work
        except (GatewayError, StagingError, SQLAlchemyError) as error:
            _log.warning("device %s: %s", session.identity.uuid, error)

    async def _greet(self, session: _Session) -> None:
        """Read a newly registered device's self-description, then send its pending order."""
        # Without an answer the stored self-description stays valid.
        with contextlib.suppress(DeviceSilentError, DeviceRejectedError):
            await self._read_description(session)
        await self._send_order(session)

    async def _send_cancels(self, session: _Session) -> None:
        """Send cancellations that a device missed; a device still busy would refuse a new order."""
        answered: list[int] = []
        for task_id in await self._database.read(ota.unanswered_cancels, session.identity.id):
            try:
                if await self._send_cancel(session, task_id) is None:
                    break
            except DeviceSilentError as error:  # retried later; its order need not wait for that
                _log.warning("%s", error)
                break
            except (CancelRefusedError, DeviceRejectedError) as error:  # it reports its end itself
                _log.info("%s", error)
            answered.append(task_id)
        if answered:
            await self._database.write(ota.note_cancels_answered, answered)

    async def _read_description(self, session: _Session) -> None:
        reply = await self._request(session, "GET", DESCRIPTION_PATH)
        description: dict[str, Any] | None = None
        if reply.code == Code.CONTENT:
            try:
                description = parse_self_description(reply.payload)
            except WireError as error:
                uuid = session.identity.uuid
                _log.warning("device %s: self-description not usable: %s", uuid, error)
        await self._database.write(devices.set_description, session.identity.id, description)
        self._changed(session.identity.uuid)

    async def _send_order(self, session: _Session) -> None:
        identity = session.identity
        async with session.ordering:
            await self._send_cancels(session)
            order = await self._database.read(ota.unsent, identity.id, self._api_url())
            if order is None:
                return
            self._changed(identity.uuid)
            sent = self._clock()
            refusal = await self.order_update(identity.uuid, order)
            _log.info(
                "device %s: order %s %s", identity.uuid, order.transaction, refusal or "taken"
            )
            await self._database.write(ota.note_answer, int(order.transaction), refusal, sent)
            self._changed(identity.uuid)


def _shown(reply: Answer) -> str:
    """Render a device's response as text for people."""
    return f"{dotted(reply.code)} {reply.payload.decode('utf-8', 'replace')}".strip()
