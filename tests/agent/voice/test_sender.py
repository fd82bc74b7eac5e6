"""Sending samples as the document's segments over a link that may be down."""

from __future__ import annotations

import array
import asyncio
import base64
import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.link import LostError
from agent.settings import VoiceSettings
from agent.voice.sender import Utterance, VoiceSender
from audio.pcm import Pcm
from audio.speex import SpeexDecoder
from tests.agent.memory_link import MemoryLink
from tests.audio.levels import power_at
from wire.voice import HeaderStyle, parse_segment, unpack_frames

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
ID_FIRST = 10000
ID_LAST = 109999

DOCUMENT = Path(__file__).parents[2] / "wire" / "document_segments.json"


def sine(seconds: float, rate: int = 8000) -> Pcm:
    samples = array.array(
        "h", (int(9000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(int(seconds * rate)))
    )  # fmt: skip
    return Pcm(rate, samples.tobytes())


async def say(sound: Pcm, **changes: object) -> tuple[Utterance, list[dict[str, object]]]:
    link = MemoryLink()
    sent = await VoiceSender(link, VoiceSettings(**changes)).send(sound)  # type: ignore[arg-type]
    return sent, link.reports


async def test_segments_have_the_documents_shape() -> None:
    sent, reports = await say(sine(1.0))
    document = json.loads(DOCUMENT.read_text("utf-8"))["segments"][0]
    assert sent == Utterance(sent.id, 5, 1.0, cut=False, size=50 * 42)
    first = reports[0]["voice_control"]
    assert isinstance(first, dict)
    assert list(first) == ["id", "segment", "rate", "channel", "eof", "voice_data"]
    assert len(str(first["voice_data"])) == len(document["voice_data"]) == 840
    assert base64.b64decode(first["voice_data"])[:4] == b"\x26\0\0\0"
    assert reports[-1] == {
        "voice_control": {"id": sent.id, "segment": 4, "rate": 8000, "channel": 1, "eof": 1}
    }
    segments = [parse_segment(report["voice_control"]) for report in reports]
    assert [s.segment for s in segments] == [0, 1, 2, 3, 4]
    assert {s.id for s in segments} == {sent.id}
    assert ID_FIRST <= sent.id <= ID_LAST


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("style", list(HeaderStyle))
async def test_both_styles_at_both_rates_decode_to_what_was_said(
    style: HeaderStyle, rate: int
) -> None:
    _, reports = await say(sine(0.99, rate), style=style)
    voice = [parse_segment(report[style.report_key]) for report in reports]
    assert all(len(segment.voice_data) <= style.max_bytes for segment in voice)
    marks = {HeaderStyle.LENGTH32: b"\0\0", HeaderStyle.SPX: b"PX"}
    assert all(segment.voice_data[2:4] == marks[style] for segment in voice[:-1])
    with SpeexDecoder(rate) as decoder:
        frames = [frame for segment in voice for frame in unpack_frames(segment.voice_data)]
        samples = array.array("h", b"".join(map(decoder.decode, frames)))
    assert len(samples) == rate  # 0.99 s filled up to whole frames
    assert power_at(samples[rate // 10 : -rate // 10], rate, 440) > 0.8


async def test_ids_count_up_also_after_an_utterance_that_was_dropped() -> None:
    link = MemoryLink()
    sender = VoiceSender(link, VoiceSettings())
    first = await sender.send(sine(0.1))
    link.script = [None, LostError("gone")]
    with pytest.raises(LostError):
        await sender.send(sine(1.0))
    third = await sender.send(sine(0.1))
    assert (third.id - first.id) % (ID_LAST - ID_FIRST + 1) in {2, 2 + ID_LAST - ID_FIRST}


class Gate(MemoryLink):
    """A link on which the first report waits until the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.is_open = asyncio.Event(), asyncio.Event()

    async def report(self, data: Mapping[str, object]) -> None:
        self.waits.set()
        await self.is_open.wait()
        await super().report(data)


async def test_of_two_sounds_the_second_begins_when_all_of_the_first_is_sent() -> None:
    link = Gate()
    sender = VoiceSender(link, VoiceSettings())
    first = asyncio.create_task(sender.send(sine(1.0)))
    await link.waits.wait()
    link.waits.clear()
    second = asyncio.create_task(sender.send(sine(1.0)))
    for _ in range(10):  # as far as it comes
        await asyncio.sleep(0)
    assert not link.waits.is_set()
    link.is_open.set()
    ids = [(await first).id, (await second).id]
    sent = [parse_segment(report["voice_control"]).id for report in link.reports]
    assert sent == [ids[0]] * 5 + [ids[1]] * 5


async def test_the_id_begins_anew_after_the_last_of_the_documents_range() -> None:
    sender = VoiceSender(MemoryLink(), VoiceSettings())
    sender._last_id = ID_LAST
    assert (await sender.send(sine(0.1))).id == ID_FIRST


async def test_an_utterance_is_cut_at_the_limit_and_said_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent, reports = await say(sine(2.5), max_seconds=1)
    assert (sent.cut, sent.seconds, sent.segments) == (True, 1.0, 5)
    assert len(reports) == 5
    assert "an utterance was cut at 1 s" in caplog.text


async def test_exactly_the_limit_is_not_cut() -> None:
    sent, _ = await say(sine(1.0), max_seconds=1)
    assert not sent.cut


async def test_without_a_link_the_utterance_is_dropped_not_kept() -> None:
    link = MemoryLink(None, None, LostError("gone"))
    with pytest.raises(LostError, match="gone"):
        await VoiceSender(link, VoiceSettings()).send(sine(3.0))
    assert len(link.reports) == 2


async def test_one_sample_is_an_utterance() -> None:
    sent, reports = await say(Pcm(8000, b"\1\0"))
    assert sent.segments == len(reports) == 2
