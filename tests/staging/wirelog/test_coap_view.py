"""What frames say, held against messages that aiocoap makes, and any bytes at all."""

from __future__ import annotations

from typing import Any

import aiocoap
from aiocoap.numbers.types import Type
from hypothesis import given
from hypothesis import strategies as st

from staging.wirelog.coap_view import describe, show_payload, split_message
from transport.coap import add_terms
from wire.exchange import Terms
from wire.framing import encode_frame


def frame(code: aiocoap.Code = aiocoap.POST, payload: bytes = b"", **options: Any) -> bytes:
    message = aiocoap.Message(code=code, payload=payload, _mtype=Type.CON, _mid=77, **options)
    message.token = b"\x01\x02"
    add_terms(message, Terms(1_495_000_000_000, b"\xaa" * 8))
    return encode_frame(message.encode())


def test_a_request_is_told_with_all_that_it_has() -> None:
    told = describe(
        frame(payload=b'{"data":{}}', uri_path=("v1", "data"), uri_query=("a=1", "b=2"))
    )
    assert told == {
        "type": "CON", "code": "0.02 POST", "id": 77, "token": "0102", "path": "/v1/data",
        "query": ["a=1", "b=2"], "payload": '{"data":{}}',
        "options": {"Until": 1_495_000_000_000, "Request-Id": "aa" * 8},
    }  # fmt: skip


def test_answers_blocks_and_pings_have_their_names() -> None:
    answer = aiocoap.Message(code=aiocoap.CONTENT, payload=b"\xff\xfe", _mtype=Type.ACK, _mid=1)
    answer.opt.block2 = (3, True, 6)
    told = describe(encode_frame(answer.encode()))
    assert (told["type"], told["code"], told["payload"]) == ("ACK", "2.05", "0xfffe")
    assert told["options"] == {"Block2": "3+ of 1024 bytes"}
    assert describe(encode_frame(b"\x40\0\x12\x34"))["code"] == "ping"
    assert describe(encode_frame(b"\x70\0\x12\x34"))["code"] == "pong"


def test_a_malformed_message_is_told_as_far_as_it_can_be_read() -> None:
    for message, problem in (
        (b"\x00\x01\0\x01", "CoAP version 0, expected 1"),
        (b"\x4f\x01\0\x01", "a token of 15 bytes, expected at most 8"),
        (b"\x40\x01\0\x01\xb5vol", "option 11 is cut short"),
        (b"\x40\x01\0\x01\xf0", "a reserved option header"),
        (b"\x40\x01\0\x01\xd0", "an option header is cut short"),
    ):
        told = describe(encode_frame(message))
        assert told["problem"] == problem
        assert told["id"] == 1
    assert "no frame" in str(describe(b"\xbe")["problem"])


@given(st.binary(max_size=200))
def test_any_bytes_are_described(data: bytes) -> None:
    for whole in (data, encode_frame(b"\x44" + data + bytes(4))):
        assert describe(whole)
        for _, start, end in split_message(whole).options:
            assert 0 <= start <= end <= len(whole)


def test_a_payload_is_text_or_hex() -> None:
    assert show_payload("小星星\n".encode()) == "小星星\n"
    assert show_payload(b"\x1b[2J") == "0x1b5b324a"
    star = "星星星".encode()
    assert show_payload(star[1:-2]) == "\ufffd星\ufffd"  # as the border of a block cuts it
