"""A device whose token is renewed is pushed off the broker, and the old token lets nobody in again."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from staging.broker.host import BrokerHost
from staging.identity import ca
from staging.store import Database, devices
from tests.authority import LOOPBACK
from tests.broker import DEADLINE
from tests.staging.broker.test_host import OLD, host, until_in
from transport.errors import TransportError

pytestmark = pytest.mark.one_database

__all__ = ["host"]


async def test_a_renewed_token_ends_the_connection_of_before(
    host: BrokerHost, database: Database, certificates: ca.Certificates
) -> None:
    from transport.mqtt import MqttConnection, MqttOptions
    from transport.tls_socket import open_tls

    async def connect(token: str) -> MqttConnection:
        context = ssl.create_default_context(cafile=str(certificates.ca))
        sock = await open_tls(LOOPBACK, host._listeners.port, context)
        return await MqttConnection.open(sock, MqttOptions(OLD, OLD, token), lambda _: None)

    old = database.call(devices.get, OLD).token
    connection = await connect(old)
    new = database.call(devices.renew_token, OLD, 5).token
    async with asyncio.timeout(DEADLINE):
        await asyncio.shield(connection.ended)
    with pytest.raises(TransportError):
        await connect(old)
    await until_in(host, OLD, new, certificates)
