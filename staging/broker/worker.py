"""Keeps a worker's connection to the broker: connects, takes part, and begins anew when it breaks."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from base.backoff import Backoff
from staging.broker.gate import MEMBERS, RECEIVE_MAXIMUM, BrokerGate
from staging.broker.settings import CLOUD_USER, share_group
from staging.errors import StagingError
from transport.errors import TransportError
from transport.tls_socket import open_tls

CONNECT_TIMEOUT = 15.0
RETRY_MAX_SECONDS = 10.0
# A connection that lasted this many seconds was a good one: the waits begin again.
STABLE_SECONDS = 30.0
KEEPALIVE = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the workers' port of the broker is, and what proves each to the other."""

    host: str
    port: int
    ca: Path
    password: str = field(repr=False)


def check_extra() -> None:
    """Raise StagingError if paho-mqtt is not installed."""
    try:
        import transport.mqtt  # noqa: F401, PLC0415  # an extra
    except ImportError as error:
        raise StagingError("paho-mqtt is missing: pip install 'story-agent[mqtt]'") from error


class Worker:
    """One worker of the cloud at the broker."""

    def __init__(self, gate: BrokerGate, who: str, address: Callable[[], BrokerAddress]) -> None:
        """Serve by ``gate`` under the name ``who``.

        ``address()`` is asked before each connection, in a thread, because a server that starts
        anew gives its broker another port and password; it raises StagingError.
        """
        self._gate = gate
        self._who = who
        self._address = address
        self.ready = asyncio.Event()
        """Set while this worker takes part."""

    async def run(self) -> None:
        """Connect, serve, wait and repeat until cancelled."""
        backoff = Backoff(RETRY_MAX_SECONDS)
        while True:
            started = time.monotonic()
            reason = await self._live_once()
            if time.monotonic() - started > STABLE_SECONDS:
                backoff.reset()
            seconds = backoff.next()
            _log.warning("broker: %s; next try in %.1f s", reason, seconds)
            await asyncio.sleep(seconds)

    async def _live_once(self) -> str:
        from transport.mqtt import MqttConnection, MqttOptions, Will  # noqa: PLC0415  # an extra

        try:
            address = await asyncio.to_thread(self._address)
        except StagingError as error:
            return str(error)
        options = MqttOptions(
            client_id=f"worker-{self._who}",
            username=CLOUD_USER,
            password=address.password,
            keepalive=KEEPALIVE,
            receive_maximum=RECEIVE_MAXIMUM,
            will=Will(MEMBERS + self._who, b""),
        )
        try:
            context = await asyncio.to_thread(ssl.create_default_context, cafile=address.ca)
            async with asyncio.timeout(CONNECT_TIMEOUT):
                sock = await open_tls(address.host, address.port, context)
                connection = await MqttConnection.open(sock, options, self._gate.deliver)
        except (OSError, TimeoutError, TransportError) as error:
            # A timeout has no text.
            reason = str(error) or f"no answer within {CONNECT_TIMEOUT:g} s"
            return f"cannot connect to {address.host}:{address.port}: {reason}"
        return await self._serve(connection, share_group(address.password))

    async def _serve(self, connection: object, group: str) -> str:
        from transport.mqtt import MqttConnection  # noqa: PLC0415  # an extra

        assert isinstance(connection, MqttConnection)  # noqa: S101  # for type checkers
        try:
            await self._gate.begin(connection, group)
            self.ready.set()
            _log.info("broker: worker %s takes part", self._who)
            return await asyncio.shield(connection.ended)
        except TransportError as error:
            return str(error)
        finally:
            self.ready.clear()
            await self._gate.end("the broker is away")
            await connection.close(with_will=True)
