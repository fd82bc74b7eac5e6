"""Cuts off devices whose token was renewed: whoever is connected with the old one is somebody else now.

A command writes the new token into the store; each gateway looks there, so that it also holds for several
workers and behind a broker, whose password file `staging.broker.host` renews.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StoreBusyError, level_of
from staging.gateway.session import Session, Sessions
from staging.store import Database, devices

# Seconds between two looks into the store, each of which is one step in an index.
LOOK_SECONDS = 1.0
REASON = "the device's token was renewed"

_log = logging.getLogger(__name__)


class Renewals:
    """Looks for renewed tokens, and cuts the connections of before."""

    def __init__(
        self, database: Database, sessions: Sessions, cut: Callable[[Session, str], None]
    ) -> None:
        """Look in ``database``; ``cut(session, reason)`` ends the connection of a device."""
        self._database = database
        self._sessions = sessions
        self._cut = cut
        self._last: int | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except (StoreBusyError, SQLAlchemyError) as error:
                _log.log(
                    level_of(error), "renewed tokens are looked for later: %s", type(error).__name__
                )
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Cut off the devices whose token was renewed since the last look; the first only begins."""
        if self._last is None:
            self._last = await self._database.read(devices.last_renewal)
            return
        found, self._last = await self._database.read(devices.renewed, self._last)
        for identity in found:
            session = self._sessions.find(identity.uuid)
            if session is not None and not session.identity.accepts(identity.token):
                _log.warning("device %s: cut off: %s", identity.uuid, REASON)
                self._cut(session, REASON)
