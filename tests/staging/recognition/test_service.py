"""From segments or a typed sentence to control requests, with every possible outcome.

Tests staging.recognition.lookup too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audio.speex import SpeexEncoder
from staging.data_dir import DataDir
from staging.errors import DeviceOfflineError, NotFoundError
from staging.gateway.reports import decide
from staging.recognition import service
from staging.recognition.actions import ActionError, Device, new_level
from staging.recognition.intents import Action, Intent, find_intent
from staging.recognition.kinds import Kind
from staging.recognition.outcomes import Outcome, OutcomeLog
from staging.recognition.recogniser import Recogniser
from staging.recognition.service import BusyError, Recognition
from staging.recognition.title_lists import TitleLists
from staging.store import Database, devices, effects, family
from staging.store.effects import Wanted
from staging.times import now_ms
from tests.staging.recognition.conftest import DEADLINE, UUID
from wire.datapoints import Range, self_description
from wire.errors import WireError
from wire.family import Spoken
from wire.story_points import PLAY
from wire.voice import HeaderStyle, Segmenter
from wire.volume import refusal

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
QUEUE_LIMIT = 16


class Machine:
    """A device behind `Gateway.control`: stores a volume, plays anything, or fails as scripted."""

    def __init__(self) -> None:
        self.volume = "7"
        self.allowed = range(17)
        self.asked: list[tuple[str, str, str]] = []
        self.failure: Exception | None = None
        self.answers: dict[tuple[str, str], tuple[str, str]] = {}

    async def control(self, uuid: str, name: str, method: str, value: str) -> tuple[str, str]:
        assert uuid == UUID
        self.asked.append((method, name, value))
        if self.failure:
            raise self.failure
        if (method, name) in self.answers:
            return self.answers[method, name]
        if name == "volume" and method == "PUT":
            if int(value) not in self.allowed:
                low, high = min(self.allowed), max(self.allowed)
                return "4.00", refusal(int(value), low, high, "volume_limits")
            self.volume = value
        return ("2.05", self.volume) if method == "GET" else ("2.04", "")


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def recognition(database: Database, data: DataDir, machine: Machine) -> Recognition:
    return Recognition(database, machine.control, data)


SAID: dict[str, list[tuple[str, str, str]]] = {
    "播放小兔子乖乖": [("PUT", "play", "播放小兔子乖乖")],
    "下一首": [("PUT", "play", "下一首")],
    "上一首": [("PUT", "play", "上一首")],
    "暂停": [("PUT", "play", "暂停")],
    "继续": [("PUT", "play", "继续")],
    "停止": [("PUT", "play", "停止")],
    "调高音量": [("GET", "volume", ""), ("PUT", "volume", "9")],
    "调低音量": [("GET", "volume", ""), ("PUT", "volume", "5")],
    "调低八格": [("GET", "volume", ""), ("PUT", "volume", "0")],
    "调高一百": [("GET", "volume", ""), ("PUT", "volume", "16")],
    "音量调到十五": [("PUT", "volume", "15")],
    "音量调到百分之五十": [("PUT", "volume", "8")],
    "静音": [("PUT", "volume", "0")],
    "音量调到最大": [("PUT", "volume", "16")],
}


@pytest.mark.parametrize(("sentence", "asked"), SAID.items())
async def test_a_typed_sentence_asks_the_device(
    recognition: Recognition, machine: Machine, sentence: str, asked: list[tuple[str, str, str]]
) -> None:
    outcome = await recognition.say(UUID.upper(), f" {sentence} ")
    assert outcome.done
    assert machine.asked == asked
    assert (outcome.uuid, outcome.source, outcome.text) == (UUID, "typed", sentence)
    assert recognition.outcomes.recent(UUID) == [outcome.to_json()]


@pytest.mark.parametrize(
    ("sentence", "now", "last", "done"),
    [
        ("调高音量", "11", "12", True), ("调高音量", "12", "14", False),
        ("音量调到最大", "7", "12", True), ("静音", "7", "3", True), ("音量调到十五", "7", "15", False),
    ],
)  # fmt: skip
async def test_louder_is_as_loud_as_the_family_allows_and_a_number_is_refused(
    recognition: Recognition, machine: Machine, sentence: str, now: str, last: str, done: bool,  # noqa: FBT001
) -> None:  # fmt: skip
    machine.volume, machine.allowed = now, range(3, 13)
    outcome = await recognition.say(UUID, sentence)
    assert (outcome.done, machine.asked[-1]) == (done, ("PUT", "volume", last))
    assert machine.volume == (last if done else now)


async def test_titles_are_those_of_the_catalogue(
    recognition: Recognition, machine: Machine, data: DataDir
) -> None:
    TitleLists(data.root).set(["小兔子乖乖", "两只老虎"], product="story-machine")
    outcome = await recognition.say(UUID, "播放小兔子")
    assert outcome.intent == {"action": "play", "title": "小兔子乖乖"}
    assert machine.asked == [("PUT", "play", "播放小兔子乖乖")]


@pytest.mark.parametrize(
    ("sentence", "content"),
    [
        ("播放停止的故事", "播放停止的故事"), ("我要听《暂停》", "播放暂停"), ("暂停", "暂停"),
        ("停止的故事", "播放停止的故事"), ("放小紅帽", "播放小红帽"), ("播放 stop", "播放Stop"),
    ],
)  # fmt: skip
async def test_a_title_that_says_a_command_is_played_unless_it_is_one(
    recognition: Recognition, machine: Machine, data: DataDir, sentence: str, content: str
) -> None:
    TitleLists(data.root).set(["停止的故事", "暂停", "小红帽", "Stop"], uuid=UUID)
    outcome = await recognition.say(UUID, sentence)
    assert (outcome.error, machine.asked) == (None, [("PUT", "play", content)])


@pytest.mark.parametrize(
    ("sentence", "title"),
    [
        ("小兔子乖乖", "小兔子乖乖"), ("小兔子乖乖！", "小兔子乖乖"), ("我要两只老虎", "两只老虎"), ("两只老虎吧", "两只老虎"),
        ("那就春天在哪里", "春天在哪里"), ("小兔子乖乖的故事", "小兔子乖乖"), ("春天在哪儿", None), ("小兔子", None), ("两只老鼠", None),
    ],
)  # fmt: skip
async def test_a_title_alone_is_played_or_if_it_is_not_quite_it_offered(
    recognition: Recognition, machine: Machine, data: DataDir, sentence: str, title: str | None
) -> None:
    TitleLists(data.root).set(["小兔子乖乖", "两只老虎", "春天在哪里"], uuid=UUID)
    outcome = await recognition.say(UUID, sentence)
    assert machine.asked == ([("PUT", "play", f"播放{title}")] if title else [])
    assert outcome.kind is (Kind.DONE if title else Kind.NOT_FOUND)
    assert title or outcome.nearest


async def test_what_is_refused_is_not_offered_and_the_other_one_is_played(
    recognition: Recognition, machine: Machine, data: DataDir
) -> None:
    TitleLists(data.root).set(["小红帽", "白雪公主", "不要停"], uuid=UUID)
    for sentence in ("不要小红帽", "不要"):
        assert not (await recognition.say(UUID, sentence)).nearest
    assert machine.asked == []
    await recognition.say(UUID, "别放小红帽放白雪公主")
    await recognition.say(UUID, "能不能讲小红帽")
    assert machine.asked == [("PUT", "play", "播放白雪公主"), ("PUT", "play", "播放小红帽")]


async def test_something_is_a_title_by_chance_or_the_folder_that_is_named(
    recognition: Recognition, machine: Machine, data: DataDir
) -> None:
    titles = ["小兔子乖乖", "两只老虎", "儿歌"]
    TitleLists(data.root).set(titles, uuid=UUID)
    for _ in range(40):
        assert (await recognition.say(UUID, "给我讲个故事")).done
    assert {content for *_, content in machine.asked} == {f"播放{title}" for title in titles}
    machine.asked.clear()
    outcome = await recognition.say(UUID, "放儿歌")
    assert machine.asked == [("PUT", "play", "播放儿歌")]
    assert outcome.intent == {"action": "play", "title": "儿歌"}


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [("讲个故事", ["播放故事", "继续"]), ("随便放一个", ["继续"])],
)
async def test_without_a_list_something_is_a_folder_or_what_was_heard_last(
    recognition: Recognition, machine: Machine, sentence: str, asked: list[str]
) -> None:
    control = machine.control

    async def no_folder(uuid: str, name: str, method: str, value: str) -> tuple[str, str]:
        answer = await control(uuid, name, method, value)
        return ("4.00", "no title") if value == "播放故事" else answer

    recognition._control = no_folder
    assert (await recognition.say(UUID, sentence)).done
    assert [value for *_, value in machine.asked] == asked


@pytest.mark.parametrize(
    ("sentence", "kind", "error"),
    [
        ("你好", "not_understood", "there is no command in it"),
        ("播放世上只有妈妈好", "not_found", "no title sounds like 世上只有妈妈好"),
        ("音量调到二十", "not_supported", "volume: got 20, expected an integer from 0 to 16"),
        ("二十小时后停", "not_supported", 'sleep_timer: got "二十小时后停", expected "off", minutes from 1 to 600'),
        ("半小时后关", "not_supported", "the device has no data point sleep_timer"),
    ],
)  # fmt: skip
async def test_what_is_not_asked_of_the_device(
    recognition: Recognition, machine: Machine, data: DataDir, sentence: str, kind: str, error: str
) -> None:
    TitleLists(data.root).set(["小兔子乖乖"], uuid=UUID)
    outcome = await recognition.say(UUID, sentence)
    assert not outcome.done
    assert outcome.kind.value == kind
    assert outcome.nearest == (("小兔子乖乖",) if kind == "not_found" else ())
    assert error in (outcome.error or "")
    assert machine.asked == []


async def test_a_sleep_timer_is_set_where_there_is_one(machine: Machine) -> None:
    points = self_description([replace(PLAY, name="sleep_timer", resource_type="")])
    intent = find_intent("半小时后关")
    assert intent is not None
    await Device(UUID, points, machine.control).carry_out(intent)
    assert machine.asked == [("PUT", "sleep_timer", "30")]
    assert intent.to_json() == {"action": "sleep-timer", "timer": "30"}


async def test_a_refusal_of_the_device_is_the_outcome(
    recognition: Recognition, machine: Machine
) -> None:
    machine.answers["PUT", "play"] = "4.00", "play: nothing is playing"
    outcome = await recognition.say(UUID, "下一首")
    assert outcome.error == "the device answered 4.00 play: nothing is playing"
    assert outcome.kind is Kind.REFUSED_BY_DEVICE
    assert outcome.steps[0]["code"] == "4.00"


@pytest.mark.parametrize(
    ("answer", "error"),
    [(("4.04", "gone"), "did not say its volume: 4.04 gone"), (("2.05", "loud"), '"loud"')],
)
async def test_a_volume_that_cannot_be_read_is_not_set(
    recognition: Recognition, machine: Machine, answer: tuple[str, str], error: str
) -> None:
    machine.answers["GET", "volume"] = answer
    outcome = await recognition.say(UUID, "大声一点")
    assert error in (outcome.error or "")
    assert [step["method"] for step in outcome.steps] == ["GET"]


async def test_a_device_that_is_away_is_said_so(recognition: Recognition, machine: Machine) -> None:
    machine.failure = DeviceOfflineError(f"device {UUID} is offline")
    outcome = await recognition.say(UUID, "暂停")
    assert (outcome.error, outcome.kind) == (f"device {UUID} is offline", Kind.DEVICE_OFFLINE)


async def test_a_sentence_of_any_text_is_carried_out(
    recognition: Recognition, machine: Machine
) -> None:
    for sentence in ("下一首\u3000\U0001f600", "\u3000下一首", "下一首\u00a0", "下\u200b一首"):
        assert (await recognition.say(UUID, sentence)).done, sentence
    assert {content for *_, content in machine.asked} == {"下一首"}


async def test_bad_requests(recognition: Recognition) -> None:
    with pytest.raises(NotFoundError, match="there is none"):
        await recognition.say("0" * 14, "暂停")
    for text in ("", " ", "\u3000", "停\n停", "停\u2028停", "停" * 501):
        with pytest.raises(WireError, match="text: got"):
            await recognition.say(UUID, text)


async def test_typed_sentences_are_bounded(
    database: Database, data: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TYPED_LIMIT", 1)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def control(*_: str) -> tuple[str, str]:
        begun.set()
        await go_on.wait()
        return "2.04", ""

    recognition = Recognition(database, control, data)
    first = asyncio.create_task(recognition.say(UUID, "暂停"))
    await asyncio.wait_for(begun.wait(), DEADLINE)
    with pytest.raises(BusyError):
        await recognition.say(UUID, "暂停")
    go_on.set()
    assert (await first).done
    assert (await recognition.say(UUID, "暂停")).done


async def test_a_device_without_the_data_point() -> None:
    async def control(*_: str) -> tuple[str, str]:
        raise AssertionError

    intent = find_intent("暂停")
    assert intent
    with pytest.raises(ActionError, match="no data point play"):
        await Device(UUID, {"resources": [{"name": "volume"}]}, control).carry_out(intent)
    with pytest.raises(ActionError, match="description of play"):
        await Device(UUID, {"resources": [{"name": "play"}]}, control).carry_out(intent)


@pytest.mark.parametrize(
    ("intent", "now", "limits", "level"),
    [
        (Intent(Action.VOLUME_UP, amount=2), 0, Range(0, 100, 5), 10),
        (Intent(Action.VOLUME_DOWN, amount=2), 3, Range(1, 16), 1),
        (Intent(Action.VOLUME_SET, amount=13), None, Range(0, 100, 5), 10),
        (Intent(Action.VOLUME_SET, amount=100, percent=True), None, Range(10, 30), 30),
    ],
)
def test_levels_keep_to_the_range_and_its_step(
    intent: Intent, now: int | None, limits: Range, level: int
) -> None:
    assert new_level(intent, now, limits) == level


# Spoken: segments as input, and a scripted recogniser.


def voice_reports(number: int = 10000, frames: int = 33) -> list[dict[str, object]]:
    segmenter = Segmenter(number, 8000, HeaderStyle.SPX)
    with SpeexEncoder(8000) as encoder:
        frame = encoder.encode(bytes(encoder.frame_bytes))
    segments = [*filter(None, (segmenter.add(frame) for _ in range(frames))), *segmenter.finish()]
    return [{"duer_voice": segment.to_json()} for segment in segments]


@asynccontextmanager
async def listening(
    database: Database, data: DataDir, machine: Machine, command: tuple[str, ...]
) -> AsyncIterator[tuple[Callable[[list[dict[str, object]]], None], Callable[[], Any]]]:
    """Run a recognition; yields functions that pass it reports and await the next outcome."""
    recognition = Recognition(
        database, machine.control, data, Recogniser(Path("cache"), command=command)
    )
    running = asyncio.create_task(recognition.run())

    def hear(reports: list[dict[str, object]]) -> None:
        for report in reports:
            recognition.collect(UUID, decide(UUID, report))

    with recognition.outcomes.subscribe(UUID) as feed:
        queue = feed.__aiter__()

        async def next_outcome() -> Outcome:
            return await asyncio.wait_for(anext(queue), DEADLINE)

        yield hear, next_outcome
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await recognition.close()


async def test_a_spoken_sentence_asks_the_device(
    database: Database, data: DataDir, machine: Machine, worker: tuple[str, str]
) -> None:
    mode = json.dumps(["播放两句老虎。", -0.3, 0.05])
    TitleLists(data.root).set(["两只老虎", "小兔子乖乖"], uuid=UUID)
    async with listening(database, data, machine, (*worker, mode)) as (hear, next_outcome):
        hear([{"alive": 0}, {"volume": 3}, *voice_reports()])
        outcome = await next_outcome()
    assert outcome.done
    assert machine.asked == [("PUT", "play", "播放两只老虎")]
    assert (outcome.source, outcome.utterance, outcome.audio_seconds) == ("voice", 10000, 0.66)


async def test_what_a_parent_has_erased_is_neither_done_nor_kept(
    database: Database, data: DataDir, machine: Machine, worker: tuple[str, str]
) -> None:
    mode = json.dumps(["音量调到五", -0.3, 0.05])
    device, now = database.call(devices.get, UUID).id, now_ms()
    reports = [Wanted(decide(UUID, report)) for report in voice_reports(10_000)]
    database.call(effects.apply_all, device, None, reports, now)
    database.call(family.erase_spoken, device, [Spoken(10_000, now)], now)
    async with listening(database, data, machine, (*worker, mode)) as (hear, next_outcome):
        hear([*voice_reports(10_000), *voice_reports(10_001)])
        outcome = await next_outcome()
    assert (outcome.utterance, machine.asked) == (10_001, [("PUT", "volume", "5")])
    assert [each["utterance"] for each in OutcomeLog(data.root).recent(UUID)] == [10_001]


async def test_the_model_is_loaded_while_the_child_still_speaks(
    database: Database, data: DataDir, machine: Machine, worker: tuple[str, str]
) -> None:
    recogniser = Recogniser(Path("cache"), command=(*worker, '["下一首", -0.3, 0.05]'))
    recognition = Recognition(database, machine.control, data, recogniser)
    first, *others = voice_reports()
    recognition.collect(UUID, decide(UUID, first))
    assert recognition._warming is not None
    await asyncio.wait_for(recognition._warming, DEADLINE)
    loaded = recogniser.pid
    assert loaded
    for report in others:
        recognition.collect(UUID, decide(UUID, report))
    await recognition._work_on(*recognition._queue.get_nowait())
    assert (recogniser.pid, machine.asked) == (loaded, [("PUT", "play", "下一首")])
    await recognition.close()
    assert recogniser.pid is None


@pytest.mark.parametrize(
    ("answer", "text", "error"),
    [
        (["", -0.1, 0.1], None, "no speech was heard"),
        (["调低音量", -0.7, 0.9], None, "no speech was heard"),
        (["调高音量", -1.2, 0.1], "调高音量", "not heard well enough"),
        (["你好", -0.1, 0.1], "你好", "no command"),
    ],
)
async def test_what_is_heard_badly_is_not_acted_upon(
    database: Database, data: DataDir, machine: Machine, worker: tuple[str, str],
    answer: list[object], text: str | None, error: str,
) -> None:  # fmt: skip
    command = (*worker, json.dumps(answer))
    async with listening(database, data, machine, command) as (hear, next_outcome):
        hear(voice_reports())
        outcome = await next_outcome()
    assert outcome.text == text
    assert outcome.kind is Kind.NOT_UNDERSTOOD
    assert error in (outcome.error or "")
    assert machine.asked == []


async def test_a_broken_utterance_and_a_dead_recogniser_are_outcomes_too(
    database: Database, data: DataDir, machine: Machine, worker: tuple[str, str]
) -> None:
    async with listening(database, data, machine, (*worker, "die")) as (hear, next_outcome):
        hear([{"voice_control": {"id": 5, "segment": 0, "rate": 8000, "channel": 1, "eof": 1}}])
        assert (await next_outcome()).error == "the utterance was given up: it is empty"
        hear(voice_reports())
        assert (await next_outcome()).error == "the process ended"
        hear(voice_reports(10001))
        assert (await next_outcome()).utterance == 10001


async def test_the_queue_is_bounded(
    database: Database, data: DataDir, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    recognition = Recognition(database, machine.control, data, Recogniser(Path("cache")))
    for number in range(QUEUE_LIMIT + 1):
        for report in voice_reports(10000 + number):
            recognition.collect(UUID, decide(UUID, report))
    assert f"utterance {10000 + QUEUE_LIMIT} dropped" in caplog.text
    await recognition.close()


async def test_without_a_recogniser_nothing_is_collected(recognition: Recognition) -> None:
    for report in voice_reports():
        recognition.collect(UUID, decide(UUID, report))
    assert recognition.outcomes.recent() == []
    assert len(recognition._reassembler) == 0


async def test_what_was_done_counts_also_when_the_record_fails(
    recognition: Recognition, data: DataDir, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    (data.root / "recognition.sqlite").mkdir()
    with recognition.outcomes.subscribe() as feed:
        assert (await recognition.say(UUID, "暂停")).done
        assert (await anext(feed.__aiter__())).done
    assert machine.asked
    assert "the outcome is not kept" in caplog.text


async def test_an_offer_is_answered_aloud(
    database: Database, data: DataDir, machine: Machine, worker: tuple[str, str]
) -> None:
    scores = {"第二个": 14.0, "播放小兔子乖乖": 6.0, "播放小兔子拔萝卜": 5.9}
    TitleLists(data.root).set(["小兔子乖乖", "小兔子拔萝卜"], uuid=UUID)
    command = (*worker, json.dumps(["播放小兔子", -0.1, 0.05, scores]))
    async with listening(database, data, machine, command) as (hear, next_outcome):
        hear(voice_reports())
        assert (await next_outcome()).kind is Kind.NOT_FOUND
        hear(voice_reports(10001))
        outcome = await next_outcome()
    assert (outcome.text, outcome.done) == ("第二个", True)
    assert machine.asked == [("PUT", "play", "播放小兔子拔萝卜")]


async def test_two_hundred_and_fifty_six_answers_are_sent_at_once(
    recognition: Recognition, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More devices than that do not speak at once; the rest of a flood is told, and not kept."""
    monkeypatch.setattr(service, "answer_of", lambda _outcome: SimpleNamespace(titles=()))
    outcome: Any = SimpleNamespace(uuid=UUID)
    for _ in range(256):
        recognition._tell(outcome)
    assert "too many answers" not in caplog.text
    recognition._tell(outcome)
    assert "too many answers are being sent" in caplog.text
    sending = list(recognition._answering)
    assert len(sending) == 256
    for task in sending:
        task.cancel()
    await asyncio.wait(sending)
