"""Who holds the story for a moment, and whether an order that came meanwhile says otherwise. Pure."""

from __future__ import annotations


class Holds:
    """Counts holders, and compares numbers of orders (`LastWins`).

    Attributes:
        obeyed: the number of the last order that was carried out and changes what plays.
        moved: whether an order has set the place since the first of the holders came.
    """

    def __init__(self) -> None:
        self.obeyed = 0
        self.moved = False
        self._decided = 0
        self._holders = 0
        self._held_at = 0

    @property
    def active(self) -> bool:
        """Whether somebody holds the story, and no order that came later decided what sounds."""
        return self._holders > 0 and self._decided <= self._held_at

    def note_obeyed(self, number: int, *, decides: bool = True) -> None:
        """Note that an order was carried out.

        ``decides``: it started, stopped, paused or resumed the story, so that the holders have no say
        any more. One that only adds titles or sets the place leaves the story to them.
        """
        self.obeyed = max(self.obeyed, number)
        if decides:
            self._decided = max(self._decided, number)

    def begin(self, newest: int) -> None:
        """Begin to hold; ``newest`` is the number of the last order that has come."""
        self.moved = self.moved and self._holders > 0
        self._holders += 1
        self._held_at = newest

    def end(self) -> None:
        """Hold no more."""
        self._holders -= 1

    def covers(self, number: int) -> bool:
        """Return whether what the order ``number`` starts must not sound yet."""
        return self.active and number <= self._held_at

    def lets_go_on(self) -> bool:
        """Return whether the story goes on: nobody holds it, and no order decided meanwhile."""
        return not self._holders and self._decided <= self._held_at
