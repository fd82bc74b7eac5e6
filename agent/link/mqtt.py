"""The link by MQTT 5 over TLS, for clouds behind a broker: how to connect and register.

The same checks as the framed link's stand before the first byte: the server's certificate must chain
to the profile's CA, match its host and be in date. The device logs in at the broker with its uuid and
token, or with a client certificate, and then registers with the cloud, which may be another program
than the broker.

paho-mqtt is the extra [mqtt]. Without it the link says so in ``status``, and the machine plays on.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.link import (
    ClientCertificateError,
    ConnectError,
    LinkError,
    LinkState,
    MissingExtraError,
    NotAnsweredError,
    RegisterError,
    RegistrationRefusedError,
)
from agent.link.guard import Guard
from agent.link.mqtt_session import MqttSession
from agent.link.opening import Opener, tls_context
from agent.settings import LinkSettings
from base.clock import TrustedTime
from base.files import PEM_LIMIT, read_record
from transport.dial import show_server
from transport.errors import StreamClosedError, TransportError
from wire.abilities import DEVICE_READS, Abilities
from wire.errors import FieldError
from wire.exchange import Handler
from wire.profile import Profile
from wire.reports import Credentials
from wire.topics import Kind, State, Topic, state_payload

if TYPE_CHECKING:
    from transport.mqtt import MqttConnection, MqttOptions

DEFAULT_PORT = 8883
# Seconds. A broker declares a device dead after one and a half of it, but mosquitto 2.0 looks only every 6 s,
# so after 22 to 29 s; the device gives a silent broker up after 22 s (`transport.mqtt.PATIENCE_SECONDS`).
KEEPALIVE = 15
# Seconds for which the broker keeps the session of a device that is away; requests in it expire
# much earlier, so it need only outlive a short break.
SESSION_EXPIRY = 300
# Requests that the broker may hand over before the first is done.
RECEIVE_MAXIMUM = 16
# MQTT 5 section 3.2.2.2: client identifier, user name or password, not authorized, banned, method.
_REFUSALS = frozenset({133, 134, 135, 138, 140})
MISSING = f"paho-mqtt is missing: {MissingExtraError.remedy}"


_log = logging.getLogger(__name__)


class MqttConnector:
    """Connects to the broker at the profile's host, and registers with the cloud behind it."""

    def __init__(
        self,
        profile: Profile,
        settings: LinkSettings,
        handler: Handler,
        clock: TrustedTime,
        reads: Abilities = DEVICE_READS,
    ) -> None:
        """Take the same as `agent.link.framed.FramedConnector`."""
        self._profile = profile
        self._settings = settings
        self._clock = clock
        self._reads = reads
        self._port = broker_port(profile, settings)
        self._opener = Opener(
            profile.server_addr, self._port, tls_context(profile.rsa_ca_crt),
            settings.connect_timeout_seconds, clock,
        )  # fmt: skip
        self._guard = Guard(handler)
        self._run = secrets.token_hex(8)
        self._is_first = True

    @property
    def server(self) -> str:
        """The broker's host and port."""
        return f"{show_server(self._profile.server_addr, self._port)} (mqtt)"

    @contextlib.asynccontextmanager
    async def connect(self, enter: Callable[[LinkState], None]) -> AsyncIterator[MqttSession]:
        """Connect and register; leaving the context closes the connection. Raises LinkError."""
        session = MqttSession(
            Credentials(self._profile.uuid, self._profile.token),
            self._settings,
            self._guard,
            self._reads,
            self._run,
        )
        connection, chain_end = await self._open(session)
        try:
            enter(LinkState.REGISTERING)
            registered = await session.begin(connection)
            if registered.time_ms is not None:  # in a thread: it may write to disk
                seconds = registered.time_ms / 1000
                await asyncio.to_thread(self._clock.note_cloud, seconds, chain_end)
            yield session
        finally:
            await session.close()

    async def _open(self, session: MqttSession) -> tuple[MqttConnection, float]:
        """Return a connection that the broker accepted, and the end of its certificate chain."""
        try:
            # In a thread: the import reads many files.
            mqtt = await asyncio.to_thread(_import_mqtt)
        except ImportError as error:
            raise MissingExtraError(MISSING) from error
        self._opener.tls = await asyncio.to_thread(client_context, self._profile, self._settings)
        sock, chain_end = await self._opener.open_socket()
        timeout = self._settings.connect_timeout_seconds
        try:
            async with asyncio.timeout(timeout):
                connection = await mqtt.open(sock, self._options(), session.deliver)
        except TransportError as error:
            raise _refusal(error) from error
        except TimeoutError as error:
            raise NotAnsweredError(f"the broker does not answer within {timeout:g} s") from error
        self._is_first = False
        return connection, chain_end

    def _options(self) -> MqttOptions:
        from transport.mqtt import MqttOptions, Will  # noqa: PLC0415  # an extra

        uuid = self._profile.uuid
        with_password = not self._settings.client_certificate
        return MqttOptions(
            client_id=uuid,
            username=uuid if with_password else "",
            password=self._profile.token if with_password else "",
            keepalive=KEEPALIVE,
            # What a process before this one was handed, and may have carried out, is not for this one.
            clean_start=self._is_first,
            session_expiry=SESSION_EXPIRY,
            receive_maximum=RECEIVE_MAXIMUM,
            will=Will(str(Topic(uuid, Kind.STATE)), state_payload(State(online=False))),
        )


