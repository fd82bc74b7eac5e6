"""One device's registered connection: requests to the device, and work in the background for it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import (
    AnswerLostError,
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRejectedError,
    DeviceSilentError,
    GatewayError,
    StagingError,
)
from staging.gateway.bounds import UtteranceBound
from staging.store.devices import Identity
from staging.store.effects import AbilitiesSeen, Effect
from transport.errors import (
    NotSentError,
    RequestTimeoutError,
    StreamClosedError,
    TransportError,
)
from transport.liveness import CLOUD_QUIET_SECONDS
from wire.abilities import DEADLINE, PING, Abilities
from wire.codes import Code
from wire.exchange import TOO_LATE, Answer, Terms

# Requests to one device are sent one by one (RFC 7252 NSTART); beyond this many they are refused.
REQUEST_LIMIT = 16
# Random: no two requests of a minute have the same.
REQUEST_ID_BYTES = 8
# How the text of an error begins if the request was sent: an app reads the value back (ADR 0033).
NO_ANSWER = "sent, no answer"

_log = logging.getLogger(__name__)


class Peer(Protocol):
    """A device's connection, or what stands for it behind a broker (`staging.broker.peers`)."""

    def close(self, reason: str) -> None:
        """End it, for the given reason."""

    def reset(self, reason: str) -> None:
        """Drop what was sent on it and is not answered."""


class Endpoint(Protocol):
    """Sends requests to peers."""

    async def request(  # as `transport.framed.FramedEndpoint.request`
        self,
        connection: Any,
        /,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        *,
        query: tuple[str, ...] = (),
        deadline: float,
        terms: Terms | None = None,
    ) -> Answer:
        """Send a request and return the answer; raises TransportError."""

    def watch(self, connection: Any, /, quiet: float) -> None:
        """Test a quiet connection from now on, as `transport.framed.FramedEndpoint.watch`."""


