"""A button that is held, and a gate that is shut: what listening does about both."""

from __future__ import annotations

import asyncio

import pytest

from agent.voice.session import End, Session
from agent.voice.states import State
from tests.agent.voice.ear_parts import Room, settled


async def begin(room: Room, *, held: bool = False) -> asyncio.Task[Session]:
    task = asyncio.create_task(room.listener.listen(held=held))
    async with asyncio.timeout(30):
        while room.microphone.take is None:
            await asyncio.sleep(0)
    await settled()
    return task


async def test_what_is_held_is_sent_without_speech_being_found_and_no_pause_ends_it() -> None:
    room = Room()
    task = await begin(room, held=True)
    await room.microphone.give("." * 100)  # two seconds that no detector takes for speech
    assert room.listener.state is State.SPEAKING
    assert room.listener.release()
    await room.until("answering")
    async with asyncio.timeout(30):
        while not room.voice or not room.voice[-1]["eof"]:
            await asyncio.sleep(0)
    await settled()
    await room.listener.cancel()  # nobody answers here
    assert (await task).end is End.SENT


async def test_a_tap_that_becomes_a_hold_goes_on_over_pauses() -> None:
    room = Room()
    task = await begin(room)
    await room.microphone.give("#" * 10)
    room.listener.hold()
    await room.microphone.give("." * 100)
    assert room.listener.state is State.SPEAKING
    assert room.listener.release()
    await room.until("answering")
    assert not room.listener.release()  # nothing is held any more
    await room.until("answering")  # as before
    await room.listener.cancel()
    await task


async def test_who_lets_go_before_a_block_came_has_cancelled() -> None:
    room = Room()
    task = await begin(room, held=True)
    assert room.listener.release()
    assert (await task).end is End.CANCELLED
    assert not room.microphone.is_open


async def test_a_button_that_is_never_released_ends_with_the_longest_utterance() -> None:
    room = Room()
    task = await begin(room, held=True)
    for _ in range(750 // 16 + 2):
        await room.microphone.give("." * 16)
        await settled()  # the cloud takes each segment
    assert room.listener.state is not State.SPEAKING
    assert not room.listener.release()
    await room.listener.cancel()
    await task
    assert not room.microphone.is_open


async def test_a_hold_ends_with_its_session() -> None:
    room = Room()
    room.listener.hold()  # nobody listens
    task = await begin(room)
    await room.microphone.give("." * 50)
    assert room.listener.state is State.WAITING
    assert not room.listener.release()
    room.listener.hold()
    await room.listener.cancel()
    await task
    task = await begin(room)
    await room.microphone.give("." * 50)
    assert room.listener.state is State.WAITING
    await room.listener.cancel()
    await task


async def test_a_gate_that_refuses_keeps_the_microphone_closed_and_the_child_is_told() -> None:
    room = Room()
    room.gate.reason = "listening: today's 20 minutes are over"
    session = await room.listener.listen()
    assert (session.end, session.reason) == (End.REFUSED, room.gate.reason)
    assert room.log == ["not-listening"]  # and the story was not even paused
    assert (room.microphone.times_open, room.gate.log) == (0, [])
    last = room.listener.to_json()["last"]
    assert isinstance(last, dict)
    assert (last["end"], last["reason"]) == ("refused", room.gate.reason)


@pytest.mark.parametrize("script", ["", ".", "." * 20 + "#" * 30, "#" * 20 + "." * 60])
async def test_the_gate_is_told_once_of_each_opening_and_of_its_end(script: str) -> None:
    room = Room()
    task = await begin(room)
    await room.microphone.give(script)
    # After a whole sentence the microphone is closed while the answer is awaited.
    ended = ["closed"] if room.listener.state is State.ANSWERING else []
    await settled()
    assert room.gate.log == ["opened", *ended]
    await room.listener.cancel()
    await task
    assert room.gate.log == ["opened", "closed"]
