"""The cloud link: one framed CoAP connection over TLS, reconnected whenever it ends.

Connect, verify the server, register, then serve the cloud's requests and send reports until the
connection ends; wait and repeat. The certificate must chain to the profile's CA and match the
profile's host. The token is never sent to a server that fails this check.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from agent.logs import Redactor
from agent.settings import LinkSettings
from base.backoff import Backoff
from base.clock import TrustedTime
from base.tls_dates import check_dates, leave_dates
from transport.connection import Connection
from transport.errors import TransportError
from transport.framed import FramedEndpoint
from wire.codes import Code, dotted
from wire.errors import WireError, show
from wire.exchange import Answer, Handler
from wire.profile import Profile
from wire.reports import (
    KEEPALIVE,
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    parse_registration_answer,
    registration_payload,
    report_payload,
    report_query,
)

# Seconds. A report takes well under one, but a cloud that commits to a slow disk takes longer.
REPORT_TIMEOUT = 20.0
# Seconds after which a link counts as stable, so that the back-off starts again.
STABLE_SECONDS = 30.0
# Seconds to wait for TLS close_notify; asyncio's 30 s would delay the end of a half-open link.
GOODBYE_TIMEOUT = 2.0

_log = logging.getLogger(__name__)


class LinkState(Enum):
    """The state of the link; the values are shown in ``status``."""

    STOPPED = "stopped: the agent is starting or ending"
    CONNECTING = "connecting: TCP and TLS"
    REGISTERING = "registering: the cloud has not accepted us yet"
    ONLINE = "online: registered"
    WAITING = "waiting before the next try"


class LinkError(Exception):
    """The link is down; ``slow`` is true if retrying soon is pointless."""

    slow = False


class LinkDownError(LinkError):
    """There is no registered connection, or it was lost."""


class ServerUntrustedError(LinkError):
    """The server's certificate is invalid: wrong CA, wrong host, or expired."""

    slow = True


class RegistrationRefusedError(LinkError):
    """The cloud does not accept this uuid and token."""

    slow = True


class ReportRejectedError(Exception):
    """The cloud rejected a report with an error code; a retry would not help."""


@dataclass(slots=True)
class LinkStatus:
    """The link's status; times are seconds of the monotonic clock."""

    state: LinkState = LinkState.STOPPED
    last_error: str = ""
    tries: int = 0
    registered_since: float | None = None
    next_try: float | None = None

    def to_json(self, server: str) -> dict[str, object]:
        """Render for the local API's ``/status``, times as seconds from now."""
        now = time.monotonic()
        return {
            "server": server,
            "state": self.state.name.lower(),
            "meaning": self.state.value,
            "last_error": self.last_error or None,
            "tries": self.tries,
            "online_seconds": _rounded(self.registered_since, lambda at: now - at),
            "next_try_seconds": _rounded(self.next_try, lambda at: max(0.0, at - now)),
        }


def _rounded(at: float | None, difference: object) -> float | None:
    return None if at is None else round(difference(at), 1)  # type: ignore[operator]


