"""Decides which of the waiting reports goes first: pure bookkeeping by id and key, no I/O, no bodies.

A cloud that takes reports in any order (`wire.numbered`) gets, after days without a link, first the
reports on updates and identity, in their order; then the newest value of each data point, which is the
machine's present state; then the rest, oldest first. A value behind a newer one of its key is late.
"""

from __future__ import annotations

from collections.abc import Mapping

from wire.reports import KEYS_SYSTEM


class Lanes:
    """What waits, by id; ids grow with time."""

    def __init__(self) -> None:
        """Begin with nothing that waits."""
        self._counts: dict[str, int] = {}
        self._system: dict[int, str] = {}
        self._newest: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self.unsaved: dict[str, int | None] = {}
        """The changes of what is remembered of data points (`OutboxFile.told`) since `saved`."""

    def load(
        self,
        counts: Mapping[str, int],
        system: Mapping[int, str],
        newest: Mapping[str, int],
        told: Mapping[str, int],
    ) -> None:
        """Begin with what waits in a file."""
        self._counts, self._system = dict(counts), dict(system)
        self._newest, self._told = dict(newest), dict(told)
        self.unsaved = {}

    @property
    def waiting(self) -> int:
        """The number of reports that wait."""
        return sum(self._counts.values())

    def add(self, row_id: int, key: str) -> None:
        """Note a report that waits from now on."""
        self._counts[key] = self._counts.get(key, 0) + 1
        if key in KEYS_SYSTEM:
            self._system[row_id] = key
        else:
            self._newest[key] = max(row_id, self._newest.get(key, row_id))

    def move(self, row_id: int, key: str, new_id: int) -> None:
        """Note that a waiting report got another id, behind all others of its key."""
        if self._system.pop(row_id, None) is not None:
            self._system[new_id] = key
        elif self._newest.get(key) == row_id:
            self._newest[key] = new_id

    def remove(self, row_id: int, key: str) -> None:
        """Note a report that waits no more, because it was dropped or is damaged."""
        left = self._counts.get(key, 0) - 1
        if left > 0:
            self._counts[key] = left
        else:
            self._counts.pop(key, None)
            if self._told.pop(key, None) is not None:
                self.unsaved[key] = None
        self._system.pop(row_id, None)
        if self._newest.get(key) == row_id:
            del self._newest[key]

    def deliver(self, row_id: int, key: str) -> None:
        """Note a report that the cloud has; those of its data point that are older are late now."""
        if (
            key not in KEYS_SYSTEM
            and row_id > self._told.get(key, 0)
            and self._counts.get(key, 0) > 1
        ):
            self._told[key] = self.unsaved[key] = row_id
        self.remove(row_id, key)

    def saved(self, written: Mapping[str, int | None]) -> None:
        """Note which of the changes in `unsaved` are on the disk now."""
        for key, value in written.items():
            if key in self.unsaved and self.unsaved[key] == value:
                del self.unsaved[key]

    def of_key(self, key: str) -> list[int]:
        """Return the ids of the reports of a key of the system."""
        return [row_id for row_id, found in self._system.items() if found == key]

    def is_newest(self, row_id: int, key: str) -> bool:
        """Return whether this is the newest value of its data point that waits."""
        return self._newest.get(key) == row_id

    def is_late(self, row_id: int, key: str) -> bool:
        """Return whether a newer value of the data point was delivered already."""
        return key not in KEYS_SYSTEM and row_id < self._told.get(key, 0)

    def has(self, key: str) -> bool:
        """Return whether a report of a key waits."""
        return key in self._counts

    def key_of_system(self, row_id: int) -> str | None:
        """Return the key of a waiting report on updates or identity, None if it is none."""
        return self._system.get(row_id)

    def first(self, limit: int) -> dict[int, str]:
        """Return what goes before the rest, in order: keys by id; at most ``limit``."""
        newest = {n: key for key, n in self._newest.items() if not self.is_late(n, key)}
        ordered = [*sorted(self._system.items()), *sorted(newest.items())]
        return dict(ordered[:limit])

    def settle(self, last_id: int) -> None:
        """Note that all in memory gets ids above ``last_id``, the last one of the file.

        What was delivered from memory is newer than all that was in the file then.
        """
        for key, told in self._told.items():
            if told > last_id:
                self._told[key] = self.unsaved[key] = last_id + 1
