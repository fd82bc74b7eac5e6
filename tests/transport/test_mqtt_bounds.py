"""The count of properties agrees with paho's own writer, and no bytes make it fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.extras import require
from transport.mqtt_bounds import has_place, has_too_many

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PROPERTIES_LIMIT = 64


def publish(properties: bytes, qos: int) -> bytes:
    return b"\x00\x03a/b" + (b"\x00\x07" if qos else b"") + properties + b"payload"


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize(("more", "too_many"), [(0, False), (1, True), (20_000, True)])
def test_a_message_with_one_property_too_many(qos: int, more: int, *, too_many: bool) -> None:
    require("paho")
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    made = Properties(PacketTypes.PUBLISH)
    made.ResponseTopic, made.CorrelationData = "story/a/up/answer/w", b"\x00" * 8
    made.MessageExpiryInterval, made.PayloadFormatIndicator = 10, 1
    made.UserProperty = [("x", "y" * 9)] * (PROPERTIES_LIMIT - 4)
    packed = made.pack()
    if more:
        body = packed[2:] + b"\x26\x00\x01x\x00\x01y" * more
        packed = length(len(body)) + body
    assert has_too_many(publish(packed, qos), qos) is too_many


def length(value: int) -> bytes:
    """Return a variable byte integer."""
    made = b""
    while True:
        value, digit = value >> 7, value & 0x7F
        made += bytes([digit | (0x80 if value else 0)])
        if not value:
            return made


@given(st.binary(max_size=400), st.sampled_from([0, 1, 2]))
def test_no_bytes_make_it_fail(packet: bytes, qos: int) -> None:
    assert has_too_many(packet, qos) in {True, False}
    assert has_place(packet, qos) in {True, False}


@pytest.mark.parametrize("qos", [0, 1])
def test_properties_have_their_place_in_the_packet_or_go_on_behind_it(qos: int) -> None:
    whole = publish(b"\x02\x01\x01", qos)[: -len(b"payload")]
    assert has_place(whole, qos)
    assert not any(has_place(whole[:size], qos) for size in range(len(whole)))


def test_many_of_every_kind_are_counted() -> None:
    body = (b"\x0b\x80\x01" + b"\x02\x00\x00\x00\x09" + b"\x01\x01") * 22
    assert has_too_many(publish(length(len(body)) + body, 1), 1)


def test_a_length_without_an_end_is_left_to_the_library() -> None:
    assert not has_too_many(publish(b"\xff" * 4, 1), 1)
