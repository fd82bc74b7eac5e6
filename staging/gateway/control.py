"""Reads and sets a device's data points: the one way for the open API, console and recognition."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from staging.errors import ErrorCode, NoValueError, RefusedError
from staging.gateway.control_history import ControlHistory, Noted
from staging.gateway.session import Session, Sessions
from staging.store import Database, devices
from staging.times import Clock, Monotonic
from wire.codes import Code, dotted
from wire.errors import WireError, show

# A resource's path goes into Uri-Path options of at most 255 bytes each.
URI_LIMIT = 255
# Seconds for which a connection's stored description is used without another look-up: a look-up
# per request halved the requests per second. What a tester adds to a product works at once.
STORED_SECONDS = 1.0


class Control:
    """Sends control requests, and notes in the history what they read and set."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        history: ControlHistory,
        clock: Clock,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        """Send to the devices of ``sessions``; ``database`` has their self-descriptions."""
        self._database = database
        self._monotonic = monotonic
        self._sessions = sessions
        self._history = history
        self._clock = clock

    async def send(self, uuid: str, name: str, method: str, value: str | None) -> tuple[str, str]:
        """Read or set a data point of a device; returns its answer as ("2.05", content).

        Args:
            uuid: the device.
            name: the data point, as the device's stored self-description names it.
            method: "GET" or "PUT".
            value: the value to set, as text; ignored with GET.

        Raises:
            NotFoundError: there is no such device.
            RefusedError: 1305, it has no such data point.
            NoValueError: a PUT without a value.
            WireError: the self-description gives no usable path.
            DeviceOfflineError, DeviceSilentError, DeviceRejectedError, DeviceBusyError: no answer.
        """
        point = await self._point(uuid, name)
        path = path_of(uri_of(point, name))
        content = ""
        if method == "PUT":
            if value is None:
                raise NoValueError
            content = value
        session = self._sessions.get(uuid)
        answer = await session.request(method, path, content.encode())
        done, noted = (Code.CONTENT, answer.text) if method == "GET" else (Code.CHANGED, content)
        if answer.code == done:
            self._history.note(Noted(session.identity.id, name, point, noted, self._clock()))
        return dotted(answer.code), answer.text

    async def _point(self, uuid: str, name: str) -> Mapping[str, Any]:
        """Return a data point by the device's description, else by the stored one."""
        session = self._sessions.find(uuid)
        if session is not None:
            known = session.description or self._fresh(session)
            found = None if known is None else point_of(known, name)
            if found is not None:
                return found
        description = await self._database.read(devices.description, uuid)
        if session is not None:
            session.stored = (self._monotonic(), description)
        found = point_of(description, name)
        if found is None:
            detail = f"the device has no data point {name!r}"
            raise RefusedError(ErrorCode.COMMAND_NAME_INVALID, detail)
        return found

    def _fresh(self, session: Session) -> Mapping[str, Any] | None:
        if session.stored is None:
            return None
        read_at, description = session.stored
        return description if self._monotonic() - read_at < STORED_SECONDS else None


def point_of(description: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return a description's data point of this name, None if it has none."""
    points = description.get("resources")
    for point in points if isinstance(points, list) else ():
        if isinstance(point, Mapping) and point.get("name") == name:
            return point
    return None


def uri_of(point: Mapping[str, Any], name: str) -> str:
    """Return a data point's path on the device."""
    uri = point.get("uri")
    return uri if isinstance(uri, str) and uri else f"/{name}"


def path_of(uri: str) -> tuple[str, ...]:
    """Split a path into its parts; raises WireError if it is empty or too long."""
    path = tuple(part for part in uri.split("/") if part)
    if not path or len(uri.encode()) > URI_LIMIT:
        raise WireError(f"uri: got {show(uri)}, expected a path of 1 to {URI_LIMIT} bytes")
    return path