class CloudLink:
    """Maintains one connection to the cloud; `run` never returns by itself."""

    def __init__(
        self,
        profile: Profile,
        settings: LinkSettings,
        handler: Handler,
        clock: TrustedTime | None = None,
    ) -> None:
        """Connect to the profile's cloud; its requests go to ``handler``.

        The server certificate's dates are checked against ``clock``, because the machine's clock
        may be wrong. ``clock`` also learns the time from the cloud.
        """
        self._clock = clock or TrustedTime()
        self._chain_end = 0.0
        self._profile = profile
        self._settings = settings
        self._handler = handler
        self._credentials = Credentials(profile.uuid, profile.token)
        self._redactor = Redactor(profile.secrets)
        self._tls = tls_context(profile.rsa_ca_crt)
        self._endpoint: FramedEndpoint | None = None
        self._connection: Connection | None = None
        self._backoff = Backoff(settings.retry_max_seconds)
        self.registered = asyncio.Event()
        self.status = LinkStatus()

    @property
    def server(self) -> str:
        """The cloud's host and port."""
        return f"{self._profile.server_addr}:{self._profile.coap_port}"

    async def run(self) -> None:
        """Connect, serve, wait and repeat until cancelled."""
        self._endpoint = await FramedEndpoint.create()
        try:
            while True:
                await self._wait(await self._live_once(self._endpoint))
        finally:
            self._set(LinkState.STOPPED)
            await self._endpoint.shutdown()

    async def report(self, data: Mapping[str, object]) -> None:
        """Send one report and wait for the cloud's answer.

        Raises:
            LinkDownError: not registered, or the link was lost before the answer.
            ReportRejectedError: the cloud answered with an error code.
        """
        endpoint, connection = self._endpoint, self._connection
        if endpoint is None or connection is None or not self.registered.is_set():
            raise LinkDownError("the link to the cloud is down")
        try:
            reply = await endpoint.request(
                connection,
                "POST",
                REPORT_PATH,
                report_payload(data),
                query=report_query(self._credentials),
                deadline=REPORT_TIMEOUT,
            )
        except TransportError as error:
            connection.close(f"a report failed: {error}")
            raise LinkDownError(str(error)) from error
        self._check_answer(connection, reply)

    @staticmethod
    def _check_answer(connection: Connection, reply: Answer) -> None:
        """Raise the error that a report's answer stands for (classes: RFC 7252 section 5.9)."""
        text = f"{dotted(reply.code)} {show(reply.payload)}"
        if reply.code == Code.UNAUTHORIZED:
            connection.close("the cloud no longer knows this registration")
            raise LinkDownError(text)
        if reply.code >> 5 == 5:
            raise LinkDownError(f"the cloud cannot take reports now: {text}")
        if reply.code >> 5 != 2:
            raise ReportRejectedError(text)

    async def _live_once(self, endpoint: FramedEndpoint) -> LinkError:
        """Run one connection from connect to end; return why it ended."""
        started = time.monotonic()
        try:
            connection = await self._connect()
            await self._serve(endpoint, connection)
        except LinkError as error:
            return error
        finally:
            lived = self.status.registered_since
            if lived is not None and time.monotonic() - lived > STABLE_SECONDS:
                self._backoff.reset()
            _log.debug("link: this try took %.1f s", time.monotonic() - started)
        return LinkDownError("the connection ended")

    async def _connect(self) -> Connection:
        self._set(LinkState.CONNECTING)
        self.status.tries += 1
        host, timeout = self._profile.server_addr, self._settings.connect_timeout_seconds
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_connection(
                    host,
                    self._profile.coap_port,
                    ssl=self._tls,
                    server_hostname=host,
                    ssl_shutdown_timeout=GOODBYE_TIMEOUT,
                )
            self._check_dates(writer)
        except ssl.SSLCertVerificationError as error:
            reason = f"the server's certificate is refused: {error.verify_message}"
            raise ServerUntrustedError(reason) from error
        except ssl.SSLError as error:
            raise ServerUntrustedError(f"TLS failed: {error.reason or error}") from error
        except TimeoutError as error:
            raise LinkDownError(f"no connection within {timeout:g} s") from error
        except OSError as error:
            raise LinkDownError(f"cannot connect: {error.strerror or error}") from error
        return Connection(reader, writer)

    def _check_dates(self, writer: asyncio.StreamWriter) -> None:
        """Check the certificate dates before anything is sent; raises SSLCertVerificationError."""
        try:
            self._chain_end = check_dates(writer.get_extra_info("ssl_object"), self._clock)
        except ssl.SSLCertVerificationError:
            writer.transport.abort()
            raise

    async def _serve(self, endpoint: FramedEndpoint, connection: Connection) -> None:
        """Register on an open connection and keep it alive until it ends."""
        serving = asyncio.create_task(endpoint.serve(connection, self._handler))
        try:
            await self._register(endpoint, connection)
            async with asyncio.TaskGroup() as group:
                alive = group.create_task(self._keep_alive(connection))
                reason = await asyncio.shield(serving)
                alive.cancel()
            raise LinkDownError(reason)
        finally:
            self.registered.clear()
            self._connection = None
            connection.close("the link ends")
            await serving

    async def _register(self, endpoint: FramedEndpoint, connection: Connection) -> None:
        self._set(LinkState.REGISTERING)
        try:
            reply = await endpoint.request(
                connection,
                "POST",
                REGISTER_PATH,
                registration_payload(self._credentials),
                deadline=self._settings.connect_timeout_seconds,
            )
        except TransportError as error:
            raise LinkDownError(f"registration: {error}") from error
        if reply.code >> 5 == 5:
            raise LinkDownError(f"registration: {dotted(reply.code)} {show(reply.payload)}")
        if reply.code != Code.CONTENT:
            text = f"the cloud refuses this device: {dotted(reply.code)} {show(reply.payload)}"
            raise RegistrationRefusedError(text)
        await self._note_time(reply.payload)
        self._connection = connection
        self._set(LinkState.ONLINE)
        self.status.registered_since = time.monotonic()
        self.status.last_error = ""
        self.registered.set()
        _log.info("link: registered with %s", self.server)

    async def _note_time(self, payload: bytes) -> None:
        try:
            seconds = parse_registration_answer(payload)
        except WireError as error:  # the document does not specify the payload
            _log.debug("link: the answer to the registration has no valid time: %s", error)
            return
        if seconds is not None:  # in a thread: it may write to disk
            await asyncio.to_thread(self._clock.note_cloud, seconds, self._chain_end)

    async def _keep_alive(self, connection: Connection) -> None:
        """Report ``alive`` regularly; a failure closes the connection, which ends `_serve`."""
        while True:
            await asyncio.sleep(self._settings.keepalive_seconds)
            try:
                await self.report(KEEPALIVE)
            except (LinkDownError, ReportRejectedError) as error:
                connection.close(f"keepalive: {error}")
                return

    async def _wait(self, error: LinkError) -> None:
        if error.slow:
            seconds = self._backoff.jittered(self._settings.refused_retry_seconds)
        else:
            seconds = self._backoff.next()
        # The cloud's answer may quote our token, and this text appears in the status and the log.
        text = self._redactor.cut(str(error))
        # Repetitions of the same error are logged at DEBUG only.
        news = text != self.status.last_error
        _log.log(
            logging.WARNING if news else logging.DEBUG,
            "link: %s; next try in %.1f s", text, seconds,
        )  # fmt: skip
        self.status.last_error = text
        self._set(LinkState.WAITING)
        self.status.next_try = time.monotonic() + seconds
        await asyncio.sleep(seconds)

    def _set(self, state: LinkState) -> None:
        self.status.state = state
        self.status.next_try = None
        if state is not LinkState.ONLINE:
            self.status.registered_since = None


def tls_context(ca_pem: str) -> ssl.SSLContext:
    """Return a context that trusts only the given CA, checks the host and requires TLS 1.2+.

    It does not check the certificates' dates; `base.tls_dates.check_dates` does.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_pem)
    return leave_dates(context)
