"""What a device is told about an utterance: each kind of outcome, names that can be said, and whose sentence it was."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from staging.data_dir import DataDir
from staging.gateway.reports import decide
from staging.recognition import service
from staging.recognition.answer import RESULTS, Waiting, answer_of, said
from staging.recognition.kinds import Kind
from staging.recognition.outcomes import TYPED, VOICE, Outcome
from staging.recognition.phonetics import has_pinyin
from staging.recognition.recogniser import Recogniser
from staging.recognition.service import Recognition
from staging.recognition.title_lists import TitleLists
from staging.store import Database
from tests.staging.recognition.conftest import DEADLINE, UUID
from tests.staging.recognition.test_service import Machine, voice_reports
from wire.answers import Result, Title, UtteranceAnswer, parse_answer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
QUEUE_LIMIT = 16
WAITING_LIMIT = 1_024
WAITING_SECONDS = 60.0
TITLE_LIMIT = 255

needs_pinyin = pytest.mark.skipif(not has_pinyin(), reason="missing: pypinyin")


def outcome(kind: Kind, *nearest: str, text: str = "", utterance: int | None = 10001) -> Outcome:
    return Outcome(
        "a", 1, VOICE, utterance=utterance, kind=kind, nearest=nearest, text=text or None
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_result(kind: Kind) -> None:
    answer = answer_of(outcome(kind, text="下一首"))
    assert answer == UtteranceAnswer(10001, RESULTS[kind], (), "下一首")


def test_what_belongs_to_no_utterance_is_told_to_nobody() -> None:
    assert answer_of(outcome(Kind.DONE, utterance=None)) is None


@pytest.mark.parametrize(
    "nearest",
    [
        ("小兔子乖乖", "两只老虎"), ("小兔子乖乖",), (), ("a\u2028b", "\x1b[2J"), ("兔" * (TITLE_LIMIT + 1), "两只老虎"),
        ("兔" * TITLE_LIMIT, "𠀀" * TITLE_LIMIT), ("欸", "嗯"),
    ],
)  # fmt: skip
def test_whatever_the_titles_are_the_device_can_read_the_answer(nearest: tuple[str, ...]) -> None:
    answer = answer_of(outcome(Kind.NOT_FOUND, *nearest, text="播放\x00" + "长" * 600))
    assert answer is not None
    assert parse_answer(answer.to_payload()) == answer


def test_only_what_was_not_found_has_titles() -> None:
    answer = answer_of(outcome(Kind.DONE, "小兔子乖乖"))
    assert answer is not None
    assert answer.titles == ()


@needs_pinyin
@pytest.mark.parametrize(
    ("title", "pinyin"),
    [
        ("小兔子乖乖", "xiao3 tu4 zi5 guai1 guai1"), ("第2集", "di4 er4 ji2"), ("绿色", "lv4 se4"),
        ("小猪佩奇 Peppa", "xiao3 zhu1 pei4 qi2"), ("The frog king", ""), ("2017", ""), ("", ""), ("…", ""),
    ],
)  # fmt: skip
def test_how_a_title_is_said(title: str, pinyin: str) -> None:
    assert said(title) == pinyin


def test_a_typed_sentence_belongs_to_the_last_utterance_that_waits() -> None:
    waiting = Waiting()
    assert waiting.take("a", 0.0) is None
    waiting.add("a", 1, 0.0)
    waiting.add("a", 2, 1.0)
    waiting.add("b", 3, 1.0)
    assert waiting.take("a", 2.0) == 2
    assert waiting.take("a", 2.0) is None  # once
    assert waiting.take("b", 1.1 + WAITING_SECONDS) is None
    for number in range(WAITING_LIMIT + 1):
        waiting.add(str(number), number, 0.0)
    assert (waiting.take("0", 0.0), waiting.take("1", 0.0)) == (None, 1)


class Told:
    """Takes answers."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[str, UtteranceAnswer]] = asyncio.Queue()

    async def answer(self, uuid: str, answer: UtteranceAnswer) -> bool:
        self.queue.put_nowait((uuid, answer))
        return True

    async def next(self) -> UtteranceAnswer:
        uuid, answer = await asyncio.wait_for(self.queue.get(), DEADLINE)
        assert uuid == UUID
        return answer


def heard(recognition: Recognition, number: int = 10000) -> None:
    for report in voice_reports(number):
        recognition.collect(UUID, decide(UUID, report))


