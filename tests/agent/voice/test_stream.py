"""One utterance while it is spoken: when segments leave, what arrives, and what is dropped."""

from __future__ import annotations

import array
import asyncio
import math

import pytest

from agent.link import LostError, ReportRejectedError
from agent.settings import Band, VoiceSettings
from agent.voice import stream
from agent.voice.stream import Drop, LiveSender, LiveUtterance, SpeexFrames
from audio.speex import SpeexDecoder
from audio.vad import BLOCK_BYTES, RATE
from tests.agent.memory_link import MemoryLink
from tests.audio.levels import power_at
from wire.voice import HeaderStyle, parse_segment, unpack_frames


def tone(blocks: int) -> list[bytes]:
    samples = array.array(
        "h", (int(9000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(blocks * 320))
    ).tobytes()
    return [samples[n : n + BLOCK_BYTES] for n in range(0, len(samples), BLOCK_BYTES)]


class Bench:
    def __init__(self, *script: LostError | ReportRejectedError | None, **settings: object) -> None:
        self.link = MemoryLink(*script)
        self.settings = VoiceSettings(**settings)  # type: ignore[arg-type]
        self.drops: list[tuple[Drop, str]] = []
        self.utterance = LiveUtterance(
            self.link, self.settings, 10001, lambda reason, why: self.drops.append((reason, why))
        )

    async def sent(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.link.tried) < count:
                await asyncio.sleep(0)


@pytest.mark.parametrize("style", list(HeaderStyle))
@pytest.mark.parametrize("band", list(Band))
async def test_what_arrives_decodes_to_what_was_said(band: Band, style: HeaderStyle) -> None:
    bench = Bench(band=band, style=style)
    for block in tone(50):
        bench.utterance.add(block)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert await bench.utterance.finish()
    segments = [parse_segment(report[style.report_key]) for report in bench.link.reports]
    assert [s.eof for s in segments] == [False] * (len(segments) - 1) + [True]
    assert {s.rate for s in segments} == {band.rate}
    with SpeexDecoder(band.rate) as decoder:
        frames = [frame for s in segments for frame in unpack_frames(s.voice_data)]
        samples = array.array("h", b"".join(map(decoder.decode, frames)))
    assert band.rate - 320 <= len(samples) <= band.rate + 320
    assert power_at(samples[band.rate // 10 : -band.rate // 10], band.rate, 440) > 0.8
    assert bench.drops == []


async def test_the_first_segment_leaves_with_its_fifteenth_frame() -> None:
    bench = Bench()
    blocks = tone(40)
    for block in blocks[:15]:
        bench.utterance.add(block)
    await asyncio.sleep(0)
    assert bench.link.tried == []  # the resampler holds 2 ms back
    bench.utterance.add(blocks[15])
    await bench.sent(1)
    assert len(bench.link.tried) == 1
    await bench.utterance.close()


async def test_the_time_before_the_begin_fills_a_segment_at_once() -> None:
    bench = Bench()
    bench.utterance.add_all(tone(20), begins=True)  # what an endpointer gives with START
    await bench.sent(1)
    assert bench.drops == []
    await bench.utterance.close()


async def test_four_seconds_since_a_wake_word_that_was_heard_late_come_at_once_and_arrive() -> None:
    bench = Bench()
    bench.utterance.add_all(tone(200), begins=True)
    assert await bench.utterance.finish()
    assert bench.drops == []
    assert bench.utterance.segments > 200 // 15


async def test_behind_what_came_with_the_begin_three_segments_may_wait() -> None:
    bench = Bench()
    bench.link.report = lambda _data: asyncio.Event().wait()  # type: ignore[method-assign, assignment, return-value]
    blocks = tone(15 * 14 + 1)
    bench.utterance.add_all(blocks[: 15 * 10 + 1], begins=True)
    await asyncio.sleep(0)  # the first of them is on its way
    for block in blocks[15 * 10 + 1 : 15 * 13 + 1]:
        bench.utterance.add(block)
    assert bench.drops == []
    for block in blocks[15 * 13 + 1 :]:
        bench.utterance.add(block)
    assert [reason for reason, _ in bench.drops] == [Drop.OVERFLOW]
    assert not await bench.utterance.finish()


async def test_three_segments_may_wait_and_the_fifth_drops_the_utterance() -> None:
    """One is on its way to the cloud, three wait."""
    bench = Bench()
    bench.link.report = lambda _data: asyncio.Event().wait()  # type: ignore[method-assign, assignment, return-value]
    blocks = tone(15 * 5 + 1)
    for block in blocks[: 15 * 4 + 1]:
        bench.utterance.add(block)
        await asyncio.sleep(0)
    assert bench.drops == []
    for block in blocks[15 * 4 + 1 :]:
        bench.utterance.add(block)
    assert [reason for reason, _ in bench.drops] == [Drop.OVERFLOW]
    assert not await bench.utterance.finish()


async def test_the_end_of_an_utterance_waits_for_its_place_behind_three() -> None:
    bench, answers, report = Bench(), asyncio.Event(), MemoryLink.report

    async def slow(data: dict[str, object]) -> None:
        await answers.wait()
        await report(bench.link, data)

    bench.link.report = slow  # type: ignore[method-assign, assignment]
    for block in tone(15 * 4 + 1):
        bench.utterance.add(block)
        await asyncio.sleep(0)
    ending = asyncio.create_task(bench.utterance.finish())
    for _ in range(10):  # turns in which it could give up
        await asyncio.sleep(0)
    answers.set()
    assert await ending
    assert bench.drops == []
    key = bench.settings.style.report_key
    segments = [parse_segment(each[key]) for each in bench.link.reports]
    assert [segment.eof for segment in segments] == [False] * 5 + [True]


@pytest.mark.parametrize("error", [LostError("gone"), ReportRejectedError("4.00")])
async def test_a_failure_is_told_once_and_nothing_follows_it(
    error: LostError | ReportRejectedError,
) -> None:
    bench = Bench(None, error)
    for block in tone(100):
        bench.utterance.add(block)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not await bench.utterance.finish()
    assert bench.drops == [(Drop.LOST, str(error))]
    assert len(bench.link.tried) == 2


async def test_a_cloud_that_does_not_answer_is_as_good_as_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "SEGMENT_SECONDS", 0.01)
    bench = Bench()
    bench.link.report = lambda _data: asyncio.Event().wait()  # type: ignore[method-assign, assignment, return-value]
    for block in tone(16):
        bench.utterance.add(block)
    assert not await bench.utterance.finish()
    assert bench.drops == [(Drop.LOST, "no answer from the cloud in 0.01 s")]


async def test_what_was_dropped_is_not_sent_and_told_to_nobody() -> None:
    bench = Bench()
    for block in tone(16):
        bench.utterance.add(block)
    assert bench.utterance.drop()
    assert not bench.utterance.drop()
    for block in tone(100):
        bench.utterance.add(block)
    assert not await bench.utterance.finish()
    assert bench.link.tried == []
    assert bench.drops == []


async def test_what_was_sent_cannot_be_dropped_any_more() -> None:
    bench = Bench()
    bench.utterance.add(tone(1)[0])
    assert await bench.utterance.finish()
    assert not bench.utterance.drop()
    assert bench.utterance.dropped is None
    assert bench.utterance.segments == 2


def test_frames_lose_no_sample_but_the_filters() -> None:
    frames = SpeexFrames(16000, 8)
    assert [len(frames.add(block)) for block in tone(3)] == [1, 1, 1]
    assert frames.finish() == []
    frames = SpeexFrames(8000, 8)
    assert sum(len(frames.add(block)) for block in tone(50)) == 49
    assert len(frames.finish()) == 1


async def test_a_sender_numbers_its_utterances_and_counts_their_ends() -> None:
    numbers = iter((10005, 10006))
    sender = LiveSender(MemoryLink(), VoiceSettings(), lambda: next(numbers))
    ids = []
    for _ in range(2):
        utterance = sender.begin(lambda _reason, _why: None)
        ids.append(utterance.id)
        await utterance.close()
    assert ids == [10005, 10006]
    sender.count("sent")
    sender.count("sent")
    assert sender.to_json() == {"sent": 2}
    assert sender.is_up
    assert not LiveSender(MemoryLink(is_up=False), VoiceSettings(), lambda: 0).is_up
