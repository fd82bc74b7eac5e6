"""Packets of MQTT 5 as paho writes them, in any cut; what is none is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.advise import mqtt_packets as mqtt

# Clean start, a will with a delay, user and password, keepalive 15.
CONNECT = (
    mqtt.field(b"MQTT") + b"\x05\xc6\0\x0f" + b"\x05\x11\0\0\0\x3c" + mqtt.field(b"dev")
    + b"\0" + mqtt.field(b"w") + mqtt.field(b"off") + mqtt.field(b"user") + mqtt.field(b"secret")
)  # fmt: skip


def test_a_connect_is_read_as_it_was_written() -> None:
    found = mqtt.read_connect(mqtt.Packet(mqtt.CONNECT, 0, CONNECT))
    assert found == mqtt.Connect(
        5, "dev", "user", b"secret", 15, "w", b"off", will_retain=False, clean=True, expiry=60
    )


WORDS = st.sampled_from(["", "a", "路径/x", "x" * 200])


@given(
    payload=st.binary(max_size=300), qos=st.integers(0, 1), correlation=st.binary(max_size=8),
    users=st.lists(st.tuples(WORDS, WORDS), max_size=3), size=st.integers(1, 9),
)  # fmt: skip
def test_a_message_comes_through_in_any_cut(
    payload: bytes, qos: int, correlation: bytes, users: list[tuple[str, str]], size: int
) -> None:
    sent = mqtt.Publish("t/1", payload, qos, 7 * qos, False, "a/b", correlation, tuple(users))
    data = mqtt.write_publish(sent)
    decoder = mqtt.PacketDecoder()
    found = [
        each for at in range(0, len(data), size) for each in decoder.feed(data[at : at + size])
    ]
    assert [mqtt.read_publish(each) for each in found] == [sent]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"\x30\xff\xff\xff\x7f", "at most"), (b"\x30\xff\xff\xff\xff\x01", "more than four bytes")],
)
def test_a_length_beyond_all_bounds_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(mqtt.PacketError, match=reason):
        mqtt.PacketDecoder().feed(data)


def test_another_version_is_named() -> None:
    with pytest.raises(mqtt.PacketError, match="version 4, expected 5"):
        mqtt.read_connect(mqtt.Packet(mqtt.CONNECT, 0, b"\0\4MQTT\4\2\0\x3c\0\0"))


def test_subscriptions_are_granted() -> None:
    body = b"\0\7\0" + mqtt.field(b"a/#") + b"\1" + mqtt.field(b"b") + b"\0"
    assert mqtt.read_subscribe(mqtt.Packet(mqtt.SUBSCRIBE, 2, body)) == (7, ["a/#", "b"])
    assert mqtt.suback(7, 2) == b"\x90\x05\0\7\0\1\1"


# The first byte's upper half, by OASIS MQTT 5.0, table 2-1.
KINDS = {
    "CONNECT": 1, "CONNACK": 2, "PUBLISH": 3, "PUBACK": 4, "SUBSCRIBE": 8, "SUBACK": 9, "UNSUBSCRIBE": 10, "UNSUBACK": 11,
    "PINGREQ": 12, "PINGRESP": 13, "DISCONNECT": 14,
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_packet_has_the_standards_number(name: str) -> None:
    assert mqtt.packet(getattr(mqtt, name)) == bytes((KINDS[name] << 4, 0))


def test_what_the_broker_answers_is_the_standards_byte_for_byte() -> None:
    assert mqtt.connack() == b"\x20\x03\0\0\0"
    assert mqtt.connack(134, present=True) == b"\x20\x03\1\x86\0"
    assert mqtt.puback(7) == b"\x40\x02\0\7"
    assert mqtt.puback(7, 135) == b"\x40\x04\0\7\x87\0"
    assert mqtt.answer(mqtt.UNSUBACK, 7, b"\0") == b"\xb0\x04\0\7\0\0"


def test_a_messages_properties_have_the_standards_numbers() -> None:
    """Table 2-4: expiry 2 in four bytes, response topic 8, correlation 9, user property 38."""
    sent = mqtt.Publish(
        "t", b"!", 1, 7, response="r", correlation=b"c", users=(("a", "b"),), expiry=10
    )
    properties = b"\x02\0\0\0\x0a\x08\0\1r\x09\0\1c\x26\0\1a\0\1b"
    body = b"\0\1t\0\7" + bytes((len(properties),)) + properties + b"!"
    assert mqtt.write_publish(sent) == b"\x32" + bytes((len(body),)) + body
    assert mqtt.read_publish(mqtt.Packet(3, 2, body)) == sent


def test_what_a_client_can_take_at_once_is_read() -> None:
    """Table 2-4: session expiry 17, receive maximum 33."""
    properties = b"\x11\0\0\0\x3c\x21\0\x14"
    body = mqtt.field(b"MQTT") + b"\x05\x02\0\x0f" + bytes((len(properties),)) + properties
    found = mqtt.read_connect(mqtt.Packet(1, 0, body + mqtt.field(b"dev")))
    assert (found.expiry, found.receive_maximum) == (60, 20)
