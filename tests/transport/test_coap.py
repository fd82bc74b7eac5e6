"""The CoAP decoder: it reads what RFC 7252 allows, and raises MessageFormatError for all else."""

from __future__ import annotations

import aiocoap
import pytest
from aiocoap.numbers.optionnumbers import OptionNumber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transport.coap import MessageFormatError, add_terms, decode_message, to_request
from wire.exchange import Terms

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MAX_OPTIONS = 64

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
SLOW_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)


@SLOW_MACHINE
@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4), st.binary(max_size=300))
def test_what_aiocoap_encodes_is_read(path: list[str], query: list[str], payload: bytes) -> None:
    sent = aiocoap.Message(
        code=aiocoap.POST,
        _mtype=aiocoap.CON,
        _mid=7,
        _token=b"\x01\x02",
        payload=payload,
        uri_path=path,
        uri_query=query,
        block1=(3, True, 6),
        size1=5000,
    )
    read = decode_message(sent.encode(), "peer")
    assert (read.code, read.mtype, read.mid, read.token) == (2, 0, 7, b"\x01\x02")
    assert (list(read.opt.uri_path), list(read.opt.uri_query)) == (path, query)
    assert tuple(read.opt.block1) == (3, True, 6)
    assert (read.opt.size1, read.payload, read.remote) == (5000, payload, "peer")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "no header"),
        ("400100", "no header"),
        ("00010001", "bad header"),
        ("80010001", "bad header"),
        ("4901000100000000000000000000", "bad header"),
        ("4f010001" + "00" * 15, "bad header"),
        ("4201000100", "bad header"),
        ("40200001", "bad code"),
        ("40e10001", "bad code"),
        ("4000000100", "bad code"),
        ("40000001ff00", "bad code"),
        ("40010001ff", "payload marker without"),
        ("40010001b2", "cut short"),
        ("40010001b261", "cut short"),
        ("40010001bd", "cut option header"),
        ("40010001be01", "cut option header"),
        ("40010001f0", "reserved"),
        ("40010001bf", "reserved"),
        ("40010001b1ff", "not UTF-8"),
        ("40010001d116" + "78", "critical option 35"),
        ("40010001e1fefe" + "78", "critical option 65547"),
        ("40010001d40e00000000", "critical option 27 is unknown or too long"),
    ],
)
def test_what_is_no_coap_is_said_so(data: str, why: str) -> None:
    with pytest.raises(MessageFormatError, match=why):
        decode_message(bytes.fromhex(data), None)


def test_options_without_end_are_refused() -> None:
    head = bytes.fromhex("40010001")
    path = b"\xb1a" + b"\x01a" * (MAX_OPTIONS - 1)
    assert len(decode_message(head + path, None).opt.uri_path) == MAX_OPTIONS
    with pytest.raises(MessageFormatError, match="more than"):
        decode_message(head + path + b"\x01a", None)


def test_elective_options_that_are_not_used_are_left_out() -> None:
    # Content-Format 60000, Accept 0, elective 2050.
    message = decode_message(bytes.fromhex("40020001c2ea6050e106f4aaff62"), None)
    assert list(message.opt.option_list()) == []
    assert message.payload == b"b"


def test_a_peer_cannot_fill_the_tables_of_option_numbers() -> None:
    known = len(OptionNumber._value2member_map_)
    for number in range(3000, 4000, 2):
        head = bytes.fromhex("40020001e0") + (number - 269).to_bytes(2, "big")
        decode_message(head, None)
    assert len(OptionNumber._value2member_map_) == known


@SLOW_MACHINE
@given(st.binary(max_size=120), st.sampled_from([b"", b"\x40\x02\x00\x01", b"\x52\x45\x00\x01ab"]))
def test_arbitrary_bytes_give_a_message_or_a_format_error(data: bytes, head: bytes) -> None:
    try:
        message = decode_message(head + data, None)
    except MessageFormatError:
        return
    assert (head + data).endswith(message.payload)


@pytest.mark.parametrize("terms", [Terms(1_800_000_000_000, b"12345678"), Terms(1)])
def test_a_deadline_and_an_id_are_read_as_they_were_sent(terms: Terms) -> None:
    sent = aiocoap.Message(code=aiocoap.PUT, _mtype=aiocoap.CON, _mid=7, uri_path=["volume"])
    add_terms(sent, terms)
    read = to_request(decode_message(sent.encode(), None))
    assert (read.method, read.path) == ("PUT", ("volume",))
    assert (read.until_ms, read.id) == (terms.until_ms, terms.id)
