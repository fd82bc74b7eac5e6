"""How far blocking work has come, told to the cloud at 0, at 1, and at most once an interval between."""

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
    """The part of a download or an installation that is done; ``part`` is from 0 to 1."""

    def __init__(self, interval: float) -> None:
        """Tell at most once an ``interval`` (seconds)."""
        self._interval = interval
        self.part: float | None = None

    async def told(
        self,
        effort: Interruptible,
        reports: UpdateReports,
        event: OtaEvent,
        work: Callable[[threading.Event, Progress], T],
    ) -> T:
        """Run ``work`` in ``effort`` and report how far it is as ``event``; raises what it raises."""

        def seen(done: int, total: int) -> None:  # in the worker; one store needs no lock
            self.part = done / total

        self.part = told = 0.0
        await reports.percent(event, 0.0)

        async def tell() -> None:
            nonlocal told
            if told != (part := self.part) and part is not None and part < 1.0:
                told = part
                await reports.percent(event, part)

        result = await effort.run(lambda stop: work(stop, seen), tell, self._interval)
        await reports.percent(event, 1.0)
        return result
