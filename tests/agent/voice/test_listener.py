"""Listening as a whole among scripted parts: each way a session ends, and what the child hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.link import LostError
from agent.voice import states, stream
from agent.voice.session import End, ListeningError, Session
from agent.voice.states import State
from audio.errors import AudioError
from machine.errors import UnavailableError
from machine.microphone import FaultKind
from tests.agent.memory_link import MemoryLink
from tests.agent.voice.ear_parts import Room, settled
from tests.moved_clock import on_moved_clock
from wire.answers import Result, UtteranceAnswer
from wire.family import Why

SENTENCE = "." * 20 + "#" * 50 + "." * 40


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every state's time be over at once."""
    monkeypatch.setattr(states, "SECONDS", dict.fromkeys(states.SECONDS, 0.05))


async def begin(room: Room) -> asyncio.Task[Session]:
    task = asyncio.create_task(room.listener.listen())
    async with asyncio.timeout(30):
        while room.microphone.take is None:
            await asyncio.sleep(0)
    for _ in range(5):  # until the story is silent
        await asyncio.sleep(0)
    return task


async def test_a_sentence_is_sent_and_the_story_goes_on_when_the_cloud_has_answered() -> None:
    room = Room()
    task = await begin(room)
    assert room.log == ["story silent"]  # and no cue before a block has come
    await room.microphone.give(SENTENCE)
    await room.until("answering")
    async with asyncio.timeout(30):
        while not room.voice or not room.voice[-1]["eof"]:
            await asyncio.sleep(0)
    assert not room.microphone.is_open
    await asyncio.sleep(0)
    assert room.listener.state is State.ANSWERING  # the cloud still thinks
    room.listener.note_order()
    session = await task
    assert (session.end, session.answered, session.id) == (End.SENT, True, 10001)
    assert room.log == ["story silent", "listen", "heard", "story goes on"]
    assert [segment["segment"] for segment in room.voice] == list(range(len(room.voice)))
    # 0.34 s before it, the sentence of 1 s and 0.64 s of silence in seven segments, and the end.
    assert session.segments == len(room.voice) == 8
    assert {"opened", "began", "first_segment", "ended", "sent", "answered"} <= set(session.times)
    assert room.listener.last is session


@pytest.mark.usefixtures("short")
async def test_nobody_speaks_and_is_told_once() -> None:
    room = Room()
    task = await begin(room)
    await room.microphone.give(".")
    session = await task
    assert session.end is End.NOTHING
    assert room.log == ["story silent", "listen", "not-understood", "heard", "story goes on"]
    assert room.voice == []


@pytest.mark.usefixtures("short")
async def test_without_an_answer_the_story_goes_on_after_a_while() -> None:
    room = Room()
    task = await begin(room)
    await room.microphone.give(SENTENCE)
    session = await task
    assert (session.end, session.answered) == (End.SENT, False)
    assert room.log[-1] == "story goes on"


async def test_cancel_ends_it_at_once_in_every_state() -> None:
    for script in ("", ".", "." * 300, "." * 20 + "#" * 30, SENTENCE):
        room = Room()
        task = await begin(room)
        await room.microphone.give(script)
        assert await room.listener.cancel()
        session = await task
        assert session.end is (End.SENT if session.times.get("sent") else End.CANCELLED)
        assert room.listener.state is State.IDLE
        assert not room.microphone.is_open
        assert room.log[-1] == "story goes on"
        assert not any(segment["eof"] for segment in room.voice) or session.end is End.SENT
    assert not await Room().listener.cancel()


async def test_cancel_drops_what_was_said_and_nothing_follows() -> None:
    room = Room()
    task = await begin(room)
    await room.microphone.give("." * 20 + "#" * 30)
    take = room.microphone.take
    await room.listener.cancel()
    await task
    sent = len(room.link.tried)
    assert take is not None
    take(b"#" * 640)  # a block that was on its way
    await settled()
    assert len(room.link.tried) == sent
    assert room.listener.to_json()["utterances"] == {"ended": 1}


async def test_mute_closes_it_and_it_stays_closed() -> None:
    room = Room()
    task = await begin(room)
    await room.microphone.give("." * 20 + "#" * 30)
    await room.listener.mute(muted=True)
    assert not room.microphone.is_open
    assert (await task).end is End.MUTED
    assert (await room.listener.listen()).end is End.MUTED
    assert room.microphone.times_open == 1
    await room.listener.mute(muted=False)
    task = await begin(room)
    await room.listener.close()
    assert (await task).end is End.CANCELLED


async def test_who_asks_twice_is_told_that_it_listens() -> None:
    room = Room()
    task = await begin(room)
    with pytest.raises(ListeningError, match="listen: the machine is opening already"):
        await room.listener.listen()
    await room.listener.cancel()
    await task


