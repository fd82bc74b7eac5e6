"""Ends a device's connection at the broker, as of one whose token was renewed.

mosquitto asks for a password once, when a client connects. A client of the same name takes its place (MQTT 5,
3.1.4), and on the workers' port a client may have any name: so the cloud connects with the device's, and goes.
"""

from __future__ import annotations

import asyncio
import ssl

from staging.broker.settings import CLOUD_USER
from staging.broker.worker import BrokerAddress
from transport.errors import TransportError
from transport.tls_socket import open_tls

# The broker is on this machine; it is answered within milliseconds, or after its restart.
TIMEOUT = 3.0


async def kick(address: BrokerAddress, uuid: str) -> None:
    """Push the device ``uuid`` off the broker; raises TransportError or OSError."""
    from transport.mqtt import MqttConnection, MqttOptions  # noqa: PLC0415  # an extra

    options = MqttOptions(client_id=uuid, username=CLOUD_USER, password=address.password)
    context = await asyncio.to_thread(ssl.create_default_context, cafile=address.ca)
    try:
        async with asyncio.timeout(TIMEOUT):
            sock = await open_tls(address.host, address.port, context)
            connection = await MqttConnection.open(sock, options, lambda _message: None)
    except TimeoutError as error:
        raise TransportError(f"the broker does not answer within {TIMEOUT:g} s") from error
    await connection.close()
