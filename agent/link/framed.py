"""The link by framed CoAP over TLS: how to connect and register, and one session.

The server's certificate must chain to the profile's CA and match the profile's host. The token is
never sent to a server that fails this check.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Callable, Mapping

from agent.link import (
    LinkError,
    LinkState,
    LostError,
    NotAnsweredError,
    ReportRejectedError,
)
from agent.link.cloud import Heartbeat, check_report, read_registration
from agent.link.guard import CloudTime, Guard
from agent.link.opening import Opener, tls_context
from agent.settings import LinkSettings
from base.clock import TrustedTime
from transport.connection import Connection
from transport.dial import show_server
from transport.errors import TransportError
from transport.framed import FramedEndpoint
from wire.abilities import DEVICE_READS, PING, Abilities
from wire.exchange import Handler
from wire.profile import Profile
from wire.reports import (
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    Registered,
    abilities_report,
    registration_payload,
    report_payload,
    report_query,
)

# Seconds. A report takes well under one, but a cloud that commits to a slow disk takes longer.
REPORT_TIMEOUT = 20.0

_log = logging.getLogger(__name__)


class FramedConnector:
    """Connects to the profile's cloud and registers there."""

    def __init__(
        self,
        profile: Profile,
        settings: LinkSettings,
        handler: Handler,
        clock: TrustedTime,
        reads: Abilities = DEVICE_READS,
    ) -> None:
        """Pass the cloud's requests to ``handler``; ``reads`` is what this device says that it reads.

        The server certificate's dates are checked against ``clock``, because the machine's clock
        may be wrong. ``clock`` also learns the time from the cloud.
        """
        self._profile = profile
        self._settings = settings
        self._guard = Guard(handler)
        self._clock = clock
        self._reads = reads
        self._opener = Opener(
            profile.server_addr, profile.coap_port, tls_context(profile.rsa_ca_crt),
            settings.connect_timeout_seconds, clock,
        )  # fmt: skip

    @property
    def server(self) -> str:
        """The cloud's host and port."""
        return show_server(self._profile.server_addr, self._profile.coap_port)

    @contextlib.asynccontextmanager
    async def connect(self, enter: Callable[[LinkState], None]) -> AsyncIterator[FramedSession]:
        """Connect and register; leaving the context closes the connection. Raises LinkError."""
        (reader, writer), chain_end = await self._opener.open()
        connection = Connection(reader, writer)
        credentials = Credentials(self._profile.uuid, self._profile.token)
        session = FramedSession(
            await FramedEndpoint.create(), connection, credentials, self._settings, self._guard,
            self._reads,
        )  # fmt: skip
        try:
            enter(LinkState.REGISTERING)
            registered = await session.register()
            await self._note_time(registered.time_ms, chain_end)
            yield session
        finally:
            await session.close()

    async def _note_time(self, time_ms: int | None, chain_end: float) -> None:
        if time_ms is not None:  # in a thread: it may write to disk
            await asyncio.to_thread(self._clock.note_cloud, time_ms / 1000, chain_end)


class FramedSession:
    """One connection to the cloud, and what belongs to it alone."""

    def __init__(
        self,
        endpoint: FramedEndpoint,
        connection: Connection,
        credentials: Credentials,
        settings: LinkSettings,
        guard: Guard,
        reads: Abilities = DEVICE_READS,
    ) -> None:
        """Start to serve ``connection``; the cloud's requests go to ``guard``."""
        self._reads = reads
        self._endpoint = endpoint
        self._connection = connection
        self._credentials = credentials
        self._settings = settings
        self.cloud_abilities: Abilities = frozenset()
        self._time = CloudTime()
        self._heartbeat = Heartbeat(self.send, self._time, settings.keepalive_seconds)
        handler = functools.partial(guard.handle, time=self._time)
        self._serving = asyncio.create_task(endpoint.serve(connection, handler))

    @property
    def warning(self) -> str:
        """What is wrong though the connection is up, "" if nothing is."""
        return self._heartbeat.warning

    async def register(self) -> Registered:
        """Register this device; return what the cloud tells about itself. Raises RegisterError."""
        payload = registration_payload(self._credentials)
        deadline = self._settings.connect_timeout_seconds
        asked = self._time.clock()
        try:
            answer = await self._endpoint.request(
                self._connection, "POST", REGISTER_PATH, payload, deadline=deadline
            )
        except TransportError as error:
            raise NotAnsweredError(f"registration: {error}") from error
        registered = read_registration(answer)
        self.cloud_abilities = registered.reads
        if PING in registered.reads:
            self._endpoint.watch(self._connection)
        if registered.time_ms is not None:
            self._time.note(registered.time_ms, asked)
        return registered

    async def report(self, data: Mapping[str, object]) -> None:
        """Send one report and wait for the cloud's answer; raises as `send`."""
        await self.send(report_payload(data))

    async def send(self, payload: bytes) -> bytes:
        """Send the payload of a report or a batch; return the payload of the cloud's answer.

        Raises:
            LostError: the connection ended before the answer, or the cloud no longer knows us.
            CloudBusyError: the cloud cannot take reports now.
            ReportRejectedError: the cloud answered with another error code.
        """
        try:
            answer = await self._endpoint.request(
                self._connection,
                "POST",
                REPORT_PATH,
                payload,
                query=report_query(self._credentials),
                deadline=REPORT_TIMEOUT,
            )
        except TransportError as error:
            # Not an orderly close: nobody may be there any more to take part in it.
            self._connection.reset(f"a report failed: {error}")
            raise LostError(str(error)) from error
        try:
            check_report(answer)
        except LostError:
            self._connection.close("the cloud no longer knows this registration")
            raise
        return answer.payload

    async def run(self) -> str:
        """Keep the connection alive until it ends; return the reason, in words."""
        async with asyncio.TaskGroup() as group:
            alive = group.create_task(self._keep_alive())
            if self.cloud_abilities:
                group.create_task(self._announce())
            reason = await asyncio.shield(self._serving)
            alive.cancel()
        return reason

    async def _keep_alive(self) -> None:
        """End the connection, which ends `run`, when a heartbeat fails."""
        self._connection.close(await self._heartbeat.run())

    async def _announce(self) -> None:
        """Tell a cloud that reads more than the document what we read; it may have restarted."""
        try:
            await self.report(abilities_report(self._credentials.uuid, self._reads))
        except (LinkError, ReportRejectedError) as error:
            _log.debug("link: the cloud does not know what this device reads: %s", error)

    async def close(self) -> None:
        """Close the connection, and wait for the handlers of its requests."""
        try:
            self._connection.close("the link ends")
            await self._serving
        finally:
            await self._endpoint.shutdown()
