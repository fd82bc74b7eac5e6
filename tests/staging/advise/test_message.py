"""Messages that are right go and come back; what is wrong with others is said, and stops nobody."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.advise.framed import FramedPeer, frame
from staging.advise.message import REQUEST_ID, UNTIL, Message, decode, encode, request, show
from staging.advise.record import Known, LineSeen, Trace
from transport.coap import decode_message
from wire.framing import FrameDecoder

OPTIONS = st.lists(
    st.tuples(st.integers(1, 70000).map(lambda n: n % 65536), st.binary(max_size=300)), max_size=6
)


@given(
    kind=st.integers(0, 3), mid=st.integers(0, 65535), token=st.binary(max_size=8), options=OPTIONS,
    payload=st.binary(max_size=80),
)  # fmt: skip
def test_what_is_written_is_read(
    kind: int, mid: int, token: bytes, options: list[tuple[int, bytes]], payload: bytes
) -> None:
    ordered = tuple(sorted(options, key=lambda option: option[0]))
    message = Message(kind, 2, mid, token, ordered, payload)
    assert decode(encode(message)) == message


def test_it_is_what_the_cloud_reads_too() -> None:
    sent = request("PUT", ("newfirmware",), b"{}", ("transaction=7",))
    read = decode_message(encode(sent), None)
    assert (str(read.code), read.opt.uri_path, read.opt.uri_query) == (
        "PUT",
        ("newfirmware",),
        ("transaction=7",),
    )


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x40", "1 bytes are no header"),
        (b"\x00\x01\0\0", "version 0, expected 1"),
        (b"\x4f\x01\0\0" + b"t" * 15, "a token of 15 bytes, expected at most 8"),
        (b"\x44\x01\0\0ab", "the token is cut short"),
        (b"\x40\x01\0\0\xff", "a payload marker without a payload"),
        (b"\x40\x01\0\0\xb5ab", "option 11 is cut short"),
        (b"\x40\x01\0\0\xf0", "a reserved or cut option header"),
        (b"\x40\x00\0\0\xb1a", "an empty message with content"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, fault: str) -> None:
    assert fault in decode(data).faults


@given(st.binary(max_size=60))
def test_nothing_stops_it(data: bytes) -> None:
    assert show(decode(data))


@pytest.mark.parametrize(("method", "code"), [("GET", 1), ("POST", 2), ("PUT", 3), ("DELETE", 4)])
def test_a_request_is_the_rfcs_byte_for_byte(method: str, code: int) -> None:
    """RFC 7252, sections 3 and 12: a method's code, Uri-Path 11 and Uri-Query 15."""
    sent = replace(request(method, ("ab", "c"), b"", ("d=1",)), kind=0, mid=0x1234, token=b"")
    assert encode(sent) == b"\x40" + bytes((code,)) + b"\x12\x34\xb2ab\x01c\x43d=1"


def test_the_options_of_our_own_have_the_numbers_of_their_decision() -> None:
    """docs/adr/0033: the deadline of a request is option 65020, its name 65052."""
    sent = replace(
        request("PUT", ()), kind=0, mid=0, token=b"", options=((UNTIL, b"u"), (REQUEST_ID, b"r"))
    )
    numbers = [(65020).to_bytes(2, "big"), (65052).to_bytes(2, "big")]
    assert numbers == [b"\xfd\xfc", b"\xfe\x1c"]
    # A step beyond 268 is written in two bytes less 269, one beyond 12 in one byte less 13.
    first = (65020 - 269).to_bytes(2, "big")
    assert (
        encode(sent) == b"\x40\x03\0\0\xe1" + first + b"u\xd1" + bytes((65052 - 65020 - 13,)) + b"r"
    )


def test_a_report_in_blocks_is_put_together_and_each_block_is_asked_for() -> None:
    """RFC 7959: Block1 is option 27, of a number, whether more follow, and the size; 2.31 asks for the next."""
    sent = bytearray()
    bench: Any = SimpleNamespace(now=lambda: 1.0, wall_ms=lambda: 0)
    line: Any = SimpleNamespace(seen=LineSeen(1.0), write=sent.extend, close=lambda: None)
    peer = FramedPeer(bench, line, Known("a" * 14, "t"), Trace())
    for number, part, more in ((0, b'{"da', True), (1, b'ta":{}}', False)):
        head = b"\x40\x02\0" + bytes((number,)) + b"\xb2v1\x06device\x04data"  # CON POST
        block = b"\xd1\x03" + bytes((number << 4 | more << 3 | 6,))  # 27 is 11 and 13 and 3
        peer.take(frame(head + block + b"\xff" + part))
    answers = [decode(each) for each in FrameDecoder(1 << 20).feed(bytes(sent))]
    assert [(each.code, each.mid) for each in answers] == [(0x5F, 0), (0x44, 1)]
    assert [each.options for each in answers] == [((27, b"\x0e"),), ((27, b"\x16"),)]
    (arrival,) = peer.taken
    assert (arrival.method, arrival.payload) == ("POST", b'{"data":{}}')