def client_context(profile: Profile, settings: LinkSettings) -> ssl.SSLContext:
    """Return the TLS context; raises ClientCertificateError if the certificate cannot be read."""
    context = tls_context(profile.rsa_ca_crt)
    certificate, key = settings.client_certificate, settings.client_key
    if certificate:
        try:
            for file in filter(None, (certificate, key)):
                read_record(Path(file), PEM_LIMIT)  # OpenSSL reads a device without an end
            context.load_cert_chain(Path(certificate), Path(key) if key else None, _no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = _certificate_fault(error, key)
            raise ClientCertificateError(
                f"link.client_certificate {certificate}: {reason}"
            ) from error
    return context


def check_extra() -> None:
    """Raise MissingExtraError if paho-mqtt is not installed; nothing is imported."""
    if importlib.util.find_spec("paho") is None:
        raise MissingExtraError(MISSING)


def _no_password() -> str:
    """Refuse an encrypted key, for which OpenSSL would ask at the terminal."""
    raise ValueError("its key is encrypted, expected one without a password")


def _certificate_fault(error: Exception, key: str) -> str:
    if isinstance(error, ssl.SSLError):
        where = f" and {key}" if key else ""
        return (
            f"expected a certificate and the key that belongs to it{where}, in PEM ({error.reason})"
        )
    return getattr(error, "strerror", None) or str(error)


def broker_port(profile: Profile, settings: LinkSettings) -> int:
    """Return the broker's port: the settings', else the profile's, else the usual one."""
    return settings.mqtt_port or profile_port(profile) or DEFAULT_PORT


def profile_port(profile: Profile) -> int:
    """Return the broker's port in the profile's ``configures.mqttPort``, 0 if there is none."""
    port = profile.configures.get("mqttPort", 0)
    is_port = isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536
    if is_port or "mqttPort" not in profile.configures:
        return port  # type: ignore[return-value]  # as checked
    # As with a wrong kind: the machine tries what is usual, and the factory sees why.
    problem = FieldError("configures.mqttPort", port, "a port from 1 to 65535")
    _log.error("profile: %s; the link uses %d", problem, DEFAULT_PORT)
    return 0


def _import_mqtt() -> type[MqttConnection]:
    from transport.mqtt import MqttConnection  # noqa: PLC0415  # an extra

    return MqttConnection


def _refusal(error: TransportError) -> LinkError:
    """Return the error for a broker that did not accept the connection."""
    reason = getattr(error, "reason", None)
    if reason in _REFUSALS:
        return RegistrationRefusedError(f"the broker refuses this device: {error}")
    if isinstance(error, StreamClosedError):
        return ConnectError(f"the broker hung up before it answered: {error}")
    return RegisterError(f"the broker takes no connection now: {error}")
