"""The machine's voice as the agent makes it: a refused order is told aloud, beside a teller and on a sound server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from machine.errors import RefusedError
from resources.announce.cues import Cue
from resources.announce.settings import Language, SoundsSettings
from resources.announce.voice import Voice
from resources.playing.events import Ended, Kind, Refused
from resources.playing.queue import Track
from resources.points.play import PlayPoint
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, PulseServer
from tests.resources.parts import Bench

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
HAND_SECONDS = 15.0

HERTZ = (330.0, 440.0, 880.0)


@pytest.fixture
def makers(tmp_path: Path) -> Path:
    """A maker's sounds, each a tone that an ear recognises."""
    folder = tmp_path / "makers"
    write_tone(folder / "not-found.wav", 1.0, hertz=330.0)
    write_tone(folder / "broken-off.wav", 1.0, hertz=880.0)
    return folder


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PulseServer:
    made = PulseServer(tmp_path / "pulse")
    made.folder.mkdir()
    for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR", "HOME"):
        monkeypatch.setenv(name, made.environment[name])
    return made


async def nothing() -> None:
    pass


def joined(bench: Bench, makers: Path) -> Voice:
    voice = Voice(SoundsSettings(folder=makers), nothing)
    bench.teller.subscribe(voice.hear)
    return voice


async def test_why_nothing_plays_is_heard(
    server: PulseServer, makers: Path, tmp_path: Path
) -> None:
    server.start()
    bench = Bench(tmp_path / "media", "a", "b")
    voice = joined(bench, makers)
    try:
        async with asyncio.timeout(DEADLINE), server.ear() as ear:
            with pytest.raises(RefusedError):
                await bench.teller.order("播放没有的故事")
            assert await ear.tone(*HERTZ) == 330.0
            await ear.silence()
            await bench.teller.order("a")
            bench.player.on_end("the server gave no more")
            assert await ear.tone(*HERTZ) == 880.0
    finally:
        await voice.close()
        server.kill()


async def test_the_answer_does_not_wait_for_what_is_said(
    server: PulseServer, makers: Path, tmp_path: Path
) -> None:
    del server  # it is not started
    bench = Bench(tmp_path / "media", "a")
    voice = joined(bench, makers)
    with pytest.raises(RefusedError):
        await bench.teller.order("没有的故事")
    await PlayPoint(bench.teller, voice).close()
    assert bench.player.played == ["(close)"]


class Room(Voice):
    """A voice at night, of which the test sees what it would say."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.said: list[Cue] = []
        super().__init__(SoundsSettings(), nothing, is_night=lambda: True, clock=lambda: self.now)

    def say(self, cue: Cue, then: Sequence[Cue | Path] = ()) -> asyncio.Future[bool]:
        del then
        self.said.append(cue)
        return asyncio.Future()


async def test_at_night_a_refusal_is_told_to_a_hand_at_the_machine_only() -> None:
    room = Room()
    refused = Refused(Kind.NOT_FOUND, "play: …")
    room.hear(refused)
    assert room.said == []
    room.note_hand()
    room.now += HAND_SECONDS
    room.hear(refused)
    assert room.said == [Cue.NOT_FOUND]
    room.now += 1
    room.hear(refused)
    assert room.said == [Cue.NOT_FOUND]


async def test_at_night_a_story_that_breaks_off_is_told() -> None:
    room = Room()
    room.hear(Ended(Track("a", "/a.mp3", "a"), finished=False, reason="cut"))
    assert room.said == [Cue.BROKEN_OFF]


@dataclass(frozen=True)
class Limits:
    """The night's limit."""

    loudest: int = 5


async def test_a_turn_of_the_knob_is_heard_while_nothing_plays(tmp_path: Path) -> None:
    room, bench = Room(), Bench(tmp_path / "media", "a")
    await room.note_turn(Limits(), bench.teller, 4)
    await room.note_turn(Limits(), bench.teller, 5)
    assert room.said == [Cue.BLIP, Cue.LIMIT]
    await bench.teller.order("a")
    await room.note_turn(Limits(), bench.teller, 3)
    assert room.said == [Cue.BLIP, Cue.LIMIT]


async def test_a_hand_at_a_locked_button_is_told() -> None:
    room = Room()
    room.note_locked("volume: the child lock is on")
    assert room.said == [Cue.LOCKED]


async def test_its_state_says_why_a_cue_was_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    voice = Voice(SoundsSettings(language=Language.CHINESE), nothing)
    assert voice.state == "all: nothing was said yet"
    assert not await voice.say(Cue.DONE)
    why = "done: no player for cues found: they are not heard"
    assert voice.state == f"no player for cues found: they are not heard, zh, all; not heard: {why}"


def test_a_start_loads_nothing_that_speaks() -> None:
    """Measured: what says cues takes some milliseconds of the agent's start."""
    script = "import sys, agent.points; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "resources.announce.voice" in loaded
    late = {"resources.announce.announcer", "resources.announce.cues", "machine.cue_player",
            "resources.energy.guard", "machine.gauges", "machine.i2c"}  # fmt: skip
    assert not late & loaded
