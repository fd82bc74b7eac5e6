"""Which numbered reports of a device are stored already, so that a repeat is dropped (docs/adr/0034).

A device's epoch is one start of its agent; of each, the numbers that arrived are kept as ranges. They
arrive nearly in order, so a few ranges are enough. What is forgotten, because a device has used too
many epochs or numbers too scattered, may come twice: never is a new report taken for a repeat.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from staging.store.models import ReportEpoch
from staging.store.prepared import Prepared

# Of a device. An epoch whose reports waited for days may come after many younger ones.
EPOCHS_LIMIT = 64
# Of an epoch: one for each data point that was sent before older values of it, and some for gaps.
RANGES_LIMIT = 128

Ranges = Sequence[Sequence[int]]


def add(ranges: Ranges, number: int) -> list[list[int]] | None:
    """Return ``ranges`` (first and last, ascending, apart) with ``number``; None if it is in them."""
    place = bisect.bisect_right(ranges, number, key=lambda each: each[0])
    if place and number <= ranges[place - 1][1]:
        return None
    added = [list(each) for each in ranges]
    if place and added[place - 1][1] == number - 1:
        added[place - 1][1] = number
    else:
        added.insert(place, [number, number])
        place += 1
    if place < len(added) and added[place][0] == number + 1:
        added[place - 1][1] = added.pop(place)[1]
    return added[-RANGES_LIMIT:]


class Seen:
    """The numbers of one device's epoch in a transaction; `write` keeps what was added."""

    def __init__(self, session: Session, device_id: int, epoch: str, now: int) -> None:
        """Load what is known of ``epoch``; ``now`` is in ms."""
        self._connection = session.connection()
        self._place = {"device": device_id, "name": epoch}
        self._now = now
        self._is_changed = False
        found = self._connection.execute(_RANGES, self._place).first()
        # A row that cannot be read knows nothing: a repeat may come twice, and no report is refused.
        self._ranges: Ranges = (found[0] if found else None) or []
        if found is None:
            new = {"device_id": device_id, "epoch": epoch, "ranges": [], "use_time": now}
            self._connection.execute(insert(ReportEpoch), new)
            _forget_oldest(self._connection, device_id)

    def is_new(self, number: int) -> bool:
        """Note a report's number; return False if it was noted before."""
        ranges = add(self._ranges, number)
        if ranges is None:
            return False
        self._ranges, self._is_changed = ranges, True
        return True

    def write(self) -> None:
        """Write the numbers that were noted."""
        if self._is_changed:
            told = {"ranges_now": self._ranges, "at": self._now}
            _KEEP.run(self._connection, {**self._place, **told})


_OF_EPOCH = (ReportEpoch.device_id == bindparam("device"), ReportEpoch.epoch == bindparam("name"))
_RANGES = select(ReportEpoch.ranges).where(*_OF_EPOCH)
_KEEP = Prepared(
    update(ReportEpoch)
    .where(*_OF_EPOCH)
    .values(ranges=bindparam("ranges_now"), use_time=bindparam("at"))
)


def _forget_oldest(connection: Connection, device_id: int) -> None:
    of_device = select(ReportEpoch.epoch).where(ReportEpoch.device_id == device_id)
    kept = of_device.order_by(ReportEpoch.use_time.desc(), ReportEpoch.epoch).limit(EPOCHS_LIMIT)
    connection.execute(
        delete(ReportEpoch).where(
            ReportEpoch.device_id == device_id, ReportEpoch.epoch.not_in(kept.scalar_subquery())
        )
    )
