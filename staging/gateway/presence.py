"""When devices were heard last: kept in memory, and written to the store together a little later.

A keepalive changes nothing that is worth a commit of its own, and it must be answered on a full disk too:
a device whose keepalive is refused drops its link. Of what a crash loses, the next keepalive tells more.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from staging.errors import StoreBusyError
from staging.store import Database, devices, presence
from staging.store.presence import Change

# How long a time may be in memory only. A thousand devices that come back are one commit.
FLUSH_SECONDS = 1.0
# Changes that wait for a store that takes nothing: each of many devices once or twice.
CHANGES_LIMIT = 20_000

_log = logging.getLogger(__name__)


class Presence:
    """Collects the times; each device has one, so the number of devices bounds them."""

    def __init__(self, database: Database) -> None:
        """Start without times; they are written to ``database``."""
        self._database = database
        self._heard: dict[int, int] = {}
        self._registered: dict[int, int] = {}
        self._changes: list[Change] = []

    def note(self, device_id: int, now: int) -> None:
        """Note that a device was heard at ``now`` (ms)."""
        self._heard[device_id] = now

    def change(self, device_id: int, now: int, *, online: bool, reason: str = "") -> None:
        """Note that a device came on line or went at ``now`` (ms), for the page of its life."""
        if len(self._changes) < CHANGES_LIMIT:
            self._changes.append(Change(device_id, now, online, reason))

    async def register(self, identity: devices.Identity, now: int) -> None:
        """Note a registration. The first one of a device is in the store at once, if that takes it."""
        if identity.activated:
            self.note(identity.id, now)
            return
        try:
            await self._database.write(devices.note_registration, identity.id, now)
        except StoreBusyError:
            self._registered[identity.id] = now

    async def save(self) -> None:
        """Write what was noted; what the store does not take now is kept for the next time."""
        heard, self._heard = self._heard, {}
        registered, self._registered = self._registered, {}
        changes, self._changes = self._changes, []
        if not (heard or registered or changes):
            return
        try:
            await self._database.write(_write, heard, registered, changes)
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.debug("when devices were heard is written later: %s", error)
            self._heard = heard | self._heard
            self._registered = registered | self._registered
            self._changes = [*changes, *self._changes][:CHANGES_LIMIT]

    async def keep_saving(self) -> None:
        """Save every `FLUSH_SECONDS`, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.save()


def _write(
    session: Session, heard: dict[int, int], registered: dict[int, int], changes: list[Change]
) -> None:
    for device_id, at in registered.items():
        devices.note_registration(session, device_id, at)
    session.flush()
    presence.add(session, changes)
    if heard:
        devices.note_heard(session, heard)
