"""Requests to devices behind the broker: whose answer counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from staging.broker.peers import BrokerEndpoint, BrokerPeer
from tests.agent.parts import DEADLINE
from tests.extras import module_needs
from wire.exchange import Answer

module_needs("paho.mqtt")

if TYPE_CHECKING:
    from transport.mqtt import MqttConnection, Outgoing


class Wire:
    """A connection to the broker that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[Outgoing] = asyncio.Queue()

    async def publish(self, message: Outgoing, *, deadline: float) -> int:
        assert deadline == DEADLINE
        self.sent.put_nowait(message)
        return 0


async def test_a_device_cannot_answer_for_another() -> None:
    """It sees the numbers of its own requests, which tell the next ones."""
    wire = Wire()
    endpoint = BrokerEndpoint("w1", lambda: cast("MqttConnection", wire))
    peer = BrokerPeer("AA")
    asked = asyncio.create_task(endpoint.request(peer, "GET", ("volume",), deadline=DEADLINE))
    key = (await wire.sent.get()).correlation
    endpoint.settle("bb", key, Answer(0x45, b"16"))
    endpoint.settle("aa", key, Answer(0x45, b"3"))
    assert await asked == Answer(0x45, b"3")
    endpoint.settle("aa", key, Answer(0x45, b"4"))  # again: ignored
    assert (endpoint._waiting, peer.waiting) == ({}, set())
