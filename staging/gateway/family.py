"""Tells connected devices what concerns their family: a new bind token, who has gone, how long voice is kept.

Only devices that say that they read it are told (`wire.abilities.FAMILY`): after each registration, when something has
changed, and again from time to time while a device has not taken its new token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import GatewayError, StagingError, level_of
from staging.gateway.session import Session, Sessions
from staging.store import Database, bind_tokens
from staging.times import Clock
from wire.abilities import FAMILY
from wire.codes import dotted
from wire.family import FAMILY_PATH, Family

# Seconds between two looks for devices that have not taken their token: commands of other processes, full cards.
LOOK_SECONDS = 5.0
# Looks until a device that did not take it is told again, so that one with a broken card is told every five minutes.
PATIENCE = 60

_log = logging.getLogger(__name__)


class FamilyDesk:
    """What the gateway says to devices about their families."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        clock: Clock,
        *,
        changed: Callable[[str], None],
        owns: Callable[[str], bool],
    ) -> None:
        """Prepare.

        Args:
            database: the store, which has the tokens.
            sessions: the connected devices.
            clock: UTC milliseconds.
            changed: is called with the uuid of a device that has taken its new token.
            owns: whether this process tells a device what nobody here asked for.
        """
        self._database = database
        self._sessions = sessions
        self._clock = clock
        self._changed = changed
        self._owns = owns
        self.voice_days = 0
        """For how many days voice is kept; 0: until it is erased."""
        # Devices that did not take it, and how many looks they are left alone.
        self._resting: dict[str, int] = {}

    def greet(self, session: Session) -> None:
        """Begin to tell a device that has just said what it reads."""
        is_first = not session.greeted
        if is_first:
            # It may have gone while it was told: its telling ended with that connection, and says nothing of this one.
            self._resting.pop(session.identity.uuid, None)
        if is_first and FAMILY in session.abilities and self._owns(session.identity.uuid):
            session.greeted = True
            session.spawn(self._say(session))

    def note_change(self, uuid: str) -> None:
        """Begin to tell a device that its family has changed; one that is not connected is told when it registers."""
        session = self._sessions.find(uuid)
        if session is not None and FAMILY in session.abilities:
            session.spawn(self._say(session))

    async def _say(self, session: Session) -> None:
        await self.tell(session)

    async def tell(self, session: Session) -> bool:
        """Tell a device; return whether it has taken it. What fails is tried again by `run`.

        Raises:
            GatewayError: it did not answer.
        """
        identity = session.identity
        async with session.ordering:
            wanted = await self._database.read(bind_tokens.wanted, identity.id)
            told = Family(wanted.token, wanted.since or None, self.voice_days)
            answer = await session.request("PUT", FAMILY_PATH, told.to_payload())
            if answer.code >> 5 != 2:
                _log.warning("device %s: family: %s", identity.uuid, dotted(answer.code))
                return False
            if wanted.token is None:
                return True
            now = self._clock()
            await self._database.write(bind_tokens.note_stored, identity.id, wanted.token, now)
        _log.info("device %s: it has its new bind token", identity.uuid)
        self._changed(identity.uuid)
        return True

    async def run(self) -> None:
        """Look for devices that wait for a token, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (StagingError, SQLAlchemyError) as error:
                _log.log(level_of(error), "bind tokens are told later: %s", error)

    async def look(self) -> None:
        """Tell the connected devices that wait for a token, unless they were told a short while ago."""
        self._resting = {uuid: left - 1 for uuid, left in self._resting.items() if left > 1}
        for uuid in await self._database.read(bind_tokens.waiting):
            session = self._sessions.find(uuid)
            known = session is not None and FAMILY in session.abilities
            if session is None or not known or uuid in self._resting or not self._owns(uuid):
                continue
            self._resting[uuid] = PATIENCE
            session.spawn(self._try(session))

    async def _try(self, session: Session) -> None:
        try:
            if await self.tell(session):
                self._resting.pop(session.identity.uuid, None)
        except GatewayError as error:
            _log.warning("%s", error)
