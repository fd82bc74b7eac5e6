"""The 0xBEEFDEAD framing: the messages do not depend on how the stream is split; faults are final."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.framing import (
    HEADER,
    MAGIC,
    BadMagicError,
    FrameDecoder,
    FrameLengthError,
    FramingError,
    encode_frame,
)

MESSAGES = st.lists(st.binary(min_size=4, max_size=300), max_size=8)


def feed_in_cuts(stream: bytes, cuts: list[int]) -> tuple[list[bytes], FrameDecoder]:
    decoder = FrameDecoder()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    messages: list[bytes] = []
    for start, end in itertools.pairwise(edges):
        messages += decoder.feed(stream[start:end])
    return messages, decoder


def test_the_header_is_magic_and_length_in_big_endian() -> None:
    assert encode_frame(b"\x40\x01\x00\x01") == bytes.fromhex("beefdead 00000004 40010001")


@given(MESSAGES)
def test_whole_stream_gives_its_messages(messages: list[bytes]) -> None:
    assert list(FrameDecoder().feed(b"".join(map(encode_frame, messages)))) == messages


@given(MESSAGES)
def test_byte_by_byte_gives_the_same(messages: list[bytes]) -> None:
    stream = b"".join(map(encode_frame, messages))
    got, decoder = feed_in_cuts(stream, list(range(len(stream))))
    assert got == messages
    assert decoder.pending == 0


@given(MESSAGES, st.lists(st.integers(0, 2500)), st.binary(min_size=4, max_size=60), st.data())
def test_any_cuts_and_a_tail_give_the_same(
    messages: list[bytes], cuts: list[int], last: bytes, data: st.DataObject
) -> None:
    frame = encode_frame(last)
    tail = frame[: data.draw(st.integers(0, len(frame) - 1))]
    got, decoder = feed_in_cuts(b"".join(map(encode_frame, messages)) + tail, cuts)
    assert got == messages
    assert decoder.pending == len(tail)
    assert list(decoder.feed(frame[len(tail) :])) == [last]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_wrong_magic_is_refused_at_its_first_wrong_byte(place: int, *, one_by_one: bool) -> None:
    head = bytearray(MAGIC.to_bytes(4, "big"))
    head[place] ^= 0x01
    decoder = FrameDecoder()
    if one_by_one:
        assert [list(decoder.feed(bytes(head[i : i + 1]))) for i in range(place)] == [[]] * place
        head = head[place : place + 1]
    with pytest.raises(BadMagicError, match="expected 0xbeefdead"):
        list(decoder.feed(bytes(head)))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 2049, 16_385, 0xFFFFFFFF])
def test_a_length_out_of_bounds_is_refused_before_the_body_comes(length: int) -> None:
    decoder = FrameDecoder(max_length=2048)
    with pytest.raises(FrameLengthError, match=f"got {length} bytes, expected 4 to 2048"):
        list(decoder.feed(HEADER.pack(MAGIC, length)))


@pytest.mark.parametrize("length", [4, 2048])
def test_the_limits_themselves_are_taken(length: int) -> None:
    message = bytes(length)
    assert list(FrameDecoder(max_length=2048).feed(encode_frame(message))) == [message]


def test_the_largest_message_has_16_kib() -> None:
    message = bytes(16_384)
    assert list(FrameDecoder().feed(encode_frame(message))) == [message]
    with pytest.raises(FrameLengthError, match="got 16385 bytes, expected 4 to 16384"):
        list(FrameDecoder().feed(HEADER.pack(MAGIC, 16_385)))


@pytest.mark.parametrize("length", [0, 3, 16_385])
def test_nothing_is_sent_that_the_other_side_would_refuse(length: int) -> None:
    with pytest.raises(FrameLengthError):
        encode_frame(bytes(length))


def test_messages_before_the_fault_are_delivered_and_the_fault_is_final() -> None:
    decoder = FrameDecoder()
    good = encode_frame(b"good")
    messages = decoder.feed(good + good + b"HTTP/1.1 400")
    assert [next(messages), next(messages)] == [b"good", b"good"]
    with pytest.raises(BadMagicError) as first:
        next(messages)
    for later in (good, b""):
        with pytest.raises(BadMagicError) as caught:
            list(decoder.feed(later))
        assert caught.value is first.value
    assert decoder.pending == 0


def test_messages_that_are_not_taken_come_with_the_next_bytes() -> None:
    decoder = FrameDecoder()
    frames = encode_frame(b"first") + encode_frame(b"second")
    assert next(decoder.feed(frames)) == b"first"
    assert list(decoder.feed(encode_frame(b"third"))) == [b"second", b"third"]


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_arbitrary_bytes_raise_framing_errors_alone_and_hold_little(pieces: list[bytes]) -> None:
    decoder = FrameDecoder(max_length=64)
    for piece in pieces:
        messages: list[bytes] = []
        with contextlib.suppress(FramingError):
            messages.extend(decoder.feed(piece))
        assert all(4 <= len(message) <= 64 for message in messages)
        assert decoder.pending < HEADER.size + 64
