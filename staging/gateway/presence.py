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
from staging.store import Database, devices

# How long a time may be in memory only. A thousand devices that come back are one commit.
FLUSH_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Presence:
    """Collects the times; each device has one, so the number of devices bounds them."""

    def __init__(self, database: Database) -> None:
        """Start without times; they are written to ``database``."""
        self._database = database
        self._heard: dict[int, int] = {}
        self._registered: dict[int, int] = {}

    def note(self, device_id: int, now: int) -> None:
        """Note that a device was heard at ``now`` (ms)."""
        self._heard[device_id] = now

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
        if not (heard or registered):
            return
        try:
            await self._database.write(_write, heard, registered)
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.debug("when devices were heard is written later: %s", error)
            self._heard = heard | self._heard
            self._registered = registered | self._registered

    async def keep_saving(self) -> None:
        """Save every `FLUSH_SECONDS`, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.save()


def _write(session: Session, heard: dict[int, int], registered: dict[int, int]) -> None:
    for device_id, at in registered.items():
        devices.note_registration(session, device_id, at)
    session.flush()
    if heard:
        devices.note_heard(session, heard)
