"""Writes the values that control requests read and set to the devices' history (kind RESOURCE).

Requests do not wait for it: values are collected and written together a little later. A reader of a
history calls `save` first, so the delay is not visible.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StoreBusyError
from staging.store import Database, controls
from staging.store.controls import Controlled
from wire.datapoints import parse_description, parse_value
from wire.errors import WireError

# How long a value may be in memory only; a crash loses at most this much.
FLUSH_SECONDS = 0.5
# Ten seconds of the fastest benchmark; beyond that, values are dropped, not requests refused.
MEMORY_LIMIT = 10_000

_log = logging.getLogger(__name__)


class Noted(NamedTuple):
    """A value that was read or set, as its text: what it is by its data point's type is found when it is stored."""

    device_id: int
    name: str
    point: Mapping[str, Any]
    text: str
    time: int


class ControlHistory:
    """Collects the values of control requests and writes them to the store."""

    def __init__(self, database: Database) -> None:
        """Start without values; they are written to ``database``."""
        self._database = database
        self._values: list[Noted] = []
        self._devices: set[int] = set()
        """Those of `_values`: each report of a device asks for its own."""
        self._dropped = 0
        self._saving = asyncio.Lock()
        self._filled = asyncio.Event()
        """There may be something to save: nobody is woken where nobody controls anything."""

    def note(self, value: Noted) -> None:
        """Add a value that was read or set."""
        if len(self._values) < MEMORY_LIMIT:
            self._values.append(value)
            self._devices.add(value.device_id)
        else:
            self._dropped += 1
        self._filled.set()

    def holds(self, device_id: int) -> bool:
        """Return whether a value of the device is not in the store yet."""
        return self._saving.locked() or device_id in self._devices

    async def save(self) -> None:
        """Write all noted values; returns when they are in the store, or kept for when it takes them."""
        if not self._values and not self._saving.locked():
            return
        async with self._saving:
            values, self._values = self._values, []
            self._devices = set()
            try:
                if values:
                    await self._database.write(controls.append, _typed(values))
            except StoreBusyError as error:
                _log.debug("control values are stored later: %s", error)
                self._keep(values)
                return
            except SQLAlchemyError as error:
                self._dropped += len(values)
                _log.debug("control values were not stored: %s", error)
            dropped, self._dropped = self._dropped, 0
        if dropped:
            _log.warning("%d values of control requests are not in the history", dropped)

    def _keep(self, values: list[Noted]) -> None:
        """Put values back before those that came meanwhile; of too many the newest are dropped."""
        kept = [*values, *self._values]
        self._dropped += max(0, len(kept) - MEMORY_LIMIT)
        self._values = kept[:MEMORY_LIMIT]
        self._devices = {value.device_id for value in self._values}
        self._filled.set()

    async def keep_saving(self) -> None:
        """Save `FLUSH_SECONDS` after something was noted, until cancelled."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            self._filled.clear()
            await self.save()


def _typed(values: Sequence[Noted]) -> list[Controlled]:
    """Return the values as their data points' types have them; many are the same."""
    known: dict[tuple[int, str], object] = {}
    made = []
    for device_id, name, point, text, at in values:
        key = (id(point), text)
        if key not in known:
            known[key] = _as_typed(point, text)
        made.append(Controlled(device_id, name, known[key], at))
    return made


def _as_typed(point: Mapping[str, Any], text: str) -> object:
    try:
        return parse_value(parse_description(point), text)
    except WireError:
        return text
