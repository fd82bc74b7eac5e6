"""Streams are split into frames whatever pieces they come in, and what is no frame is one too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.wirelog.frames import FramedSplitter, MqttSplitter, Piece, Splitter
from wire.framing import encode_frame

PING = b"\x40\0\x12\x34"


def fed(splitter: Splitter, data: bytes, size: int) -> list[Piece]:
    def pieces() -> Iterator[Piece]:
        for at in range(0, len(data), size):
            yield from splitter.feed(data[at : at + size])
        yield from splitter.end()

    return list(pieces())


def packet(first: int, body: bytes) -> bytes:
    length, count = b"", len(body)
    while True:
        length += bytes([count & 0x7F | (0x80 if count > 0x7F else 0)])
        count >>= 7
        if not count:
            return bytes([first]) + length + body


@given(st.lists(st.binary(min_size=4, max_size=200), max_size=5), st.integers(1, 64))
def test_framed_messages_come_whole_in_any_pieces(messages: list[bytes], size: int) -> None:
    frames = [encode_frame(message) for message in messages]
    assert fed(FramedSplitter(), b"".join(frames), size) == [Piece(f, len(f)) for f in frames]


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 64))
def test_packets_come_whole_in_any_pieces(bodies: list[bytes], size: int) -> None:
    packets = [packet(0x30, body) for body in bodies]
    assert fed(MqttSplitter(), b"".join(packets), size) == [Piece(p, len(p)) for p in packets]


@given(st.binary(max_size=400), st.integers(1, 50))
def test_no_byte_is_lost_and_nothing_raises(data: bytes, size: int) -> None:
    for splitter in (FramedSplitter(), MqttSplitter(64)):
        found = fed(splitter, data, size)
        kept = b"".join(piece.data for piece in found)
        assert data.startswith(kept)  # behind what is malformed neither side reads on
        assert kept == data or found[-1].problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"GET / HTTP/1.1\r\n", "no magic: got 0x47455420"),
        (b"\xbe\xef\xde\xad\0\0\0\x03abc", "frame length: got 3 bytes, expected 4 to 16384"),
        (b"\xbe\xef\xde\xad\xff\xff\xff\xff", "frame length: got 4294967295 bytes"),
        (b"\xbe\xef\xde\xad\0\0\0\x09abc", "the connection ended within a frame: 11 bytes"),
        (b"\xbe\xef", "the connection ended within a frame: 2 bytes"),
    ],
)
def test_malformed_frames_are_told(data: bytes, problem: str) -> None:
    good = encode_frame(PING)
    whole, broken = fed(FramedSplitter(), good + data, 1000)
    assert whole == Piece(good, len(good))
    assert broken.data == data
    assert broken.problem.startswith(problem)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\0\0", "packet type 0"),
        (b"\x30\xff\xff\xff\xff\x01", "more than 4 bytes"),
        (b"\x30\xff\xff\x7f", "packet length: got 2097151 bytes"),
        (b"\x30\x05ab", "the connection ended within a frame"),
    ],
)
def test_malformed_packets_are_told(data: bytes, problem: str) -> None:
    (broken,) = fed(MqttSplitter(), data, 3)
    assert problem in broken.problem


def test_whoever_joins_in_the_middle_begins_at_the_next_frame() -> None:
    frame = encode_frame(PING)
    stream = b"rest of one\xbe\xef" + frame + frame
    for size in range(1, len(stream)):
        assert fed(FramedSplitter(is_joined=True), stream, size) == [Piece(frame, len(frame))] * 2


def test_garbage_is_kept_to_a_bound() -> None:
    (broken,) = FramedSplitter().feed(bytes(1_000_000))
    assert len(broken.data) == 4096
    assert broken.size == 1_000_000
