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

from agent.link import LinkError, LinkState, LinkStatus, LostError
from agent.logs import Redactor
from agent.settings import LinkSettings
from base.backoff import Backoff
from wire.abilities import Abilities

# Seconds after which a link counts as stable, so that the back-off starts again.
STABLE_SECONDS = 30.0

_log = logging.getLogger(__name__)


class Session(Protocol):
    """One registered connection to the cloud."""

    @property
    def cloud_abilities(self) -> Abilities:
        """What the cloud reads; see `agent.link.Link.cloud_abilities`."""

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
        self, connector: Connector, settings: LinkSettings, secrets: Iterable[str]
    ) -> None:
        """Connect by ``connector``; ``secrets`` are cut from the errors that status and log show."""
        self._connector = connector
        self._settings = settings
        self._redactor = Redactor(secrets)
        self._backoff = Backoff(settings.retry_max_seconds)
        self._session: Session | None = None
        self.registered = asyncio.Event()
        self.status = LinkStatus(connector.server)

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
        started = time.monotonic()
        self._enter(LinkState.CONNECTING)
        self.status.tries += 1
        try:
            async with self._connector.connect(self._enter) as session:
                return await self._serve(session)
        except LinkError as error:
            return error
        finally:
            since = self.status.registered_since
            if since is not None and time.monotonic() - since > STABLE_SECONDS:
                self._backoff.reset()
            _log.debug("link: this try took %.1f s", time.monotonic() - started)

    async def _serve(self, session: Session) -> LinkError:
        self._session = session
        self._enter(LinkState.ONLINE)
        self.status.registered_since = time.monotonic()
        self.status.last_error = ""
        self.registered.set()
        _log.info("link: registered with %s", self.status.server)
        try:
            return LostError(await session.run())
        finally:
            self.registered.clear()
            self._session = None

    async def _wait(self, error: LinkError) -> None:
        if error.slow:
            seconds = self._backoff.jittered(self._settings.refused_retry_seconds)
        else:
            seconds = self._backoff.next()
        # The cloud's answer may quote our token, and this text appears in the status and the log.
        text = self._redactor.redact(str(error))
        # Repetitions of the same error are logged at DEBUG only.
        is_new = text != self.status.last_error
        _log.log(
            logging.WARNING if is_new else logging.DEBUG,
            "link: %s; next try in %.1f s", text, seconds,
        )  # fmt: skip
        self.status.last_error = text
        self._enter(LinkState.WAITING)
        self.status.next_try = time.monotonic() + seconds
        await asyncio.sleep(seconds)

    def _enter(self, state: LinkState) -> None:
        self.status.state = state
        self.status.next_try = None
        if state is not LinkState.ONLINE:
            self.status.registered_since = None
