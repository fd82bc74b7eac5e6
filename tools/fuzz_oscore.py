"""What `tools.fuzz` feeds to OSCORE: broken packets of strangers, and broken requests inside a good key's encryption."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

Kind = tuple[str, Sequence[bytes], Callable[[bytes], object], tuple[type[Exception], ...]]


def oscore_targets() -> list[Kind]:
    """Return name, good inputs, reader and its errors of each; none without the extra [oscore]."""
    if importlib.util.find_spec("cbor2") is None:
        return []
    import aiocoap  # noqa: PLC0415  # after the extra is found
    from aiocoap import error as coap_error  # noqa: PLC0415
    from aiocoap.message import Direction  # noqa: PLC0415

    from transport import oscore  # noqa: PLC0415
    from transport.coap import DATAGRAM_OPTIONS, MessageFormatError, decode_message, to_request  # noqa: PLC0415
    from wire.lan_keys import Keys  # noqa: PLC0415

    keys = Keys(b"abc", b"\x01", bytes(range(16)), b"salt")

    async def reserve(_number: int) -> None:
        """Keep no number: nothing survives this program."""

    class Client(oscore.ClientContext):
        """The other end of the keys, which encrypts whatever it is given."""

        inside = b""

        def _split_message(self, message: Any, _request_id: Any) -> tuple[Any, bytes]:
            return aiocoap.Message(code=message.code), self.inside

    client = Client(Keys(keys.server_id, keys.client_id, keys.secret, keys.salt), 0, reserve)
    machine = oscore.ClientContext(keys, 0, reserve)

    def find(client_id: bytes) -> Any:
        return machine if client_id == keys.client_id else None

    def take(data: bytes) -> object:
        machine.recipient_replay_window.initialize_empty()  # each input is the first
        request = decode_message(data, None, DATAGRAM_OPTIONS)
        asked, _ = oscore.open_request(oscore.find_context(request, find), request)
        oscore.check_inside(asked)
        return to_request(asked)

    def pack(inside: bytes) -> bytes:
        client.inside = inside
        client._reserved = client.sender_sequence_number + oscore.RESERVE  # noqa: SLF001  # see reserve
        message = aiocoap.Message(code=aiocoap.POST, _mtype=0, _mid=1, _token=b"T")
        message.direction = Direction.OUTGOING
        protected, _ = client.protect(message)
        protected.mtype, protected.mid, protected.token = aiocoap.CON, 1, b"T"
        return bytes(protected.encode())

    request = bytes.fromhex("03b6") + b"volume" + b"\xff5"
    errors = (MessageFormatError, oscore.RefusedError, coap_error.RenderableError)
    return [
        ("OSCORE of strangers", [pack(request)], take, errors),
        ("inside of OSCORE", [request], lambda data: take(pack(data)), errors),
    ]
