"""The data point ``child_lock``: orders that come from the machine itself are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from resources.datapoint import DataPoint
from resources.record import Record
from wire.datapoints import Value
from wire.story_points import CHILD_LOCK


class ChildLockPoint(DataPoint):
    """Keeps small hands from the buttons; the family's app, and what is said, pass (docs/adr/0019)."""

    description: ClassVar = CHILD_LOCK

    def __init__(self, record: Record) -> None:
        """Keep the lock in ``record``."""
        self._record = record
        self._is_on = record.load().get("locked") is True
        self.on_refused: Callable[[str], None] = lambda _reason: None
        """Called with the answer to an order that is refused: whoever pressed a button reads none."""

    @property
    def is_on(self) -> bool:
        """Whether the machine is locked."""
        return self._is_on

    async def get(self) -> bool:
        """Return whether the machine is locked."""
        return self._is_on

    async def put(self, value: Value) -> None:
        """Lock or unlock the machine; raises UnavailableError if that cannot be stored."""
        await self._record.save({"locked": bool(value)}, self.description.name)
        self._is_on = bool(value)

    def check_local(self, name: str) -> str | None:
        """Refuse every order but the lock's own: who may use the local API opens it by its name."""
        if not self._is_on or name == self.description.name:
            return None
        reason = f"{name}: the child lock is on, expected an order from the family's app"
        self.on_refused(reason)
        return reason
