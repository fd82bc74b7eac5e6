"""What devices tell, on its way into the store, and what is done where the store takes nothing now."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from staging.errors import StoreBusyError
from staging.gateway.control_history import ControlHistory
from staging.gateway.presence import Presence
from staging.gateway.reports import is_light
from staging.gateway.session import Session
from staging.store import Database, devices, effects
from staging.store.effects import Applied, Heartbeat, Wanted
from staging.times import Clock

_log = logging.getLogger(__name__)


class Intake:
    """Writes reports and self-descriptions."""

    def __init__(
        self, database: Database, presence: Presence, history: ControlHistory, clock: Clock
    ) -> None:
        """Write to ``database``; ``presence`` notes keepalives, ``history`` has values that go before."""
        self._database = database
        self._presence = presence
        self._history = history
        self._clock = clock

    async def apply(self, session: Session, epoch: str | None, wanted: Sequence[Wanted]) -> Applied:
        """Apply a device's reports; a keepalive alone is only noted.

        Raises:
            StoreBusyError: they were not taken, so the device's outbox keeps them.
        """
        identity = session.identity
        heard = [effect for each in wanted for effect in each.effects]
        light = Applied(heard, 0, ()) if is_light(wanted) else None
        if light is not None:
            self._presence.note(identity.id, self._clock())
            if all(isinstance(effect, Heartbeat) for effect in heard):
                return light
        elif self._history.holds(identity.id):
            # In the history, a value that was set precedes the device's report of it.
            await self._history.save()
        try:
            return await self._database.write(
                effects.apply_all, identity.id, epoch, wanted, self._clock()
            )
        except StoreBusyError:
            # What it reads is needed to control it. A device whose greeting is refused drops its link.
            session.note(heard)
            if light is None:
                raise
            return light

    async def keep_description(self, session: Session, description: dict[str, Any] | None) -> None:
        """Keep a self-description for when the device is offline; most are known already."""
        device_id = session.identity.id
        try:
            if await self._database.read(devices.told_description, device_id) != description:
                await self._database.write(devices.set_description, device_id, description)
        except StoreBusyError as error:
            uuid = session.identity.uuid
            _log.debug("device %s: its self-description is not kept: %s", uuid, error)