async def test_who_goes_away_does_not_leave_it_open() -> None:
    room = Room()
    task = await begin(room)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert room.microphone.is_open
    await room.listener.cancel()
    assert not room.microphone.is_open


async def test_without_the_cloud_the_child_is_told_before_it_speaks() -> None:
    room = Room(MemoryLink(is_up=False))
    session = await room.listener.listen()
    assert session.end is End.LOST
    assert room.microphone.times_open == 0
    assert room.log == ["no-network", "story silent", "story goes on"]


@pytest.mark.parametrize("at", [0, 1, 3])
async def test_a_link_that_is_lost_ends_it_with_a_cue(at: int) -> None:
    room = Room(MemoryLink(*[None] * at, LostError("the link to the cloud is down")))
    task = await begin(room)
    await room.microphone.give(SENTENCE)
    session = await task
    assert (session.end, session.reason) == (End.LOST, "the link to the cloud is down")
    assert room.log[-2:] == ["no-network", "story goes on"]
    assert len(room.voice) == at
    assert not any(segment["eof"] for segment in room.voice)
    assert room.listener.to_json()["utterances"] == {"lost": 1}


def slow_link() -> tuple[MemoryLink, asyncio.Event]:
    """Return a link that reports nothing before the event is set."""
    link = MemoryLink()
    gate = asyncio.Event()
    report = link.report

    async def slow(data: dict[str, object]) -> None:
        await gate.wait()
        await report(data)

    link.report = slow  # type: ignore[method-assign, assignment]
    return link, gate


async def test_an_order_while_the_rest_is_being_sent_is_no_answer_to_it() -> None:
    link, gate = slow_link()
    room = Room(link)
    task = await begin(room)
    await room.microphone.give("." * 20 + "#" * 5 + "." * 40)
    await room.until("answering")
    room.listener.note_order()
    assert room.listener.state is State.ANSWERING
    gate.set()
    async with asyncio.timeout(30):
        while not room.listener._now.times.get("sent"):
            await asyncio.sleep(0)
    room.listener.note_order()
    assert (await task).end is End.SENT


async def test_an_answer_before_its_acknowledgement_ends_what_is_still_being_sent() -> None:
    """The cloud has all of it; a sending that goes on would count in the next session."""
    link, _never = slow_link()
    room = Room(link)
    before = asyncio.all_tasks()
    task = await begin(room)
    await room.microphone.give("." * 20 + "#" * 5 + "." * 40)
    await room.until("answering")
    room.listener.note_answer(UtteranceAnswer(10001, Result.DONE))
    assert (await task).end is End.SENT
    await settled()
    assert asyncio.all_tasks() == before


@pytest.mark.usefixtures("short")
async def test_an_utterance_that_the_cloud_has_not_taken_in_time_is_lost_and_told_so() -> None:
    link, gate = slow_link()
    room = Room(link)
    task = await begin(room)
    await room.microphone.give("." * 20 + "#" * 5 + "." * 40)
    session = await task
    assert session.end is End.LOST
    assert "not acknowledged all of it in time" in session.reason
    assert room.log[-2:] == ["no-network", "story goes on"]
    gate.set()
    await settled()
    assert room.voice == []


async def test_a_link_that_is_slower_than_speech_drops_the_utterance() -> None:
    link, gate = slow_link()
    room = Room(link)
    task = await begin(room)
    await room.microphone.give("." * 20 + "#" * 200)
    session = await task
    assert session.end is End.LOST
    assert "3 segments wait" in session.reason
    gate.set()
    await settled()
    assert room.voice == []  # never late
    assert room.listener.to_json()["utterances"] == {"overflow": 1}


async def test_a_microphone_that_fails_while_the_child_speaks_drops_the_utterance() -> None:
    room = Room()
    task = await begin(room)
    await room.microphone.give("." * 20 + "#" * 30)
    room.microphone.fail(FaultKind.FROZEN)
    session = await task
    assert (session.end, session.reason) == (End.FAULT, "microphone: scripted: frozen")
    assert room.log[-2:] == ["error", "story goes on"]
    assert not room.microphone.is_open


async def test_a_microphone_that_fails_while_it_opens_is_tried_again() -> None:
    room = Room()
    task = await begin(room)
    room.microphone.fail()
    await asyncio.sleep(0)
    assert room.listener.state is State.OPENING
    await room.microphone.give(SENTENCE)
    await room.until("answering")
    await room.listener.cancel()
    assert not (await task).reason


