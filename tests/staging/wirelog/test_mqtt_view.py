"""What packets say, held against what paho sends and reads, and any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.wirelog.mqtt_view import describe, split_packet
from tests.staging.wirelog.test_frames import packet

CONNECT = packet(
    0x10,
    b"\0\x04MQTT\x05\xc2\0\x0f\x05\x11\0\0\x0e\x10" + b"\0\x03abc" + b"\0\x03uid" + b"\0\x06secret",
)
PUBLISH = packet(
    0x32,
    b"\0\x0bstory/u/up/" + b"\0\x07" + b"\x10\x09\0\x04\x01\x02\x03\x04\x26\0\x01m\0\x03PUT" + b'{"a":1}',
)  # fmt: skip


def test_a_connect_has_no_password_in_what_is_shown() -> None:
    told = describe(CONNECT)
    assert told == {
        "type": "CONNECT", "protocol": "MQTT", "version": 5, "keepalive": 15, "clean": True,
        "properties": {"session expiry": 3600}, "client": "abc", "user": "uid",
        "password": "6 bytes, hidden",
    }  # fmt: skip
    parts = split_packet(CONNECT)
    assert [CONNECT[start:end] for start, end in parts.secrets] == [b"secret"]
    assert parts.user == "uid"


def test_a_publish_has_topic_properties_and_payload() -> None:
    assert describe(PUBLISH) == {
        "type": "PUBLISH", "topic": "story/u/up/", "qos": 1, "id": 7,
        "properties": {"correlation": "01020304", "user": [["m", "PUT"]]}, "payload": '{"a":1}',
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (packet(0x20, b"\x01\x00\x00"), {"type": "CONNACK", "session": True, "code": 0}),
        (packet(0x40, b"\0\x07\x87"), {"type": "PUBACK", "id": 7, "code": 0x87}),
        (packet(0x82, b"\0\x01\0\0\x03a/b\x01"), {"type": "SUBSCRIBE", "id": 1, "filters": [["a/b", 1]]}),
        (packet(0x90, b"\0\x01\0\x01"), {"type": "SUBACK", "id": 1, "codes": [1]}),
        (packet(0xA2, b"\0\x01\0\0\x01a"), {"type": "UNSUBSCRIBE", "id": 1, "filters": ["a"]}),
        (packet(0xB0, b"\0\x01\0\x11"), {"type": "UNSUBACK", "id": 1, "codes": [0x11]}),
        (packet(0xE0, b"\x8e"), {"type": "DISCONNECT", "code": 0x8E}),
        (packet(0xC0, b""), {"type": "PINGREQ"}),
        (packet(0x30, b"\0\x05ab"), {"type": "PUBLISH", "problem": "cut short: byte 6 of at least 9"}),
        (packet(0x32, b"\0\x01a\0\x01\x02\x7f\0"), {
            "type": "PUBLISH", "topic": "a", "qos": 1, "id": 1, "problem": "property 0x7f is unknown",
        }),
    ],
)  # fmt: skip
def test_other_packets(data: bytes, shown: dict[str, object]) -> None:
    assert describe(data) == shown


def test_what_older_mqtt_has_is_read_too() -> None:
    old = packet(0x10, b"\0\x04MQTT\x04\x80\0\x3c\0\x01c\0\x01u")
    assert describe(old)["user"] == "u"


@given(st.binary(max_size=100), st.integers(0, 255))
def test_any_bytes_are_described(data: bytes, first: int) -> None:
    assert split_packet(CONNECT).secrets
    for whole in (data, packet(first, data), CONNECT[: len(data)] + data, CONNECT + data):
        assert describe(whole)["type"]
        for start, end in split_packet(whole).secrets:
            assert 0 <= start <= end <= len(whole)
