"""Reports in memory: those that the disk does not take, until it does or the cloud has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.link.outbox_rows import Row
from wire.records import dataclass

# Above every id of the file, so what is held comes after what was stored before.
FIRST_ID = 1 << 62
# Bytes of JSON and number of reports; memory is short on the machine, and a power cut takes them.
BYTES_MAX = 256 * 1024
ROWS_MAX = 2000


@dataclass(frozen=True, slots=True)
class Held:
    """One report in memory.

    Attributes:
        row: the report.
        once: its `Outbox.put` name.
        origin: its id in the file, if it was read from a file that cannot be written.
    """

    row: Row
    once: str | None = None
    origin: int | None = None


class Memory:
    """The held reports, by id."""

    def __init__(self) -> None:
        """Begin empty."""
        self._held: dict[int, Held] = {}
        self._bytes = 0
        self._next = FIRST_ID

    def __len__(self) -> int:
        return len(self._held)

    @property
    def held(self) -> Mapping[int, Held]:
        """The reports, oldest first."""
        return self._held

    def add(self, held: Held) -> int:
        """Hold a report; return its id."""
        row_id, self._next = self._next, self._next + 1
        self._held[row_id] = held
        self._bytes += held.row.size
        return row_id

    def pop(self, row_id: int) -> Held | None:
        """Let a report go."""
        held = self._held.pop(row_id, None)
        if held is not None:
            self._bytes -= held.row.size
        return held

    def excess(self, may_go: Callable[[int, str], bool]) -> list[int]:
        """Return the oldest reports that must go for the rest to fit, of those that ``may_go``."""
        size, count, drop = self._bytes, len(self._held), []
        for row_id, held in self._held.items():
            if size <= BYTES_MAX and count <= ROWS_MAX:
                break
            if may_go(row_id, held.row.key):
                drop.append(row_id)
                size -= held.row.size
                count -= 1
        return drop
