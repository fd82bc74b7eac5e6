"""Segments to utterances: any order, loss and excess."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.recognition import reassembly
from staging.recognition.reassembly import Broken, Reassembler, Utterance
from wire.voice import HeaderStyle, Segmenter, VoiceSegment, pack_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
OPEN_PER_DEVICE = 2
SEGMENTS_LIMIT = 3000
GAP_SECONDS = 1.5
IDLE_SECONDS = 10.0
OPEN_LIMIT = 256
REMEMBER_SECONDS = 60.0

UUID, OTHER = "01a800000072af", "01a800000072b0"
FRAME = b"\x01" * 38


def utterance(frames: int = 45, number: int = 10000, rate: int = 8000) -> list[VoiceSegment]:
    """Return segments of 15 frames each, then the one with eof."""
    segmenter = Segmenter(number, rate, HeaderStyle.LENGTH32)
    made = [segmenter.add(bytes([n % 256]) * 38) for n in range(frames)]
    return [*filter(None, made), *segmenter.finish()]


def feed(parts: list[VoiceSegment], into: Reassembler | None = None, uuid: str = UUID) -> list[Utterance | Broken]:  # fmt: skip
    reassembler = Reassembler() if into is None else into
    return [ended for part in parts for ended in reassembler.add(uuid, part, 0.0)]


def test_in_order() -> None:
    (whole,) = feed(utterance())
    assert isinstance(whole, Utterance)
    assert (whole.uuid, whole.id, whole.rate, whole.missing) == (UUID, 10000, 8000, 0)
    frames = [frame for part in whole.segments for frame in part or ()]
    assert frames == [bytes([n]) * 38 for n in range(45)]


@given(st.randoms(use_true_random=False), st.integers(1, 90))
def test_any_order_and_doubles_make_the_same(order: random.Random, frames: int) -> None:
    parts = utterance(frames)
    shuffled = parts * 2
    order.shuffle(shuffled)
    assert feed(shuffled) == feed(parts)


def test_an_end_with_frames_of_its_own_counts_them() -> None:
    first, *_ = utterance(15)
    last = VoiceSegment(
        10000, 1, 8000, eof=True, voice_data=pack_frame(FRAME, HeaderStyle.SPX, 8000)
    )
    (whole,) = feed([first, last])
    assert isinstance(whole, Utterance)
    assert [len(part or ()) for part in whole.segments] == [15, 1]


def test_a_small_gap_is_waited_for_then_left_open() -> None:
    parts = utterance(75)
    del parts[2]
    reassembler = Reassembler()
    assert feed(parts, reassembler) == []
    assert reassembler.expire(GAP_SECONDS - 0.1) == []
    (ended,) = reassembler.expire(GAP_SECONDS)
    assert isinstance(ended, Utterance)
    assert ended.missing == 1
    assert ended.segments[2] is None
    assert len(reassembler) == 0


def test_a_segment_that_was_overtaken_fills_its_gap() -> None:
    parts = utterance(75)
    (ended,) = feed([*parts[:2], *parts[3:], parts[2]])
    assert isinstance(ended, Utterance)
    assert ended.missing == 0


def test_a_big_gap_gives_it_up() -> None:
    parts = utterance(75)
    reassembler = Reassembler()
    feed([parts[0], parts[4], parts[5]], reassembler)
    assert reassembler.expire(GAP_SECONDS) == [Broken(UUID, 10000, "3 of 5 segments are missing")]


def test_without_an_end_it_is_given_up() -> None:
    reassembler = Reassembler()
    feed(utterance()[:-1], reassembler)
    assert reassembler.expire(IDLE_SECONDS - 0.1) == []
    (ended,) = reassembler.expire(IDLE_SECONDS)
    assert isinstance(ended, Broken)
    assert "no end" in ended.reason


def test_a_late_double_does_not_begin_it_again() -> None:
    reassembler = Reassembler()
    parts = utterance()
    feed(parts, reassembler)
    assert reassembler.add(UUID, parts[1], REMEMBER_SECONDS - 1) == []
    assert len(reassembler) == 0
    # Ids are reused: the same number later is another utterance.
    again = [e for part in parts for e in reassembler.add(UUID, part, REMEMBER_SECONDS + 1)]
    assert len(again) == 1


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([replace(utterance()[0], segment=SEGMENTS_LIMIT)], "longer than 60 s"),
        ([utterance()[0], replace(utterance()[1], rate=16000)], "rate changed from 8000 to 16000"),
        ([utterance()[2], replace(utterance()[0], segment=1, eof=True, voice_data=b"")],
         "segments after the end, 1"),
        ([VoiceSegment(10000, 0, 8000, eof=True)], "it is empty"),
        ([replace(utterance()[0], voice_data=b"\x26\0\0\0abc")], "segment 0: frame at byte 0"),
        (utterance(3001), "longer than 60 s"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_given_up_at_once(parts: list[VoiceSegment], reason: str) -> None:
    reassembler = Reassembler()
    (ended,) = feed(parts, reassembler)
    assert isinstance(ended, Broken)
    assert reason in ended.reason
    assert len(reassembler) == 0


def test_a_device_keeps_a_bounded_number_open() -> None:
    reassembler = Reassembler()
    ended = [
        e for n in range(OPEN_PER_DEVICE + 1) for e in feed(utterance(number=10000 + n)[:1], reassembler)
    ]  # fmt: skip
    assert ended == [Broken(UUID, 10000, "a newer utterance of the device began")]
    assert len(reassembler) == OPEN_PER_DEVICE


def test_all_devices_together_keep_a_bounded_number_open() -> None:
    reassembler = Reassembler()
    ended = [
        e
        for n in range(OPEN_LIMIT + 5)
        for e in feed(utterance()[:1], reassembler, uuid=f"{n:014x}")
    ]
    assert [e.uuid for e in ended] == [f"{n:014x}" for n in range(5)]
    assert len(reassembler) == OPEN_LIMIT


def test_all_devices_together_keep_a_bounded_number_of_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reassembly, "BYTES_LIMIT", 38 * 15)
    reassembler = Reassembler()
    assert feed(utterance()[:2], reassembler) == []
    (ended,) = feed(utterance()[:1], reassembler, uuid=OTHER)
    assert ended == Broken(UUID, 10000, "open utterances hold over 570 bytes")
