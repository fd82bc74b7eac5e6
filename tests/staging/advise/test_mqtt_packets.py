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
