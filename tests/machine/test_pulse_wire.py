"""Messages of PulseAudio's native protocol, written and read, and damaged in every way."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.pulse_wire import (
    HEAD,
    INVALID,
    Command,
    EventKind,
    PulseWireError,
    Reader,
    Server,
    SinkEvent,
    Writer,
    read_event,
    read_head,
    read_server,
    read_sinks,
    read_streams,
)

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MESSAGE_LIMIT = 4_194_304

SPEC = b"a" + bytes([3, 2]) + (44100).to_bytes(4, "big")
MAP = b"m" + bytes([2, 1, 2])
TIME = b"U" + bytes(8)


def word(value: int) -> bytes:
    return b"L" + value.to_bytes(4, "big")


def text(value: str) -> bytes:
    return b"t" + value.encode() + b"\0"


def sink(*, muted: bool = False, properties: dict[str, str] | None = None) -> bytes:
    made = Writer(Command.REPLY, 0).properties(properties or {}).to_bytes()[HEAD.size + 10 :]
    return (
        word(3) + text("usb") + text("USB 声卡") + SPEC + MAP + word(7)
        + b"v" + bytes([2]) + (0x4000).to_bytes(4, "big") + (0x8000).to_bytes(4, "big")
        + (b"1" if muted else b"0") + word(4) + b"N" + TIME + text("driver") + word(0)
        + made + TIME
    )  # fmt: skip


def test_a_sink_is_read_with_its_loudest_channel() -> None:
    (found,) = read_sinks(Reader(sink()))
    assert (found.index, found.name, found.level) == (3, "usb", 0.5)
    assert not found.is_filter
    (muted,) = read_sinks(Reader(sink(muted=True)))
    assert muted.level == 0.0


def test_a_filter_names_its_master() -> None:
    data = sink(properties={"device.master_device": "usb", "other": ""}) + sink()
    found, other = read_sinks(Reader(data))
    assert (found.is_filter, found.master, other.is_filter) == (True, "usb", False)
    (classed,) = read_sinks(Reader(sink(properties={"device.class": "filter"})))
    assert (classed.is_filter, classed.master) == (True, "")


def stream(loudest: int) -> bytes:
    made = Writer(Command.REPLY, 0).properties({"media.name": "故事"}).to_bytes()[HEAD.size + 10 :]
    return (
        word(9) + text("story") + word(1) + word(2) + word(3) + SPEC + MAP
        + b"v" + bytes([2]) + loudest.to_bytes(4, "big") + (0x4000).to_bytes(4, "big")
        + TIME + TIME + text("copy") + text("driver") + b"0" + made
    )  # fmt: skip


def test_a_stream_may_be_louder_than_it_is_played() -> None:
    found, other = read_streams(Reader(stream(0x10000) + stream(0x10001)))
    assert (found.index, found.is_boosted, other.is_boosted) == (9, False, True)


def test_the_server_names_its_default_and_its_run() -> None:
    strings = b"".join(map(text, ("pulse", "16", "user", "host")))
    answer = strings + SPEC + text("usb") + text("mic") + word(0xCAFE)
    assert read_server(Reader(answer)) == Server("usb", 0xCAFE)


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (0x00, SinkEvent(5, EventKind.NEW)), (0x10, SinkEvent(5, EventKind.CHANGED)),
        (0x20, SinkEvent(5, EventKind.GONE)), (0x17, SinkEvent(None, EventKind.CHANGED)),
        (0x12, SinkEvent(5, EventKind.CHANGED)), (0x11, None), (0x13, None), (0x30, None),
    ],
)  # fmt: skip
def test_events_of_sinks_and_of_the_server_are_told(event: int, found: SinkEvent | None) -> None:
    assert read_event(Reader(word(event) + word(5))) == found


def test_a_message_begins_with_its_length() -> None:
    message = Writer(Command.SET_SINK_MUTE, 9).word(1).text(None).flag(value=True).to_bytes()
    assert read_head(message[: HEAD.size]) == (len(message) - HEAD.size, True)
    reader = Reader(message[HEAD.size :])
    assert (reader.word(), reader.word(), reader.word()) == (Command.SET_SINK_MUTE, 9, 1)
    assert (reader.text(), reader.flag(), reader.at_end) == ("", True, True)


def test_a_block_of_samples_is_no_command_and_a_huge_message_is_refused() -> None:
    assert read_head(HEAD.pack(4, 0, 0, 0, 0)) == (4, False)
    with pytest.raises(PulseWireError, match="expected at most"):
        read_head(HEAD.pack(MESSAGE_LIMIT + 1, INVALID, 0, 0, 0))


def test_two_lengths_of_a_property_must_agree() -> None:
    damaged = sink(properties={"a": "bcd"}).replace(b"x" + (4).to_bytes(4, "big"), b"x\0\0\0\3")
    with pytest.raises(PulseWireError, match="two that differ"):
        list(read_sinks(Reader(damaged)))


@given(st.integers(0, len(sink(properties={"a": "b"})) - 1))
def test_a_message_that_is_cut_anywhere_is_told(place: int) -> None:
    data = sink(properties={"a": "b"})[:place]
    if data:
        with pytest.raises(PulseWireError):
            list(read_sinks(Reader(data)))


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (
        read_server, read_event, lambda reader: list(read_sinks(reader)),
        lambda reader: list(read_streams(reader)),
    ):  # fmt: skip
        with contextlib.suppress(PulseWireError):
            read(Reader(data))


def test_commands_have_the_numbers_of_the_protocol() -> None:
    """PulseAudio's native-common.h, in which they are counted from PA_COMMAND_ERROR on."""
    assert {command.name: int(command) for command in Command} == {
        "ERROR": 0, "REPLY": 2, "AUTH": 8, "SET_CLIENT_NAME": 9, "GET_SERVER_INFO": 20, "GET_SINK_INFO": 21,
        "GET_SINK_INFO_LIST": 22, "GET_SINK_INPUT_INFO_LIST": 30, "SUBSCRIBE": 35, "SET_SINK_VOLUME": 36,
        "SET_SINK_INPUT_VOLUME": 37, "SET_SINK_MUTE": 39, "SUBSCRIBE_EVENT": 66,
    }  # fmt: skip
