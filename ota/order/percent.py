"""Report the progress of blocking work to the cloud: at 0, at 1, and at most once per interval."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ota.install.installer import Progress
from ota.order.reports import UpdateReports
from ota.order.worker import Interruptible
from wire.ota import OtaEvent

T = TypeVar("T")


class Percent:
    """The progress of a download or an installation; ``part`` is from 0 to 1."""

    def __init__(self, interval: float) -> None:
        """Report at most once per ``interval`` (seconds)."""
        self._interval = interval
        self.part: float | None = None

    async def report_during(
        self,
        effort: Interruptible,
        reports: UpdateReports,
        event: OtaEvent,
        work: Callable[[threading.Event, Progress], T],
    ) -> T:
        """Run ``work`` in ``effort`` and report its progress as ``event``; its errors propagate."""

        def seen(done: int, total: int) -> None:  # called in the worker; one store needs no lock
            self.part = done / total

        self.part = reported = 0.0
        await reports.percent(event, 0.0)

        async def report() -> None:
            nonlocal reported
            if reported != (part := self.part) and part is not None and part < 1.0:
                reported = part
                await reports.percent(event, part)

        result = await effort.run(lambda stop: work(stop, seen), report, self._interval)
        await reports.percent(event, 1.0)
        return result
