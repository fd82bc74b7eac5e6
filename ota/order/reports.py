"""The reports of an update to the cloud; a key per report prevents duplicates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from wire.ota import OtaEvent, OtaEventReport, OtaState, state_report
from wire.reports import KEY_OTA_EVENT, KEY_OTA_LOG, KEY_OTA_STATE


class Reporter(Protocol):
    """Takes reports: an outbox that keeps them until they are delivered."""

    async def __call__(
        self, key: str, value: Mapping[str, object], *, once: str | None = None
    ) -> None:
        """Take a report; it is durable when this returns.

        ``once``: a key; if a report with it was ever taken, also before a crash, do nothing.
        """
        ...


class UpdateReports:
    """The reports of one transaction; each is made once, except percents between 0 and 1."""

    def __init__(self, report: Reporter, transaction: str, name: str | None = None) -> None:
        """Send the reports of ``transaction`` to ``report``; ``name``: see `Task.report_name`."""
        self._report = report
        self._transaction = transaction
        self._name = name or transaction

    async def begin(self) -> None:
        """Report that the update begins (event 0)."""
        await self._event(OtaEvent.BEGIN, "begin")

    async def state(self, state: OtaState) -> None:
        """Report an ``ota_state``; the cloud shows INSTALLED after state 4."""
        name = "installed" if state is OtaState.INSTALLED else f"state-{int(state)}"
        value = state_report(self._transaction, state)
        await self._report(KEY_OTA_STATE, value, once=f"{self._name}:{name}")

    async def percent(self, event: OtaEvent, part: float) -> None:
        """Report the progress of the download (event 4) or installation (7); ``part``: 0 to 1."""
        name = f"{int(event)}-{int(part)}" if part in {0.0, 1.0} else None
        await self._event(event, name, percent=math.floor(part * 1000) / 1000)

    async def download_complete(self) -> None:
        """Report that the download is complete (event 5)."""
        await self._event(OtaEvent.DOWNLOAD_COMPLETE, "downloaded")

    async def final(self, event: OtaEvent, description: str | None) -> None:
        """Report the end of the transaction, once: event 10 (installed), or a failure and why."""
        await self._event(event, "final", description=description)

    async def log(self, version: str, lines: Sequence[str], name: str = "log") -> None:
        """Report the last lines that ``version`` logged before it was rolled back, if any.

        ``name`` tells the report of a failed trial from that of a confirmed version that was left.
        """
        if lines:
            value = {"transaction": self._transaction, "version": version, "lines": list(lines)}
            await self._report(KEY_OTA_LOG, value, once=f"{self._name}:{name}")

    async def _event(
        self,
        event: OtaEvent,
        name: str | None,
        *,
        percent: float | None = None,
        description: str | None = None,
    ) -> None:
        value = OtaEventReport(self._transaction, event, description, percent).to_json()
        once = None if name is None else f"{self._name}:{name}"
        await self._report(KEY_OTA_EVENT, value, once=once)