@dataclass(eq=False, slots=True)
class Session:
    """One registered connection."""

    identity: Identity
    connection: Peer
    endpoint: Endpoint
    deadline: float
    """How long a request waits for the device's answer, in seconds."""
    registered_ms: int
    """Our time when the device registered (Unix, milliseconds)."""
    registered_at: float = field(default_factory=time.monotonic)
    description: dict[str, Any] | None = None
    """The stored self-description, if the device sent it on this connection."""
    stored: tuple[float, Mapping[str, Any]] | None = None
    """When the store was last asked for a device that sent none (monotonic seconds), its answer."""
    abilities: Abilities = frozenset()
    """What the device said on this connection that it reads."""
    greeted: bool = False
    """Whether the device was told what concerns its family since it registered."""
    waiting: int = 0
    """The number of requests in progress or queued."""
    ordering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while an order is sent, so that two triggers do not send it twice."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    utterance: UtteranceBound = field(default_factory=UtteranceBound)
    """How much of the present utterance has come."""

    @property
    def types(self) -> Mapping[str, str]:
        """The types of the data points that the device described on this connection, by name."""
        points = (self.description or {}).get("resources", [])
        return {point["name"]: point["type"] for point in points}

    async def request(
        self,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        query: tuple[str, ...] = (),
    ) -> Answer:
        """Send a request and return the device's answer, also if that is an error code.

        A device that reads deadlines does not carry it out after ours. A connection on which a
        PUT was not answered is dropped, so that older firmware does not find it there when the
        network comes back. Older firmware leaves methods and paths unanswered that the document
        does not have: then nothing is wrong with the connection.

        Raises:
            DeviceOfflineError: it was not sent.
            AnswerLostError: it was sent, and the connection ended before the answer.
            DeviceSilentError, DeviceRejectedError, DeviceBusyError: no answer.
        """
        if self.waiting >= REQUEST_LIMIT:
            uuid = self.identity.uuid
            raise DeviceBusyError(f"device {uuid}: {self.waiting} requests wait already")
        self.waiting += 1
        try:
            answer = await self.endpoint.request(
                self.connection, method, path, payload,
                query=query, deadline=self.deadline, terms=self._terms(method),
            )  # fmt: skip
        except TransportError as error:
            if isinstance(error, RequestTimeoutError) and method == "PUT":
                self.connection.reset(f"no answer to PUT /{'/'.join(path)}")
            raise _as_gateway_error(self.identity.uuid, error) from error
        finally:
            self.waiting -= 1
        if answer.code == Code.SERVICE_UNAVAILABLE and answer.text.startswith(TOO_LATE):
            raise DeviceSilentError(f"device {self.identity.uuid}: {answer.text}")
        return answer

    def _terms(self, method: str) -> Terms | None:
        if DEADLINE not in self.abilities:
            return None
        key = b"" if method == "GET" else secrets.token_bytes(REQUEST_ID_BYTES)
        return Terms(self.now_ms() + int(self.deadline * 1000), key)

    def now_ms(self) -> int:
        """Return our time as this session's device knows it: no step of our clock is in it."""
        return self.registered_ms + int((time.monotonic() - self.registered_at) * 1000)

    def note(self, effects: Iterable[Effect]) -> None:
        """Learn from a committed report what the device reads."""
        for effect in effects:
            if isinstance(effect, AbilitiesSeen):
                self.abilities = effect.reads
                if PING in effect.reads:
                    self.endpoint.watch(self.connection, CLOUD_QUIET_SECONDS)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start work in the background; a failure is only logged, `end` cancels it."""
        task = asyncio.get_running_loop().create_task(self._guard(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (GatewayError, StagingError, SQLAlchemyError) as error:
            _log.warning("device %s: %s", self.identity.uuid, error)

    def end(self) -> None:
        """Cancel the work in the background, because the connection ended."""
        for task in self.tasks:
            task.cancel()


class Changed(Protocol):
    """Is told that a device is on line now, or is not any more."""

    def __call__(self, session: Session, /, *, online: bool, reason: str) -> None:
        """Take note of it."""


def _nobody(_session: Session, /, *, online: bool, reason: str) -> None:
    del online, reason


class Sessions:
    """The registered connections, by device and by connection."""

    def __init__(self) -> None:
        self.by_uuid: dict[str, Session] = {}
        self._by_connection: dict[Peer, Session] = {}
        self.changed: Changed = _nobody
        """Is told of a device that comes on line or goes, and why it goes."""

    def ids(self) -> list[int]:
        """Return the numbers of the devices that have a registered connection."""
        return [session.identity.id for session in self.by_uuid.values()]

    def add(self, session: Session) -> Session | None:
        """Add a session; returns the device's previous one, which it replaces."""
        previous = self.by_uuid.pop(session.identity.uuid, None)
        self.by_uuid[session.identity.uuid] = session
        self._by_connection[session.connection] = session
        if previous is None:
            self.changed(session, online=True, reason="")
        return previous

    def remove(self, connection: Peer, reason: str = "") -> str | None:
        """End a connection's session; returns the uuid of the device that is now offline, if any.

        ``reason`` says why, in words.
        """
        session = self._by_connection.pop(connection, None)
        if session is None:
            return None
        session.end()
        if self.by_uuid.get(session.identity.uuid) is not session:
            return None  # the device has a newer connection
        del self.by_uuid[session.identity.uuid]
        self.changed(session, online=False, reason=reason)
        return session.identity.uuid

    def on(self, connection: Peer) -> Session | None:
        """Return a connection's session, None before its registration."""
        return self._by_connection.get(connection)

    def find(self, uuid: str) -> Session | None:
        """Return a device's session, None while it is offline."""
        return self.by_uuid.get(uuid)

    def unasked_since(self, uuid: str) -> int | None:
        """Return since when a device is connected that answers no question of ours, in ms; None: it is asked, or not here.

        That its process stands still shows in its missing reports alone: its system answers the probes.
        """
        session = self.by_uuid.get(uuid)
        return None if session is None or PING in session.abilities else session.registered_ms

    def get(self, uuid: str) -> Session:
        """Return a device's session; raises DeviceOfflineError."""
        session = self.by_uuid.get(uuid)
        if session is None:
            raise DeviceOfflineError(f"device {uuid} is offline")
        return session


def _as_gateway_error(uuid: str, error: TransportError) -> GatewayError:
    """Return what a request's failure means for whoever asked for it."""
    match error:
        case RequestTimeoutError():
            return DeviceSilentError(f"{NO_ANSWER}: device {uuid} is silent: {error}")
        case NotSentError():
            return DeviceOfflineError(f"device {uuid} went offline: {error}")
        case StreamClosedError():
            text = f"{NO_ANSWER}: device {uuid} went offline after the request was sent: {error}"
            return AnswerLostError(text)
        case _:
            return DeviceRejectedError(f"device {uuid}: {error}")
