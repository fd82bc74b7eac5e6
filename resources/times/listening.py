"""The parents' hours and minutes of listening, as the rest of the machine sees them: made when one is wanted.

As `resources.times.times` does, it costs a machine without such rules neither a start nor memory.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from base.clock import TrustedTime

if TYPE_CHECKING:
    from resources.times.budget import ListeningBudget

FILE = "listening_rules.json"
OFF = "off"


class ListeningTimes:
    """The budget of a machine, or nothing yet. It is the gate of `agent.voice`."""

    def __init__(self, trusted: TrustedTime, state: Path) -> None:
        """Judge by the ``trusted`` time; ``state``: the state folder."""
        self._trusted = trusted
        self._state = state
        self._budget: ListeningBudget | None = None
        self._made = asyncio.Event()
        if (state / FILE).exists():
            self.keep()

    def keep(self) -> ListeningBudget:
        """Return the budget, which is made if needed."""
        if self._budget is None:
            from resources.times.budget import build_budget  # noqa: PLC0415  # see above

            self._budget = build_budget(self._trusted, self._state)
            self._made.set()
        return self._budget

    @property
    def rules(self) -> str:
        """The value of the data point ``listening``; raises UnavailableError where they cannot be read."""
        return OFF if self._budget is None else str(self._budget.rules)

    async def order(self, text: str) -> None:
        """Set the rules; raises FieldError, UnavailableError."""
        from wire.rules import parse_listening  # noqa: PLC0415  # see above

        rules = parse_listening(text)
        await self.keep().order(rules)

    def status(self) -> dict[str, object]:
        """Return what a parent may want to know."""
        return {} if self._budget is None else self._budget.status()

    # The gate.

    def refusal(self) -> str | None:
        """Return why the microphone must stay closed now, None if it may be opened."""
        return None if self._budget is None else self._budget.refusal()

    def opened(self) -> None:
        """Count from now."""
        if self._budget is not None:
            self._budget.opened()

    def closed(self) -> None:
        """Count until now."""
        if self._budget is not None:
            self._budget.closed()

    async def run(self) -> None:
        """Store what is counted until cancelled."""
        await self._made.wait()
        await self.keep().run()

    async def close(self) -> None:
        """Store what was counted."""
        if self._budget is not None:
            await self._budget.close()