async def test_a_sentence_that_is_typed_for_an_utterance_answers_it(
    database: Database, data: DataDir
) -> None:
    told, machine = Told(), Machine()
    recognition = Recognition(database, machine.control, data, answer=told.answer)
    heard(recognition)
    TitleLists(data.root).set(["小兔子乖乖", "两只老虎"], uuid=UUID)
    outcome = await recognition.say(UUID, "播放小兔子")
    assert (outcome.utterance, outcome.source) == (10000, TYPED)
    assert await told.next() == UtteranceAnswer(10000, Result.DONE, (), "播放小兔子")
    assert list(outcome.stages) == ["recognised", "ordered", "done"]
    assert recognition.outcomes.recent(UUID)[0]["stages"] == outcome.stages
    again = await recognition.say(UUID, "暂停")  # belongs to none
    assert again.utterance is None
    heard(recognition, 10001)
    machine.answers["PUT", "play"] = "4.00", "play: nothing is playing"
    await recognition.say(UUID, "下一首")
    assert await told.next() == UtteranceAnswer(10001, Result.REFUSED, (), "下一首")
    heard(recognition, 10002)
    await recognition.say(UUID, "今天天气很好")
    assert (await told.next()).result is Result.NOT_UNDERSTOOD
    assert told.queue.empty()


@needs_pinyin
async def test_what_is_not_found_is_told_with_the_nearest(
    database: Database, data: DataDir
) -> None:
    told = Told()
    recognition = Recognition(database, Machine().control, data, answer=told.answer)
    TitleLists(data.root).set(["小兔子乖乖", "两只老虎", "三只小猪"], uuid=UUID)
    heard(recognition)
    await recognition.say(UUID, "播放世上只有妈妈好")
    answer = await told.next()
    assert answer.result is Result.NOT_FOUND
    assert answer.titles
    assert all(
        title == Title(title.title, said(title.title)) and title.pinyin for title in answer.titles
    )


async def test_a_spoken_sentence_is_answered(
    database: Database, data: DataDir, worker: tuple[str, str]
) -> None:
    told, machine = Told(), Machine()
    command = (*worker, json.dumps(["下一首", -0.3, 0.05]))
    recognition = Recognition(
        database,
        machine.control,
        data,
        Recogniser(Path("cache"), command=command),
        answer=told.answer,
    )
    running = asyncio.create_task(recognition.run())
    heard(recognition)
    assert await told.next() == UtteranceAnswer(10000, Result.DONE, (), "下一首")
    running.cancel()
    await asyncio.wait([running])
    await recognition.close()


async def test_what_the_cloud_drops_is_told_as_failed(database: Database, data: DataDir) -> None:
    told = Told()
    recogniser = Recogniser(Path("cache"))
    recognition = Recognition(database, Machine().control, data, recogniser, answer=told.answer)
    for number in range(QUEUE_LIMIT + 1):
        heard(recognition, 10000 + number)
    assert await told.next() == UtteranceAnswer(10000 + QUEUE_LIMIT, Result.FAILED)
    await recognition.close()  # the model was being loaded


async def test_answers_on_their_way_are_bounded(
    database: Database,
    data: DataDir,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(service, "ANSWERING_LIMIT", 1)
    begun = []

    async def never(_uuid: str, answer: UtteranceAnswer) -> bool:
        begun.append(answer.id)
        await asyncio.Event().wait()
        return True

    recognition = Recognition(database, Machine().control, data, answer=never)
    for number in (10000, 10001):
        heard(recognition, number)
        await recognition.say(UUID, "暂停")
        await asyncio.sleep(0)
    assert begun == [10000]
    assert "too many answers" in caplog.text
    await recognition.close()


@pytest.mark.parametrize(("waits", "asked"), [(True, []), (False, [("PUT", "play", "下一首")])])
async def test_what_is_understood_too_late_is_not_carried_out_for_a_machine_that_said_so(
    database: Database, data: DataDir, worker: tuple[str, str], *, waits: bool, asked: list[object]
) -> None:
    told, machine, now = Told(), Machine(), [0.0]

    def clock() -> float:
        """Each look is six seconds later: the recogniser is slow."""
        now[0] += 6.0
        return now[0]

    command = (*worker, json.dumps(["下一首", -0.3, 0.05]))
    recognition = Recognition(
        database, machine.control, data, Recogniser(Path("cache"), command=command),
        answer=told.answer, waits=lambda _uuid: waits, monotonic=clock,
    )  # fmt: skip
    running = asyncio.create_task(recognition.run())
    heard(recognition)
    answer = await told.next()
    assert answer.result is (Result.FAILED if waits else Result.DONE)
    assert machine.asked == asked
    running.cancel()
    await asyncio.wait([running])
    await recognition.close()
