"""Sleep timer and parents' rules as the rest of the machine sees them: made when one of them is wanted.

Most machines have neither, and their start need not wait for what decides about them (25 ms). The keeper
is made at once if an earlier run has left a timer or rules, else at the first order for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from base.clock import TrustedTime
from resources.playing.teller import Teller
from wire.errors import FieldError

if TYPE_CHECKING:
    from resources.announce.cues import Cue
    from resources.times.keeper import ChangeListener, Keeper

FILES = ("sleep_timer.json", "rules.json")
OFF = "off"
# The data points whose orders are taps: those of somebody who is listening.
TAPS = frozenset({"play", "player", "play_mode", "volume"})


class Times:
    """The keeper of a machine, or nothing yet."""

    def __init__(
        self, teller: Teller, trusted: TrustedTime, state: Path, on_change: ChangeListener
    ) -> None:
        """Keep the time of ``teller``.

        Args:
            teller: plays.
            trusted: the trusted time.
            state: the state folder.
            on_change: called with a data point's name and value when it changes without a PUT.
        """
        self._teller = teller
        self._trusted = trusted
        self._state = state
        self._on_change = on_change
        self._keeper: Keeper | None = None
        self._made = asyncio.Event()
        self.used: Callable[[], None] = lambda: None
        """Called at each order, for the power-off of a machine that nobody uses."""
        self.say: Callable[[Cue], object] | None = None
        """Says a cue; None: the level dips instead."""
        if any((state / name).exists() for name in FILES):
            self.keep()

    def keep(self) -> Keeper:
        """Return the keeper, which is made if needed."""
        if self._keeper is None:
            from resources.times.build import build_keeper  # noqa: PLC0415  # see above

            self._keeper = build_keeper(
                self._teller, self._trusted, self._state, self._on_change, say=self._say
            )
            self._made.set()
        return self._keeper

    def _say(self, cue: Cue) -> bool:
        if self.say is not None:
            self.say(cue)
        return self.say is not None

    @property
    def timer(self) -> str:
        """The value of the data point ``sleep_timer``."""
        return OFF if self._keeper is None else str(self._keeper.evening.timer.remaining)

    @property
    def rules(self) -> str:
        """The value of the data point ``rules``."""
        return OFF if self._keeper is None else str(self._keeper.evening.rules.rules)

    def status(self) -> dict[str, object]:
        """Return what a parent may want to know of timer and rules."""
        if self._keeper is None:
            return {"sleepTimer": OFF, "rules": OFF}
        return self._keeper.status()

    def ordered(self, name: str) -> None:
        """Note that the data point ``name`` was set."""
        self.used()
        if self._keeper is not None and name in TAPS:
            self._keeper.touched()

    async def order_timer(self, text: str) -> None:
        """Set the sleep timer; raises FieldError, RefusedError, UnavailableError."""
        from wire.sleep import parse_timer  # noqa: PLC0415  # see above

        timer = parse_timer(text)
        await self.keep().order_timer(timer)

    async def order_rules(self, text: str) -> None:
        """Set the parents' rules; raises FieldError, UnavailableError."""
        from wire.rules import parse_rules  # noqa: PLC0415  # see above

        rules = parse_rules(text)
        await self.keep().order_rules(rules)

    async def order_said(self, text: str) -> bool:
        """Set the sleep timer if ``text`` says so and names nothing to play; return whether it did.

        Raises:
            FieldError: it says so, and the minutes or stories are out of range.
            RefusedError: it cannot be set now.
            UnavailableError: it cannot be stored.
        """
        from wire.sleep import may_be_said  # noqa: PLC0415  # see above

        if not may_be_said(text):
            return False
        from wire.spoken import read_timer  # noqa: PLC0415  # its forms are compiled when one comes

        try:
            timer = read_timer(text)
        except FieldError:
            if await self._teller.knows(text):
                return False
            raise
        if timer is None or await self._teller.knows(text):
            return False
        await self.keep().order_timer(timer, reported=False)
        return True

    async def run(self) -> None:
        """Keep the time until cancelled."""
        await self._made.wait()
        await self.keep().run()

    async def close(self) -> None:
        """Store what was played."""
        if self._keeper is not None:
            await self._keeper.close()
