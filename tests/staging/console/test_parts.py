"""The console's parts without a browser: sound, ranges, sessions, the brake, the hub."""

from __future__ import annotations

import io
import json
import math
import struct
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.speex import SpeexEncoder
from audio.wav import render_wav
from staging.console import live, speech
from staging.console.assets import INDEX, Assets
from staging.console.sessions import (
    FAILURE_WINDOW_SECONDS,
    FAILURES_PER_NAME,
    IDLE_SECONDS,
    LIFETIME_SECONDS,
    SESSIONS_LIMIT,
    Sessions,
    Throttle,
)
from staging.console.speech import StoredSegment, Utterance
from wire.voice import HeaderStyle, Segmenter, VoiceSegment, pack_frame

RATE = 8000


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def say(number: int, frames: int, *, start: int = 0) -> list[StoredSegment]:
    """Speak a tone: the segments as the store holds them."""
    segmenter = Segmenter(number, RATE, HeaderStyle.LENGTH32)
    segments: list[VoiceSegment] = []
    with SpeexEncoder(RATE) as encoder:
        for frame in range(frames):
            values = [int(12000 * math.sin(n * 0.3)) for n in range(frame * 160, frame * 160 + 160)]
            segment = segmenter.add(encoder.encode(struct.pack("<160h", *values)))
            segments += [segment] if segment else []
    segments += segmenter.finish()
    return [StoredSegment(start + index, segment) for index, segment in enumerate(segments)]


def test_segments_become_utterances_and_samples() -> None:
    found = speech.group([*say(10000, 40), *say(10001, 20, start=100)])
    assert [(u.id, u.start, u.complete, round(u.seconds, 2)) for u in found] == [
        (10000, 0, True, 0.8),
        (10001, 100, True, 0.4),
    ]
    sound, damaged = speech.decode(found[0])
    assert damaged == 0
    with wave.open(io.BytesIO(render_wav(sound))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, 6400)
    shown = speech.peaks(sound.samples)
    assert len(shown) == speech.PEAKS
    assert max(shown) == pytest.approx(12000 / 32768, rel=0.3)


def test_an_id_that_comes_again_is_another_utterance() -> None:
    found = speech.group([*say(10000, 5), *say(10000, 5, start=50)])
    assert [u.start for u in found] == [0, 50]


def test_what_is_lost_damaged_or_late_is_said_and_the_rest_is_heard() -> None:
    stored = say(10000, 45)
    lost = speech.group([stored[0], *stored[2:]])[0]
    assert (lost.missing, lost.complete) == (1, False)
    turned = speech.group([stored[1], stored[0], *stored[2:]])[0]
    assert speech.decode(turned) == speech.decode(speech.group(stored)[0])
    bad = VoiceSegment(1, 0, RATE, eof=False, voice_data=pack_frame(b"\xff", HeaderStyle.SPX, RATE))
    sound, damaged = speech.decode(Utterance(1, RATE, [StoredSegment(0, bad)]))
    assert (damaged, sound.samples) == (1, bytes(320))
    assert speech.peaks(b"") == []


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_ranges_lie_within_the_file(size: int, first: int, last: int) -> None:
    try:
        found = speech.byte_range(f"bytes={first}-{last}", size)
    except ValueError:
        assert first >= size or last < first
        return
    assert found == (first, min(last, size - 1))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-1000", (0, 99)),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
        ("bytes=x-2", None),
        ("bytes=-", None),
    ],
)
def test_range_forms(header: str | None, expected: tuple[int, int] | None) -> None:
    assert speech.byte_range(header, 100) == expected


def test_sessions_end_when_idle_when_old_and_when_there_are_too_many() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    cookie, session = sessions.begin(1, "tester")
    assert sessions.find(cookie) is session
    assert sessions.find("another") is None
    assert cookie not in repr(vars(sessions))
    clock.now = IDLE_SECONDS
    assert sessions.find(cookie) is None
    cookie, session = sessions.begin(1, "tester")
    for _ in range(int(LIFETIME_SECONDS / IDLE_SECONDS) + 1):
        clock.now += IDLE_SECONDS - 1
        sessions.find(cookie)
    assert sessions.find(cookie) is None
    first, _ = sessions.begin(1, "tester")
    for _ in range(SESSIONS_LIMIT):
        sessions.begin(2, "other")
    assert sessions.find(first) is None


def test_the_brake_holds_for_its_window_and_forgets_after_success() -> None:
    clock = Clock()
    brake = Throttle(clock)
    for _ in range(FAILURES_PER_NAME):
        assert brake.wait_seconds("Tester", "a") == 0
        brake.failed("Tester", "a")
    assert brake.wait_seconds("tester", "b") == FAILURE_WINDOW_SECONDS
    assert brake.wait_seconds("other", "a") == 0
    clock.now = FAILURE_WINDOW_SECONDS
    assert brake.wait_seconds("tester", "a") == 0
    brake.failed("tester", "a")
    brake.succeeded("tester")
    assert brake.wait_seconds("tester", "a") == 0


async def test_a_watcher_is_told_once_and_holds_a_bounded_set() -> None:
    hub = live.Hub(limit=2)
    with hub.watch(None) as every, hub.watch("a") as one:
        with pytest.raises(live.TooManyWatchersError), hub.watch(None):
            pass
        hub.notify("a")
        hub.notify("a")
        hub.notify("b")
        assert (every.take(), one.take()) == ({"a", "b"}, {"a"})
        assert every.take() == set()
        for number in range(live.DIRTY_LIMIT + 5):
            hub.notify(str(number))
        assert every.take() is None
        hub.close()
        await every.wait(60)  # returns at once: the server ends
        assert every.closed
    assert hub.is_full  # closed: takes none any more


def test_events_are_one_line_of_json_whatever_they_hold() -> None:
    text = live.event("report", {"value": "a\n\ndata: b\r\n音量"}, 7).decode()
    head, name, data, rest = text.split("\n", 3)
    assert (head, name, rest) == ("id: 7", "event: report", "\n")
    assert json.loads(data.removeprefix("data: ")) == {"value": "a\n\ndata: b\r\n音量"}


@pytest.mark.parametrize(
    ("header", "expected"), [("17", 17), ("", None), (None, None), ("-1", None), ("9" * 30, None)]
)
def test_last_event_id(header: str | None, expected: int | None) -> None:
    assert live.last_event_id(header) == expected


def test_every_file_of_the_page_ships_and_words_are_in_both_languages() -> None:
    assets = Assets()
    folder = Path(live.__file__).parent / "static"
    assert set(assets.names()) == {
        str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()
    }
    assert assets.get("../app.py") is None
    index = assets.get(INDEX)
    assert index is not None
    assert b"http" not in index.body
    for name in assets.names():
        asset = assets.get(name)
        assert asset is not None
        text = asset.body.decode()
        assert "innerHTML" not in text, name
        assert "https://" not in text, name
