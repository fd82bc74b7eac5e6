"""The reconnect loop that every kind of link shares: connect, serve, wait and repeat.

A kind of link is a `Connector`, which makes `Session`s; this module decides when to make the next
one and keeps the status.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from agent.link import (
    LinkError,
    LinkListener,
    LinkState,
    LinkStatus,
    LostError,
    OutOfDateError,
    tell_nobody,
)
from agent.link.outage import OutageLog
from agent.link.pace import Pace, clock_was_set
from agent.logs import Redactor
from agent.settings import LinkSettings
from base.clock import boot_ticks
from wire.abilities import Abilities

# Seconds between two looks at the clock while a certificate is out of date.
CLOCK_POLL_SECONDS = 1.0
wall_clock = time.time

_log = logging.getLogger(__name__)


class Session(Protocol):
    """One registered connection to the cloud."""

    @property
    def cloud_abilities(self) -> Abilities:
        """What the cloud reads; see `agent.link.Link.cloud_abilities`."""

    @property
    def warning(self) -> str:
        """What is wrong though the connection is up, "" if nothing is."""

    async def report(self, data: Mapping[str, object]) -> None:
        """Send one report; see `agent.link.Link.report`."""

    async def send(self, payload: bytes) -> bytes:
        """Send the payload of a report or a batch; see `agent.link.Link.send`."""

    async def run(self) -> str:
        """Keep the connection alive until it ends; return the reason, in words."""


class Connector(Protocol):
    """Makes connections of one kind to one cloud."""

    @property
    def server(self) -> str:
        """The cloud's host and port."""

    def connect(self, enter: Callable[[LinkState], None]) -> AbstractAsyncContextManager[Session]:
        """Connect and register; leaving the context closes the connection.

        ``enter`` is called with each state that is reached on the way. Raises LinkError.
        """


class ReconnectingLink:
    """Keeps one session with the cloud; `run` never returns by itself."""

    def __init__(
        self,
        connector: Connector,
        settings: LinkSettings,
        secrets: Iterable[str],
        on_trial: Callable[[], bool] = lambda: False,
    ) -> None:
        """Connect by ``connector``.

        ``secrets`` are cut from the errors that status and log show; ``on_trial`` returns whether
        this version has yet to prove itself.
        """
        self._connector = connector
        self._outage = OutageLog(time.monotonic)
        self._redactor = Redactor(secrets)
        self._pace = Pace(settings, on_trial)
        self._session: Session | None = None
        self.registered, self.ended = asyncio.Event(), asyncio.Event()
        self.ended.set()
        self.on_change: LinkListener = tell_nobody
        self._status = LinkStatus(connector.server)

    @property
    def status(self) -> LinkStatus:
        """What the link does now, for people."""
        self._status.warning = "" if self._session is None else self._session.warning
        return self._status

    @property
    def cloud_abilities(self) -> Abilities:
        """What the cloud reads; see `agent.link.Link.cloud_abilities`."""
        return frozenset() if self._session is None else self._session.cloud_abilities

    async def run(self) -> None:
        """Connect, serve, wait and repeat until cancelled."""
        try:
            while True:
                await self._wait(await self._live_once())
        finally:
            self._enter(LinkState.STOPPED)

    async def report(self, data: Mapping[str, object]) -> None:
        """Send one report and wait for the cloud's answer; see `agent.link.Link.report`."""
        await self._on().report(data)

    async def send(self, payload: bytes) -> bytes:
        """Send a payload and wait for the cloud's answer; see `agent.link.Link.send`."""
        return await self._on().send(payload)

    def _on(self) -> Session:
        if self._session is None:
            raise LostError("the link to the cloud is down")
        return self._session

    async def _live_once(self) -> LinkError:
        """Run one session from connect to end; return why it ended."""
        self._enter(LinkState.CONNECTING)
        self.status.tries += 1
        try:
            async with self._connector.connect(self._enter) as session:
                return await self._serve(session)
        except LinkError as error:
            return error

    async def _serve(self, session: Session) -> LinkError:
        self._session = session
        self._enter(LinkState.ONLINE)
        self.status.registered_since = time.monotonic()
        self.status.last_error = self.status.phase = self.status.remedy = ""
        self._outage.over()
        self.registered.set()
        self.ended.clear()
        self.on_change(is_up=True, phase="")
        _log.info("link: registered with %s", self.status.server, extra={"event": "online"})
        try:
            return LostError(await session.run())
        finally:
            self.registered.clear()
            self.ended.set()
            self._session = None

    async def _wait(self, error: LinkError) -> None:
        since = self.status.registered_since
        seconds = self._pace.wait_after(error, None if since is None else time.monotonic() - since)
        self._note(error, seconds)
        self._enter(LinkState.WAITING)
        self.status.next_try = time.monotonic() + seconds
        if isinstance(error, OutOfDateError):
            await _sleep_until_clock_is_set(seconds)
        else:
            await asyncio.sleep(seconds)

    def _note(self, error: LinkError, seconds: float) -> None:
        # The cloud's answer may quote our token, and this text appears in the status and the log.
        text = self._redactor.redact(str(error)) or type(error).__name__
        level = logging.WARNING if self._outage.is_news(text) else logging.DEBUG
        _log.log(
            level, "link: %s: %s; next try in %.1f s; what to do: %s",
            error.phase, text, seconds, error.remedy, extra={"event": "offline"},
        )  # fmt: skip
        self.status.last_error = text
        self.status.phase, self.status.remedy = error.phase, error.remedy
        self.status.failed.add(error.phase)
        self.on_change(is_up=False, phase=error.phase)

    def _enter(self, state: LinkState) -> None:
        self.status.state = state
        self.status.next_try = None
        if state is not LinkState.ONLINE:
            self.status.registered_since = None


async def _sleep_until_clock_is_set(seconds: float) -> None:
    """Sleep, but no longer than until the clock is set: then a certificate may be in date."""
    before = (wall_clock(), boot_ticks())
    end = before[1] + seconds
    while (now := boot_ticks()) < end:
        await asyncio.sleep(min(CLOCK_POLL_SECONDS, end - now))
        if clock_was_set(before, (wall_clock(), boot_ticks())):
            return
