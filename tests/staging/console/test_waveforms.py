"""Utterances are decoded one at a time, for a bounded time, and once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from staging.console import shapes, sound
from staging.console.waveforms import SoundBusyError, Waveforms
from staging.store.utterances import StoredSegment, Utterance, group
from tests.staging.console.test_sound import RATE, say
from wire.voice import HeaderStyle, VoiceSegment, pack_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
WAITING_LIMIT = 8
FRAMES_LIMIT = 6_000


def many(count: int) -> list[Utterance]:
    return [u for n in range(count) for u in group(say(10000 + n, 20, start=n * 100))]


async def test_what_is_not_decoded_in_time_is_there_the_next_time() -> None:
    readings = iter([0.0, 0.0, 2.0, 2.0, 2.0])  # the begin, then one for each turn
    made = Waveforms(lambda: next(readings, 0.0))
    spoken = many(3)
    first = await made.shown(1, spoken)
    assert [bool(each["peaks"]) for each in first] == [True, False, False]
    assert [each["seconds"] for each in first] == [0.4] * 3
    assert [bool(each["peaks"]) for each in await made.shown(1, spoken)] == [True] * 3


async def test_an_utterance_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = sound.decode

    def count(spoken: Utterance, *more: Any) -> Any:
        calls.append(spoken.id)
        return real(spoken, *more)

    monkeypatch.setattr(sound, "decode", count)
    made, spoken = Waveforms(), many(2)
    assert await made.shown(1, spoken) == await made.shown(1, spoken)
    assert calls == [10000, 10001]
    await made.shown(2, spoken)  # another device's have the same numbers
    assert len(calls) == 4


async def test_pages_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(sound, "decode", lambda *_: go.wait(30))
    monkeypatch.setattr(shapes, "utterance", lambda *_: {})
    made, spoken = Waveforms(), many(1)
    waiting = [asyncio.create_task(made.shown(n, spoken)) for n in range(WAITING_LIMIT)]
    await asyncio.sleep(0)
    with pytest.raises(SoundBusyError):
        await made.shown(99, spoken)
    go.set()
    await asyncio.gather(*waiting)
    assert await made.shown(99, spoken) == [{}]


async def test_a_sound_that_takes_too_long_is_given_up() -> None:
    readings = iter([0.0, 99.0])
    with pytest.raises(SoundBusyError):
        await Waveforms(lambda: next(readings, 99.0)).wav(many(1)[0])


def test_an_utterance_from_before_the_bounds_is_cut() -> None:
    """40 segments of 7,000 one-byte frames took a page 24 s and 665 MB."""
    data = pack_frame(b"x", HeaderStyle.LENGTH32, RATE) * 7000
    segments = [VoiceSegment(1, n, RATE, eof=False, voice_data=data) for n in range(40)]
    spoken = group(StoredSegment(n, segment) for n, segment in enumerate(segments))[0]
    assert len(spoken.frames()) == FRAMES_LIMIT
    assert spoken.seconds == 120
