"""What an update tells the cloud, each report with the key that keeps it from being told twice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from wire.ota import OtaEvent, OtaEventReport, OtaState, state_report
from wire.reports import KEY_OTA_EVENT, KEY_OTA_LOG, KEY_OTA_STATE


class Reporter(Protocol):
    """Where reports go: an outbox that keeps them until they are delivered."""

    async def __call__(
        self, key: str, value: Mapping[str, object], *, once: str | None = None
    ) -> None:
        """Take a report; it is durable when this returns.

        ``once``: a report with this key that was ever taken makes this call do nothing, also after
        a crash.
        """
        ...


class UpdateReports:
    """The reports of one transaction; all but percents between 0 and 1 are made once."""

    def __init__(self, report: Reporter, transaction: str) -> None:
        """Report as ``transaction`` through ``report``."""
        self._report = report
        self._transaction = transaction

    async def begin(self) -> None:
        """Event 0."""
        await self._event(OtaEvent.BEGIN, "begin")

    async def state(self, state: OtaState) -> None:
        """An ``ota_state``; 4 is the one that makes the cloud show INSTALLED."""
        name = "installed" if state is OtaState.INSTALLED else f"state-{int(state)}"
        value = state_report(self._transaction, state)
        await self._report(KEY_OTA_STATE, value, once=f"{self._transaction}:{name}")

    async def percent(self, event: OtaEvent, part: float) -> None:
        """Event 4 or 7 with ``part`` from 0 to 1."""
        name = f"{int(event)}-{int(part)}" if part in {0.0, 1.0} else None
        await self._event(event, name, percent=math.floor(part * 1000) / 1000)

    async def download_complete(self) -> None:
        """Event 5."""
        await self._event(OtaEvent.DOWNLOAD_COMPLETE, "downloaded")

    async def final(self, event: OtaEvent, description: str | None) -> None:
        """The one report that ends the transaction: event 10, or why it failed."""
        await self._event(event, "final", description=description)

    async def log(self, version: str, lines: Sequence[str]) -> None:
        """The last lines that ``version`` logged before it was given up; none: no report."""
        if lines:
            value = {"transaction": self._transaction, "version": version, "lines": list(lines)}
            await self._report(KEY_OTA_LOG, value, once=f"{self._transaction}:log")

    async def _event(
        self,
        event: OtaEvent,
        name: str | None,
        *,
        percent: float | None = None,
        description: str | None = None,
    ) -> None:
        value = OtaEventReport(self._transaction, event, description, percent).to_json()
        once = None if name is None else f"{self._transaction}:{name}"
        await self._report(KEY_OTA_EVENT, value, once=once)