async def test_without_anything_that_records_no_one_waits() -> None:
    room = Room()
    task = await begin(room)
    room.microphone.fail(FaultKind.NO_BACK_END)
    session = await task
    assert (session.end, session.reason) == (End.FAULT, "microphone: scripted: no_back_end")
    assert "opened" not in session.times


@pytest.mark.usefixtures("short")
async def test_a_microphone_that_never_opens_is_given_up() -> None:
    room = Room()
    task = await begin(room)
    assert (await task).end is End.FAULT
    assert room.log == ["story silent", "error", "story goes on"]


async def test_the_machine_does_not_hear_its_own_cue() -> None:
    room = Room()
    room.mute_cues = True  # it goes on sounding
    task = await begin(room)
    await room.microphone.give("#" * 50)
    assert room.listener.state is State.WAITING
    await room.listener.cancel()
    await task
    assert room.voice == []


async def after(room: Room, seconds: float, script: str) -> State:
    """Give blocks when these seconds of the moved clock have passed; return the state that the room is in then."""
    await asyncio.sleep(seconds)
    await room.microphone.give(script)
    return room.listener.state


def room_of_a_hanging_device() -> Room:
    room = Room()
    room.mute_cues = True
    room.listener._clock = asyncio.get_running_loop().time
    return room


@on_moved_clock
async def test_a_cue_that_hangs_makes_deaf_for_a_second() -> None:
    room = room_of_a_hanging_device()
    task = await begin(room)
    assert await after(room, 0.0, ".") is State.WAITING
    assert await after(room, 0.9, "####") is State.WAITING
    assert await after(room, 0.2, "####") is State.SPEAKING
    await room.listener.cancel()
    await task


@on_moved_clock
async def test_a_prompt_that_hangs_makes_deaf_for_three_seconds() -> None:
    room = room_of_a_hanging_device()
    task = await begin(room)
    await room.microphone.give(".")
    # The cue's second, and five in which nobody speaks.
    assert await after(room, 6.1, ".") is State.ASKED
    assert await after(room, 2.7, "####") is State.ASKED
    assert await after(room, 0.4, "####") is State.SPEAKING
    await room.listener.cancel()
    await task


async def test_without_the_codec_the_reason_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise AudioError("other rates need Debian's package libspeexdsp1")

    monkeypatch.setattr(stream, "Resampler", fail)
    room = Room()
    task = await begin(room)
    await room.microphone.give(SENTENCE)
    session = await task
    assert session.end is End.FAULT
    assert "libspeexdsp1" in session.reason
    assert room.listener.to_json()["utterances"] == {"codec": 1}


async def test_a_story_that_cannot_be_silenced_does_not_end_the_session() -> None:
    room = Room()

    @asynccontextmanager
    async def hold() -> AsyncIterator[None]:
        if room.microphone.times_open:
            raise UnavailableError("play: mpv gave no answer in 3 s")
        yield

    room.listener._hold = hold
    task = await begin(room)
    await room.microphone.give(SENTENCE)
    await room.until("answering")
    async with asyncio.timeout(30):
        while not room.listener._now.times.get("sent"):
            await asyncio.sleep(0)
    room.listener.note_order()
    assert (await task).end is End.SENT


async def test_an_order_before_the_utterance_is_sent_is_no_answer_to_it() -> None:
    room = Room()
    task = await begin(room)
    await room.microphone.give("." * 20 + "#" * 30)
    room.listener.note_order()
    assert room.listener.state is State.SPEAKING
    await room.listener.cancel()
    assert not (await task).answered


async def test_one_session_after_the_other_and_nothing_is_left() -> None:
    room = Room()
    for number in range(1, 4):
        task = await begin(room)
        await room.microphone.give(SENTENCE)
        await room.listener.cancel()
        await task
        assert room.microphone.times_open == number
    await settled()
    assert not room.listener._tasks


async def test_the_session_has_what_the_ledger_says_of_it() -> None:
    now = iter(range(1_000_000))
    room = Room()
    room.listener._clock = lambda: float(next(now))  # each look is a second later
    task = asyncio.create_task(room.listener.listen(why=Why.WORD))
    async with asyncio.timeout(30):
        while room.microphone.take is None:
            await asyncio.sleep(0)
    await room.microphone.give(SENTENCE)
    async with asyncio.timeout(30):
        while not room.voice or not room.voice[-1]["eof"]:
            await asyncio.sleep(0)
    room.listener.note_order()
    session = await task
    # 99 frames of 20 ms in seven segments: 42 bytes each with its header.
    assert (session.why, session.size, round(session.spoken_seconds, 2)) == (
        Why.WORD,
        99 * 42,
        1.98,
    )
    assert 0 < session.open_seconds < session.elapsed
