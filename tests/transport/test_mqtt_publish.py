"""What a PUBLISH says is written and read as paho does it, and what is not read is left to it."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.extras import require
from transport.mqtt_publish import Published, read_publish, write_properties

Words = list[tuple[str, str]]
TEXT = st.text(max_size=12)
WORDS = st.lists(st.tuples(TEXT, TEXT), max_size=4)


def by_paho(
    expiry: int | None = None,
    topic: str = "",
    correlation: bytes = b"",
    words: Words | None = None,
) -> bytes:
    require("paho")
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    made: Any = Properties(PacketTypes.PUBLISH)
    if expiry is not None:
        made.MessageExpiryInterval = expiry
    if topic:
        made.ResponseTopic = topic
    if correlation:
        made.CorrelationData = correlation
    if words:
        made.UserProperty = words
    return bytes(made.pack())


def packet(properties: bytes, qos: int = 1, topic: bytes = b"a/b", payload: bytes = b"{}") -> bytes:
    mid = b"\x01\x07" if qos else b""
    return struct.pack(">H", len(topic)) + topic + mid + properties + payload


def read_by_paho(data: bytes, qos: int) -> Published | None:
    """Return what paho reads; None: it refuses it, or its topic."""
    require("paho")
    from paho.mqtt._packet import decode_publish
    from paho.mqtt.enums import MQTTProtocolVersion
    from paho.mqtt.exception import MalformedPacket

    try:
        found = decode_publish(0x30 | qos << 1, bytearray(data), MQTTProtocolVersion.MQTTv5)
        topic = found.topic.decode()
    except (MalformedPacket, UnicodeDecodeError):
        return None
    told: Any = found.properties
    return Published(
        topic,
        bytes(found.payload),
        found.mid,
        getattr(told, "ResponseTopic", ""),
        bytes(getattr(told, "CorrelationData", b"")),
        tuple(getattr(told, "UserProperty", ())),
    )


@pytest.mark.parametrize("expiry", [None, 0, 10, 2**32 - 1])
@pytest.mark.parametrize("topic", ["", "story/a/down/answer"])
@pytest.mark.parametrize("correlation", [b"", b"\x00c" * 8])
@pytest.mark.parametrize(
    "words", [[], [("path", "一"), ("path", "b"), ("", "")], [("x", "y" * 300)] * 60]
)
def test_properties_are_written_as_paho_writes_them_and_read_again(
    expiry: int | None, topic: str, correlation: bytes, words: Words
) -> None:
    written = write_properties(expiry, topic, correlation, words)
    assert written == by_paho(expiry, topic, correlation, words)
    for qos in (0, 1):
        expected = Published("a/b", b"{}", 263 if qos else 0, topic, correlation, tuple(words))
        assert read_publish(packet(written, qos), qos) == expected


@pytest.mark.parametrize(
    ("expiry", "topic", "correlation", "value"),
    [(2**32, "", b"", ""), (-1, "", b"", ""), (None, "x" * 65_536, b"", ""),
     (None, "", b"x" * 65_536, ""), (None, "", b"", "x" * 65_536)],
)  # fmt: skip
def test_what_has_no_room_in_its_property_is_refused(
    expiry: int | None, topic: str, correlation: bytes, value: str
) -> None:
    with pytest.raises(struct.error):
        write_properties(expiry, topic, correlation, [("name", value)])


@pytest.mark.parametrize(
    "properties",
    [
        b"\x0c\x02\0\0\0\x0a\x03\0\x04json",
        b"\x07\x01\x01\x02\0\0\0\x0a",
        b"\x0a" + b"\x02\0\0\0\x0a" * 2,  # one that may come once
        b"\x05" + b"\x02\0\0\0\x0a"[:4],  # cut off
        b"\x04" + b"\x02\0\0\0\x0a",  # a length that ends within one
        b"\x05" + b"\x08\0\x02a\0",  # a character that no string may have
        b"\x06" + b"\x08\0\x03\xef\xbb\xbf",
        b"\x04" + b"\x08\0\x01\xff",  # no UTF-8
        b"\xff\xff\xff\xff\x01",
        b"",
    ],
)
def test_what_is_of_another_kind_or_malformed_is_left_to_paho(properties: bytes) -> None:
    assert read_publish(packet(properties, payload=b""), 1) is None
    assert read_publish(packet(b"\0", topic=b"a\xff"), 1) is None


@given(
    st.one_of(st.none(), st.integers(0, 2**32 - 1)), TEXT, st.binary(max_size=9), WORDS,
    st.binary(max_size=9), st.integers(0, 1), st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=2),
)  # fmt: skip
def test_what_is_read_is_what_paho_reads_also_of_bytes_that_are_others(
    expiry: int | None,
    topic: str,
    correlation: bytes,
    words: Words,
    payload: bytes,
    qos: int,
    others: list[tuple[int, int]],
) -> None:
    written = write_properties(expiry, topic, correlation, words)
    data = bytearray(packet(written, qos, payload=payload))
    for at, value in others:
        data[at % len(data)] = value
    found = read_publish(bytes(data), qos)
    assert found is None or found == read_by_paho(bytes(data), qos)


@given(st.binary(max_size=60), st.integers(0, 1))
def test_no_bytes_make_it_fail_or_say_what_paho_does_not(data: bytes, qos: int) -> None:
    found = read_publish(data, qos)
    assert found is None or found == read_by_paho(data, qos)
