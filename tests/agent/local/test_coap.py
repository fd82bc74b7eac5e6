"""Where the agent serves CoAP: on loopback, on the port that is set, and as long as it runs."""

from __future__ import annotations

import socket

import pytest

from agent.local.coap import local_coap
from tests.ports import free_port
from transport.errors import TransportError
from wire.exchange import Answer, Request


async def answer(_request: Request) -> Answer:
    return Answer(0x45)


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
async def test_nothing_but_loopback_is_served(host: str) -> None:
    with pytest.raises(TransportError, match="expected a loopback address"):
        async with local_coap(answer, 5683, host):
            pass


async def test_the_port_is_taken_while_the_agent_runs() -> None:
    port = free_port()
    async with local_coap(answer, port):
        assert not is_free(port)
    assert is_free(port)


async def test_port_0_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("transport.datagram.DatagramServer")
    async with local_coap(answer, 0):
        pass
