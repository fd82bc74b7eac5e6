"""Who holds the story for a moment, and whether an order that came meanwhile says otherwise. Pure."""

from __future__ import annotations


class Holds:
    """Counts holders, and compares numbers of orders (`LastWins`).

    Attributes:
        obeyed: the number of the last order that was carried out and changes what sounds.
    """

    def __init__(self) -> None:
        self.obeyed = 0
        self._holders = 0
        self._held_at = 0

    @property
    def active(self) -> bool:
        """Whether somebody holds the story, and no order that came later was carried out."""
        return self._holders > 0 and self.obeyed <= self._held_at

    def note_obeyed(self, number: int) -> None:
        """Note that an order was carried out."""
        self.obeyed = max(self.obeyed, number)

    def begin(self, newest: int) -> None:
        """Begin to hold; ``newest`` is the number of the last order that has come."""
        self._holders += 1
        self._held_at = newest

    def end(self) -> None:
        """Hold no more."""
        self._holders -= 1

    def covers(self, number: int) -> bool:
        """Return whether what the order ``number`` starts must not sound yet."""
        return self.active and number <= self._held_at

    def lets_go_on(self) -> bool:
        """Return whether the story goes on: nobody holds it, and no order came meanwhile."""
        return not self._holders and self.obeyed <= self._held_at
