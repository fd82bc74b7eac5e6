"""A second kind of link, in memory: what of the agent works with it needs the seam alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from agent.link import (
    LinkError,
    LinkListener,
    LinkState,
    LinkStatus,
    LostError,
    ReportRejectedError,
    tell_nobody,
)
from wire.exchange import Answer, Handler, Request
from wire.numbered import parse_reports
from wire.reports import report_payload


class MemoryLink:
    """A link to a cloud in this process; ``script`` holds the errors of the next reports, in order."""

    def __init__(
        self,
        *script: LinkError | ReportRejectedError | None,
        handler: Handler | None = None,
        is_up: bool = True,
    ) -> None:
        self.script = list(script)
        self.tried: list[dict[str, object]] = []
        self.reports: list[dict[str, object]] = []
        self.payloads: list[dict[str, object]] = []
        self.registered, self.ended = asyncio.Event(), asyncio.Event()
        self.on_change: LinkListener = tell_nobody
        self.status = LinkStatus("memory")
        self.cloud_abilities: frozenset[str] = frozenset()
        self._handler = handler
        if is_up:
            self.registered.set()

    async def run(self) -> None:
        """Register, and stay registered until cancelled."""
        self.status.state = LinkState.ONLINE
        self.registered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.registered.clear()
            self.ended.set()
            self.status.state = LinkState.STOPPED

    async def report(self, data: Mapping[str, object]) -> None:
        """Take a report as a cloud gets it, after JSON, or fail as the script says."""
        await self.send(report_payload(data))

    async def send(self, payload: bytes) -> bytes:
        """Take the payload of a report or of a batch, or fail as the script says."""
        if not self.registered.is_set():
            raise LostError("the link to the cloud is down")
        got = parse_reports(payload)
        reports = [dict(report.data) for report in got.reports]
        self.payloads.append(json.loads(payload))
        self.tried += reports
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error
        self.reports += reports
        return b""

    async def ask(self, method: str, name: str, payload: bytes = b"") -> Answer:
        """Send the device a request, as the cloud does."""
        assert self._handler
        return await self._handler(Request(method, tuple(name.split("/")), payload=payload))
