"""One device's registered connection: requests to the device, and work in the background for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRejectedError,
    DeviceSilentError,
    GatewayError,
    StagingError,
)
from staging.store.devices import Identity
from staging.store.effects import AbilitiesSeen, Effect
from transport.connection import Connection
from transport.errors import RequestRejectedError, RequestTimeoutError, StreamClosedError
from transport.framed import FramedEndpoint
from wire.abilities import Abilities
from wire.exchange import Answer

# Requests to one device are sent one by one (RFC 7252 NSTART); beyond this many they are refused.
REQUEST_LIMIT = 16

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Session:
    """One registered connection."""

    identity: Identity
    connection: Connection
    endpoint: FramedEndpoint
    deadline: float
    """How long a request waits for the device's answer, in seconds."""
    description: dict[str, Any] | None = None
    """The stored self-description, if the device sent it on this connection."""
    stored: tuple[float, Mapping[str, Any]] | None = None
    """When the store was last asked for a device that sent none (monotonic seconds), its answer."""
    abilities: Abilities = frozenset()
    """What the device said on this connection that it reads."""
    waiting: int = 0
    """The number of requests in progress or queued."""
    ordering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while an order is sent, so that two triggers do not send it twice."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def request(
        self,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        query: tuple[str, ...] = (),
    ) -> Answer:
        """Send a request and return the device's answer, also if that is an error code.

        Raises:
            DeviceOfflineError, DeviceSilentError, DeviceRejectedError, DeviceBusyError: no answer.
        """
        uuid = self.identity.uuid
        if self.waiting >= REQUEST_LIMIT:
            raise DeviceBusyError(f"device {uuid}: {self.waiting} requests wait already")
        self.waiting += 1
        try:
            return await self.endpoint.request(
                self.connection, method, path, payload, query=query, deadline=self.deadline
            )
        except RequestTimeoutError as error:
            raise DeviceSilentError(f"device {uuid} is silent: {error}") from error
        except StreamClosedError as error:
            raise DeviceOfflineError(f"device {uuid} went offline: {error}") from error
        except RequestRejectedError as error:
            raise DeviceRejectedError(f"device {uuid}: {error}") from error
        finally:
            self.waiting -= 1

    def note(self, effects: Iterable[Effect]) -> None:
        """Learn from a committed report what the device reads."""
        for effect in effects:
            if isinstance(effect, AbilitiesSeen):
                self.abilities = effect.reads

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


class Sessions:
    """The registered connections, by device and by connection."""

    def __init__(self) -> None:
        self.by_uuid: dict[str, Session] = {}
        self._by_connection: dict[Connection, Session] = {}

    def add(self, session: Session) -> Session | None:
        """Add a session; returns the device's previous one, which it replaces."""
        previous = self.by_uuid.pop(session.identity.uuid, None)
        self.by_uuid[session.identity.uuid] = session
        self._by_connection[session.connection] = session
        return previous

    def remove(self, connection: Connection) -> str | None:
        """End a connection's session; returns the uuid of the device that is now offline, if any."""
        session = self._by_connection.pop(connection, None)
        if session is None:
            return None
        session.end()
        if self.by_uuid.get(session.identity.uuid) is not session:
            return None  # the device has a newer connection
        del self.by_uuid[session.identity.uuid]
        return session.identity.uuid

    def on(self, connection: Connection) -> Session | None:
        """Return a connection's session, None before its registration."""
        return self._by_connection.get(connection)

    def find(self, uuid: str) -> Session | None:
        """Return a device's session, None while it is offline."""
        return self.by_uuid.get(uuid)

    def get(self, uuid: str) -> Session:
        """Return a device's session; raises DeviceOfflineError."""
        session = self.by_uuid.get(uuid)
        if session is None:
            raise DeviceOfflineError(f"device {uuid} is offline")
        return session
