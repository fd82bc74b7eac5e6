"""Messages that are right go and come back; what is wrong with others is said, and stops nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.advise.message import Message, decode, encode, request, show
from transport.coap import decode_message

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
