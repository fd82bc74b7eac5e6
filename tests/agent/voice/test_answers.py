"""The cloud's answer: each result as the child hears it, and answers that are late, double or of something else.

`AnswerBook` decides alone; the rest goes through a listener among scripted parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.voice import states
from agent.voice.answers import AnswerBook, NoNamer, Use
from agent.voice.session import End, Session
from agent.voice.states import State
from tests.agent.voice.ear_parts import Room, settled
from tests.agent.voice.test_listener import SENTENCE, begin
from tests.resources.parts import Bench
from wire.answers import Result, Title, UtteranceAnswer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LATE_SECONDS = 60.0

RABBIT, TIGERS = (
    Title("小兔子乖乖", "xiao3 tu4 zi5 guai1 guai1"),
    Title("两只老虎", "liang3 zhi1 lao3 hu3"),
)


def book() -> AnswerBook:
    made = AnswerBook()
    made.begin(10001, 0.0)
    made.end(2.0)
    return made


@pytest.mark.parametrize(
    ("number", "now", "waits", "use"),
    [
        (10001, 3.0, True, Use.AWAITED), (10001, 3.0, False, Use.LATE), (10001, 61.9, False, Use.LATE),
        (10001, 2.1 + LATE_SECONDS, False, Use.TOO_LATE), (10002, 3.0, True, Use.OTHER), (0, 3.0, False, Use.OTHER),
    ],
)  # fmt: skip
def test_what_an_answer_is_good_for(number: int, now: float, *, waits: bool, use: Use) -> None:
    assert book().use(number, Result.DONE, now, waits=waits) is use


def test_what_was_dropped_has_no_answer() -> None:
    made = AnswerBook()
    made.begin(10001, 0.0)
    assert made.use(10001, Result.FAILED, 12.0, waits=False) is Use.OTHER
    assert (
        made.use(10001, Result.DONE, 13.0, waits=True) is Use.AWAITED
    )  # before the acknowledgement


def test_an_answer_after_the_order_confirms_it_and_one_that_says_otherwise_is_told() -> None:
    made = book()
    made.order()
    assert made.use(10001, Result.DONE, 3.0, waits=False) is Use.DONE
    made = book()
    made.order()
    assert made.use(10001, Result.REFUSED, 3.0, waits=False) is Use.LATE


@given(st.lists(st.tuples(st.integers(10000, 10003), st.sampled_from(Result), st.booleans())))
def test_an_utterance_is_answered_once_whatever_comes(
    answers: list[tuple[int, Result, bool]],
) -> None:
    made = book()
    uses = [made.use(number, result, 3.0, waits=waits) for number, result, waits in answers]
    assert sum(use in {Use.AWAITED, Use.DONE, Use.LATE} for use in uses) <= 1
    assert all(
        (use is Use.OTHER) is (number != 10001)
        for use, (number, *_) in zip(uses, answers, strict=True)
    )
    assert sum(
        made.counts.get(str(result), 0) for result in Result if result is not Result.DONE
    ) + made.counts.get("done", 0) == len(answers)


async def say_it(room: Room) -> asyncio.Task[Session]:
    """Say a sentence, until the cloud has all of it and its answer is awaited."""
    task = await begin(room)
    await room.microphone.give(SENTENCE)
    await until_sent(room)
    return task


async def until_sent(room: Room) -> None:
    async with asyncio.timeout(30):
        while room.listener.state is not State.ANSWERING or not room.listener._now.times.get(
            "sent"
        ):
            await asyncio.sleep(0)


def answer(room: Room, result: Result, *titles: Title, number: int | None = None) -> None:
    number = room._number if number is None else number
    room.listener.note_answer(UtteranceAnswer(number, result, titles))


@pytest.mark.parametrize(
    ("result", "heard"),
    [
        (Result.DONE, "done"), (Result.NOT_UNDERSTOOD, "not-understood"), (Result.NOT_FOUND, "not-found"),
        (Result.REFUSED, "error"), (Result.FAILED, "error"),
    ],
)  # fmt: skip
async def test_each_result_is_heard_before_the_story_goes_on(result: Result, heard: str) -> None:
    room = Room()
    task = await say_it(room)
    answer(room, result)
    session = await task
    assert (session.end, session.answered, session.result) == (End.SENT, True, result)
    assert session.to_json()["answer"] == str(result)
    assert "answered" in session.times
    assert room.log == ["story silent", "listen", "heard", heard, "story goes on"]
    assert room.listener.to_json()["answers"] == {str(result): 1}


async def test_an_order_ends_it_and_the_answer_that_follows_is_a_cue() -> None:
    room = Room()
    task = await say_it(room)
    room.listener.note_order()
    await task
    assert room.log[-1] == "story goes on"
    answer(room, Result.DONE)
    answer(room, Result.DONE)
    assert room.log[-2:] == ["story goes on", "done"]
    assert room.listener.to_json()["answers"] == {"done": 2, "again": 1}
    assert room.listener.last is not None
    assert room.listener.last.result is Result.DONE


async def test_the_nearest_titles_are_said_and_the_machine_listens_once_more() -> None:
    room = Room()
    task = await say_it(room)
    room.namer.may_end.clear()
    answer(room, Result.NOT_FOUND, RABBIT, TIGERS)
    await room.until("offering")
    assert room.gate.log == ["opened", "closed"]
    assert not room.microphone.is_open
    room.namer.may_end.set()
    await room.until("opening")
    await room.microphone.give(SENTENCE)
    await until_sent(room)
    answer(room, Result.NOT_FOUND, RABBIT, TIGERS)  # it is not offered twice
    session = await task
    assert room.log == [
        "story silent", "listen", "heard", "小兔子乖乖 or 两只老虎", "listen", "heard", "not-found", "story goes on",
    ]  # fmt: skip
    assert [ended.id for ended in room.ended] == [10001, 10002]
    assert session is room.ended[1]
    assert room.gate.log == ["opened", "closed"] * 2
    assert "opened" in session.times  # of its own, not of the first


async def test_the_second_recorder_waits_for_the_end_of_the_first() -> None:
    room = Room()
    room.microphone.may_end.clear()
    task = await say_it(room)
    answer(room, Result.NOT_FOUND, RABBIT)
    await room.until("opening")
    await settled()
    assert (room.microphone.times_open, room.gate.log) == (1, ["opened"])
    room.microphone.may_end.set()
    await settled()
    assert (room.microphone.times_open, room.gate.log) == (2, ["opened", "closed", "opened"])
    await room.listener.cancel()
    await task


async def test_the_choice_is_an_order_like_any_other() -> None:
    room = Room()
    task = await say_it(room)
    answer(room, Result.NOT_FOUND, RABBIT)
    await room.until("opening")
    await room.microphone.give(SENTENCE)
    await until_sent(room)
    room.listener.note_order()
    session = await task
    assert (session.id, session.answered) == (10002, True)
    assert room.log[-1] == "story goes on"


@pytest.mark.parametrize("how", ["cancel", "mute", "order", "unheard", "offline", "no hours left"])
async def test_an_offer_can_be_broken_off(how: str) -> None:
    room = Room()
    task = await say_it(room)
    room.namer.may_end.clear()
    answer(room, Result.NOT_FOUND, RABBIT)
    await room.until("offering")
    match how:
        case "cancel":
            await room.listener.cancel()
        case "mute":
            await room.listener.mute(muted=True)
        case "order":
            room.listener.note_order()
        case "offline":
            room.link.registered.clear()
        case "no hours left":
            room.gate.reason = "the hours are over"
    room.namer.heard = how != "unheard"
    if how in {"unheard", "offline", "no hours left"}:
        room.namer.may_end.set()
    session = await task
    assert session.id == 10001
    assert room.microphone.times_open == 1
    ends = {"offline": ["no-network"], "unheard": [], "no hours left": []}.get(how, ["hushed"])
    assert room.log[3:] == ["小兔子乖乖", *ends, "story goes on"]


@pytest.mark.usefixtures("patient")
async def test_names_that_do_not_end_do_not_keep_the_story() -> None:
    room = Room()
    task = await say_it(room)
    room.namer.may_end.clear()
    answer(room, Result.NOT_FOUND, RABBIT)
    await task
    assert room.log[-2:] == ["hushed", "story goes on"]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "SECONDS", dict(states.SECONDS) | {State.OFFERING: 0.05})


async def test_a_machine_that_cannot_say_the_names_says_that_nothing_was_found() -> None:
    for can, reason in ((False, None), (True, "the hours are over")):
        room = Room()
        task = await say_it(room)
        room.namer.can, room.gate.reason = can, reason
        answer(room, Result.NOT_FOUND, RABBIT, TIGERS)
        await task
        assert room.log == ["story silent", "listen", "heard", "not-found", "story goes on"]
    assert not NoNamer().can_tell([RABBIT])
    assert not await NoNamer().tell([RABBIT])


async def test_answers_that_nobody_waits_for_change_nothing() -> None:
    room = Room()
    answer(room, Result.DONE, number=10001)  # nothing was ever said
    task = await begin(room)
    answer(room, Result.DONE, number=10001)  # nor yet
    await room.microphone.give("." * 20 + "#" * 30)
    answer(room, Result.NOT_FOUND, RABBIT, number=9999)
    await settled()
    assert room.listener.state is State.SPEAKING
    assert room.log == ["story silent", "listen"]
    await room.listener.cancel()
    await task
    assert room.listener.to_json()["answers"] == {"done": 2, "not_found": 1, "other": 3}


@pytest.mark.parametrize("result", list(Result))
async def test_a_typed_answer_that_comes_late_is_told_beside_the_story(result: Result) -> None:
    room = Room()
    task = await say_it(room)
    await room.listener.cancel()
    await task
    before = len(room.log)
    answer(room, result, *([RABBIT] if result is Result.NOT_FOUND else []))
    await settled()
    assert len(room.log) == before + 1
    assert room.microphone.times_open == 1  # a microphone that opens by itself would frighten
    assert room.listener.to_json()["answers"] == {str(result): 1, "late": 1}
    assert room.listener.last is not None
    assert "answered" in room.listener.last.times


@pytest.mark.parametrize("result", [Result.DONE, Result.NOT_UNDERSTOOD])
async def test_a_late_answer_does_not_speak_into_a_microphone_that_is_open_again(
    result: Result,
) -> None:
    room = Room()
    task = await say_it(room)
    await room.listener.cancel()
    first = await task
    again = asyncio.create_task(room.listener.listen())
    await room.until("opening")
    await room.microphone.give(".")
    before = list(room.log)
    answer(room, result)
    assert room.log == before
    await room.listener.cancel()
    second = await again
    assert (first.answered, first.result) == (True, result)
    assert (second.answered, second.result) == (False, None)
    assert "answered" not in second.times


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Bench]:
    """A machine on which the title "a" plays at 60 s."""
    made = Bench(tmp_path / "media", "a", "b")
    await made.point.put("a")
    made.player.at = 60.0
    yield made
    await made.teller.close()


async def say_it_over(story: Bench) -> tuple[Room, asyncio.Task[Session]]:
    room = Room()
    room.listener._hold = story.teller.hold
    task = await say_it(room)
    assert story.player.paused
    return room, task


@pytest.mark.parametrize("result", [Result.DONE, Result.NOT_UNDERSTOOD, Result.REFUSED])
async def test_a_story_that_nothing_replaces_goes_on_a_little_earlier(
    story: Bench, result: Result
) -> None:
    room, task = await say_it_over(story)
    answer(room, result)
    await task
    assert (story.teller.title, story.player.paused) == ("a", False)
    assert 55.0 <= (story.player.at or 0.0) <= 57.0


async def test_the_story_is_silent_through_the_offer_and_goes_on_when_it_is_declined(
    story: Bench,
) -> None:
    room, task = await say_it_over(story)
    room.namer.may_end.clear()
    answer(room, Result.NOT_FOUND, RABBIT, TIGERS)
    await room.until("offering")
    assert story.player.paused
    room.namer.may_end.set()
    await room.until("opening")
    await room.microphone.give(SENTENCE)
    await until_sent(room)
    assert story.player.paused
    answer(room, Result.DONE)  # 不要: nothing was ordered
    await task
    assert (story.teller.title, story.player.paused) == ("a", False)
    assert 55.0 <= (story.player.at or 0.0) <= 57.0


@pytest.mark.parametrize(
    ("order", "title", "paused"), [("b", "b", False), ("暂停", "a", True), ("停止", "", None)]
)
async def test_what_the_cloud_orders_is_what_is_after_it(
    story: Bench, order: str, title: str, *, paused: bool | None
) -> None:
    room, task = await say_it_over(story)
    await story.point.put(order)
    if order == "b":
        story.player.at = 1.0
    room.listener.note_order()
    await task
    answer(room, Result.DONE)
    assert story.teller.title == title
    assert paused is None or story.player.silent is paused
    assert story.player.at in {1.0, 60.0, None}  # nothing goes back in what was ordered
