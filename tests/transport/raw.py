"""What the tests with a raw peer share: reading its messages, and whether the connection still works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transport.coap import decode_message

if TYPE_CHECKING:
    from aiocoap import Message

    from tests.transport.conftest import Bench, RawPeer


GET, POST = 1, 2


async def still_answers(bench: Bench, peer: RawPeer, mid: int = 0xFFF0) -> None:
    """Check that the connection still works; answers to earlier requests are skipped."""
    peer.send(bench.coap(bench.CON, GET, mid, b"ok", bench.encoded_path, b"alive"))
    while (answer := await receive(peer)).token != b"ok":
        pass
    assert (answer.mid, answer.payload) == (mid, b"alive")


async def receive(peer: RawPeer) -> Message:
    return decode_message(await peer.receive(), None)
