"""Voice segments: both header styles, the document's own segments, and the bounds of a segment."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import FieldError, WireError
from wire.reports import report_payload
from wire.voice import (
    RATES,
    HeaderStyle,
    Segmenter,
    VoiceError,
    VoiceSegment,
    history_text,
    next_utterance_id,
    pack_frame,
    parse_history_text,
    parse_segment,
    unpack_frames,
)

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
ID_FIRST = 10000
ID_LAST = 109999
FRAME_SECONDS = 0.02
MAX_FRAME_BYTES = 1_024
MAX_FRAMES = 15

STYLES = st.sampled_from(HeaderStyle)
FRAMES = st.lists(st.binary(min_size=1, max_size=255), max_size=40)
GOOD: dict[str, Any] = {
    "id": 10000,
    "segment": 0,
    "rate": 8000,
    "channel": 1,
    "eof": 0,
    "voice_data": "JgAAAA==",
}


def test_the_two_headers_are_the_documents() -> None:
    frame = b"f" * 38
    assert pack_frame(frame, HeaderStyle.LENGTH32, 8000) == struct.pack("<I", 38) + frame
    assert pack_frame(frame, HeaderStyle.SPX, 8000) == b"\x26SPX" + frame
    assert pack_frame(frame, HeaderStyle.SPX, 16000) == b"\x26TPX" + frame
    assert HeaderStyle.LENGTH32.report_key == "voice_control"
    assert HeaderStyle.SPX.report_key == "duer_voice"


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=255), STYLES, st.sampled_from(RATES))))
def test_frames_of_either_style_or_both_come_back(
    frames: list[tuple[bytes, HeaderStyle, int]],
) -> None:
    packed = b"".join(pack_frame(*frame) for frame in frames)
    assert unpack_frames(packed) == [frame for frame, _, _ in frames]


@pytest.mark.parametrize(
    ("style", "length"),
    [
        (HeaderStyle.SPX, 0),
        (HeaderStyle.SPX, 256),
        (HeaderStyle.LENGTH32, 0),
        (HeaderStyle.LENGTH32, MAX_FRAME_BYTES + 1),
    ],
)
def test_a_frame_that_its_header_cannot_hold_is_refused(style: HeaderStyle, length: int) -> None:
    with pytest.raises(VoiceError, match=f"got {length} bytes"):
        pack_frame(bytes(length), style, 8000)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x26", "header at byte 0: 1 of 4"),
        (b"\x00\x00\x00\x00", "length at byte 0: got 0"),
        (b"\x00SPX", "length at byte 0: got 0"),
        (b"\x01\x00\x00\x00a\x02\x00\x00\x00b", "frame at byte 5: 1 of 2"),
        (b"\x03TPXab", "frame at byte 0: 2 of 3"),
        (b"\x01SPX", "frame at byte 0: 0 of 1"),
        (struct.pack("<I", MAX_FRAME_BYTES + 1), f"got {MAX_FRAME_BYTES + 1}, expected 1 to"),
        (b"\x26spx" + bytes(38), "frame length at byte 0"),
    ],
)
def test_frames_that_cannot_be_told_apart_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(VoiceError, match=message):
        unpack_frames(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_frames_or_a_voice_error(data: bytes) -> None:
    try:
        frames = unpack_frames(data)
    except VoiceError:
        return
    assert sum(len(frame) + 4 for frame in frames) == len(data)


def test_a_segment_is_rendered_as_the_document_has_it() -> None:
    last = VoiceSegment(108956, 15, 8000, eof=True)
    assert last.to_json() == {"id": 108956, "segment": 15, "rate": 8000, "channel": 1, "eof": 1}
    first = VoiceSegment(108956, 0, 16000, eof=False, voice_data=b"\x01\x00\x00\x00a")
    assert first.to_json()["voice_data"] == "AQAAAGE="


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(RATES), st.binary())
def test_segments_round_trip(number: int, segment: int, rate: int, data: bytes) -> None:
    made = VoiceSegment(number, segment, rate, eof=not data, voice_data=data)
    assert parse_segment(json.loads(json.dumps(made.to_json()))) == made
    assert parse_history_text(history_text(made)) == made


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", "1"),
        ("id", -1),
        ("segment", None),
        ("segment", 1.0),
        ("rate", 44100),
        ("rate", "8000"),
        ("channel", 2),
        ("eof", 2),
        ("eof", "false"),
        ("eof", None),
        ("voice_data", 5),
        ("voice_data", ""),
        ("voice_data", "JgAAAA"),
        ("voice_data", "!!!!"),
        ("voice_data", "数据"),
    ],
)
def test_a_member_that_is_wrong_is_named(member: str, value: object) -> None:
    with pytest.raises(FieldError) as caught:
        parse_segment(GOOD | {member: value})
    assert caught.value.field == f"voice.{member}"


@pytest.mark.parametrize("member", GOOD)
def test_a_member_that_is_missing_is_named(member: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_segment({name: value for name, value in GOOD.items() if name != member})
    assert caught.value.field == f"voice.{member}"


@pytest.mark.parametrize("value", [None, [], "x", 5])
def test_a_segment_is_an_object(value: object) -> None:
    with pytest.raises(FieldError, match=r"^voice: "):
        parse_segment(value)


def test_the_last_segment_needs_no_voice_data() -> None:
    end = {name: value for name, value in GOOD.items() if name != "voice_data"} | {"eof": 1}
    assert parse_segment(end) == VoiceSegment(10000, 0, 8000, eof=True)
    assert parse_segment(end | {"voice_data": None}).voice_data == b""
    assert parse_segment(GOOD | {"eof": 1}).voice_data == b"\x26\x00\x00\x00"


def test_the_documents_segments_hold_fifteen_frames_of_38_bytes(
    document_segments: dict[str, Any],
) -> None:
    assert len(document_segments["segments"]) == 2
    for entry in document_segments["segments"]:
        data = base64.b64decode(entry["voice_data"], validate=True)
        frames = unpack_frames(data)
        assert [len(frame) for frame in frames] == [38] * 15
        assert len(frames) * FRAME_SECONDS == pytest.approx(0.300)
        repacked = b"".join(pack_frame(f, HeaderStyle.LENGTH32, 8000) for f in frames)
        assert repacked == data


def test_the_documents_history_round_trips_exactly(document_segments: dict[str, Any]) -> None:
    for entry in document_segments["segments"]:
        segment = parse_history_text(entry["history"])
        assert (segment.id, segment.segment) == (entry["id"], entry["segment"])
        assert history_text(segment) == entry["history"]
    assert len(document_segments["ends"]) == 2
    for text in document_segments["ends"]:
        assert parse_history_text(text).eof
        assert history_text(parse_history_text(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "id=1,+rate=8000,+segment=0,+eof=true,+channel=1",
        "{id=1,+rate=8000,+segment=0,+eof=true}",
        "{id=1,+rate=8000,+segment=0,+eof=1,+channel=1}",
        "{id=x,+rate=8000,+segment=0,+eof=true,+channel=1}",
        "{id=1,+rate=44100,+segment=0,+eof=true,+channel=1}",
        "{id=1,+rate=8000,+segment=0,+eof=false,+channel=1}",
        "{id=1,+rate=8000,+segment=0,+voice_data=?,+eof=false,+channel=1}",
        "{id=" + "9" * 5000 + ",+rate=8000,+segment=0,+eof=true,+channel=1}",
    ],
)
def test_history_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        parse_history_text(text)


@given(FRAMES, STYLES, st.sampled_from(RATES), st.integers(1, 20))
def test_a_segmenter_loses_nothing_and_keeps_its_bounds(
    frames: list[bytes], style: HeaderStyle, rate: int, max_frames: int
) -> None:
    segmenter = Segmenter(10000, rate, style, max_frames)
    segments = [s for frame in frames if (s := segmenter.add(frame)) is not None]
    segments += segmenter.finish()
    assert [s.segment for s in segments] == list(range(len(segments)))
    assert {(s.id, s.rate, s.channel) for s in segments} == {(10000, rate, 1)}
    assert [s.eof for s in segments] == [False] * (len(segments) - 1) + [True]
    assert segments[-1].voice_data == b""
    assert [f for s in segments for f in unpack_frames(s.voice_data)] == frames
    for segment in segments[:-1]:
        assert 0 < len(segment.voice_data) <= style.max_bytes
        assert len(unpack_frames(segment.voice_data)) <= max_frames


@pytest.mark.parametrize("style", HeaderStyle)
@pytest.mark.parametrize(("rate", "frame_bytes"), [(8000, 38), (16000, 70)])
def test_a_report_at_default_quality_fits_one_block(
    style: HeaderStyle, rate: int, frame_bytes: int
) -> None:
    segmenter = Segmenter(ID_LAST, rate, style)
    segments = [segmenter.add(b"\xff" * frame_bytes) for _ in range(5000)]
    for segment in [s for s in segments if s is not None] + list(segmenter.finish()):
        assert len(report_payload({style.report_key: segment.to_json()})) <= 1024


def test_fifteen_narrowband_frames_fill_the_documents_segment_which_leaves_with_the_last() -> None:
    segmenter = Segmenter(10000, 8000, HeaderStyle.LENGTH32)
    assert [segmenter.add(bytes(38)) for _ in range(14)] == [None] * 14
    full = segmenter.add(bytes(38))
    assert full is not None
    assert len(full.voice_data) == 630
    assert len(unpack_frames(full.voice_data)) == MAX_FRAMES


@pytest.mark.parametrize(
    ("style", "rate", "frame_bytes", "frames"),
    [
        (HeaderStyle.LENGTH32, 8000, 38, 15),
        (HeaderStyle.LENGTH32, 8000, 20, 15),  # quality 4: the frames are the limit
        (HeaderStyle.LENGTH32, 8000, 62, 9),  # quality 10: the bytes are
        (HeaderStyle.LENGTH32, 16000, 70, 8),
        (HeaderStyle.LENGTH32, 16000, 106, 5),
        (HeaderStyle.SPX, 8000, 38, 14),
        (HeaderStyle.SPX, 16000, 70, 8),
        (HeaderStyle.LENGTH32, 8000, 626, 1),
        (HeaderStyle.LENGTH32, 8000, 312, 1),
        (HeaderStyle.LENGTH32, 8000, 311, 2),
    ],
)
def test_a_segment_leaves_when_its_last_frame_is_there(
    style: HeaderStyle, rate: int, frame_bytes: int, frames: int
) -> None:
    segmenter = Segmenter(10000, rate, style)
    for _ in range(3):
        given = [segmenter.add(bytes(frame_bytes)) for _ in range(frames)]
        assert [segment is not None for segment in given] == [False] * (frames - 1) + [True]
    assert [segment.eof for segment in segmenter.finish()] == [True]


def test_a_longer_frame_sends_those_before_it() -> None:
    segmenter = Segmenter(10000, 8000, HeaderStyle.LENGTH32)
    assert segmenter.add(bytes(38)) is None
    before = segmenter.add(bytes(600))
    assert before is not None
    assert [len(frame) for frame in unpack_frames(before.voice_data)] == [38]
    rest, end = segmenter.finish()
    assert [len(frame) for frame in unpack_frames(rest.voice_data)] == [600]
    assert end.eof


def test_a_frame_too_long_for_any_segment_is_refused() -> None:
    segmenter = Segmenter(10000, 8000, HeaderStyle.LENGTH32)
    with pytest.raises(VoiceError, match="too long for any segment"):
        segmenter.add(bytes(627))
    assert segmenter.add(bytes(626)) is not None


def test_an_utterance_without_frames_is_only_its_end() -> None:
    segments = Segmenter(10000, 8000, HeaderStyle.SPX).finish()
    assert list(segments) == [VoiceSegment(10000, 0, 8000, eof=True)]


def test_a_segmenter_refuses_another_rate() -> None:
    with pytest.raises(FieldError, match="rate: got 44100"):
        Segmenter(10000, 44100, HeaderStyle.SPX)


@pytest.mark.parametrize(
    ("previous", "following"),
    [(10000, 10001), (109998, 109999), (109999, 10000), (0, 10000), (-1, 10000), (10**9, 10000)],
)
def test_ids_count_up_and_wrap(previous: int, following: int) -> None:
    assert next_utterance_id(previous) == following
    assert ID_FIRST <= next_utterance_id(previous) <= ID_LAST
