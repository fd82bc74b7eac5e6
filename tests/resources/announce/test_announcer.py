"""The announcer over a player that the test holds in its hand, and over a sound server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from machine.cue_player import ProgramCuePlayer
from machine.errors import UnavailableError
from resources.announce import announcer as module
from resources.announce.announcer import Announcer
from resources.announce.cues import Cue
from resources.announce.files import SoundFiles
from resources.announce.settings import Kind, Language

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
NIGHT_GAIN = -12.0

DEADLINE = 20.0


class HeldPlayer:
    """Plays each sound until the test lets it end."""

    name = "held"

    def __init__(self) -> None:
        self.begun: list[tuple[str, float]] = []
        self.silenced: list[str] = []
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.fault: str | None = None

    async def play(self, path: Path, gain: float) -> None:
        self.begun.append((path.stem, gain))
        self.began.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.silenced.append(path.stem)
            raise
        if self.fault:
            raise UnavailableError(self.fault)


def announcer(player: HeldPlayer, tmp_path: Path, **more: object) -> Announcer:
    return Announcer(player, SoundFiles(tmp_path, Language.CHINESE), **more)  # type: ignore[arg-type]


async def test_cues_are_said_one_after_the_other(tmp_path: Path) -> None:
    player = HeldPlayer()
    voice = announcer(player, tmp_path)
    async with asyncio.timeout(DEADLINE):
        first, second = voice.say(Cue.NOT_FOUND), voice.say(Cue.GOOD_NIGHT)
        await player.began.wait()
        assert player.begun == [("not-found", 0.0)]
        assert not first.done()
        player.may_end.set()
        assert await first
        assert await second
    assert [name for name, _ in player.begun] == ["not-found", "good-night"]


async def test_the_microphone_ends_what_is_being_said(tmp_path: Path) -> None:
    player = HeldPlayer()
    voice = announcer(player, tmp_path)
    async with asyncio.timeout(DEADLINE):
        prompt, waiting = voice.say(Cue.NOT_FOUND), voice.say(Cue.LOW_BATTERY)
        await player.began.wait()
        cue = voice.say(Cue.LISTEN)
        assert not await waiting
        assert not await prompt
        player.may_end.set()
        assert await cue
    assert player.silenced == ["not-found"]
    assert [name for name, _ in player.begun] == ["not-found", "listen"]


async def test_a_makers_file_that_is_no_sound_costs_no_word(tmp_path: Path) -> None:
    (tmp_path / "not-found.opus").write_bytes(b"no sound")
    begun: list[Path] = []

    class Picky:
        name = "picky"

        async def play(self, path: Path, gain: float) -> None:
            del gain
            begun.append(path)
            if path.is_relative_to(tmp_path):
                raise UnavailableError("paplay: Failed to open audio file.")

    voice = Announcer(Picky(), SoundFiles(tmp_path, Language.CHINESE))
    async with asyncio.timeout(DEADLINE):
        assert await voice.say(Cue.NOT_FOUND)
    assert [path.is_relative_to(tmp_path) for path in begun] == [True, False]
    assert voice.last_fault is None


async def test_a_makers_sound_that_breaks_off_is_not_said_again(tmp_path: Path) -> None:
    (tmp_path / "not-found.opus").write_bytes(b"long")
    now = 0.0
    begun: list[Path] = []

    class Long:
        name = "long"

        async def play(self, path: Path, gain: float) -> None:
            nonlocal now
            del gain
            begun.append(path)
            now += 10.0
            raise UnavailableError("paplay: has not ended in 10 s")

    voice = Announcer(Long(), SoundFiles(tmp_path, Language.CHINESE), clock=lambda: now)
    async with asyncio.timeout(DEADLINE):
        assert not await voice.say(Cue.NOT_FOUND)
    assert len(begun) == 1


async def test_what_nobody_asked_for_waits_until_the_microphone_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The battery's warning would be taken for the child's words; what listening says itself does not wait."""
    monkeypatch.setattr(module, "HEARS_SECONDS", 0.0)
    player = HeldPlayer()
    player.may_end.set()
    voice = announcer(player, tmp_path)
    is_open = True
    voice.hears = lambda: is_open
    async with asyncio.timeout(DEADLINE):
        warning = voice.say(Cue.LOW_BATTERY)
        assert await voice.say(Cue.NOT_UNDERSTOOD)
        assert not warning.done()
        is_open = False
        assert await warning
    assert [name for name, _ in player.begun] == ["not-understood", "low-battery"]
    is_open = True
    warning = voice.say(Cue.LOW_BATTERY)
    await voice.close()
    assert warning.cancelled()


async def test_at_night_it_is_softer_or_silent(tmp_path: Path) -> None:
    player = HeldPlayer()
    player.may_end.set()
    voice = announcer(player, tmp_path, is_night=lambda: True)
    async with asyncio.timeout(DEADLINE):
        assert not await voice.say(Cue.LOW_BATTERY)
        assert await voice.say(Cue.BATTERY_EMPTY)
    assert player.begun == [("battery-empty", NIGHT_GAIN)]


async def test_without_sounds_nothing_is_started(tmp_path: Path) -> None:
    player = HeldPlayer()
    voice = announcer(player, tmp_path, kind=Kind.NONE)
    assert not await voice.say(Cue.LISTEN)
    assert player.begun == []


async def test_the_level_is_set_before_a_cue_and_one_whose_level_is_unknown_is_not_played(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = HeldPlayer()
    player.may_end.set()
    order: list[str] = []

    async def level() -> None:
        order.append(f"level, then {len(player.begun)} sounds")
        if len(order) == 2:
            raise UnavailableError("pactl: no answer")
        if len(order) == 3:
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "PREPARE_SECONDS", 0.01)
    voice = announcer(player, tmp_path, prepare=level)
    async with asyncio.timeout(DEADLINE):
        assert await voice.say(Cue.HEARD)
        assert not await voice.say(Cue.DONE)
        assert voice.last_fault == "pactl: no answer"
        assert not await voice.say(Cue.LIMIT)
        assert voice.last_fault == "the mixer gave no answer in 0.01 s"
    assert order[0] == "level, then 0 sounds"
    assert player.begun == [("heard", 0.0)]
    assert "cues: not heard: pactl: no answer" in caplog.text


async def test_a_fault_is_logged_once_and_forgotten_when_a_cue_is_heard(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    player = HeldPlayer()
    player.may_end.set()
    player.fault = "paplay: Connection refused"
    voice = announcer(player, tmp_path)
    async with asyncio.timeout(DEADLINE):
        for cue in (Cue.DONE, Cue.HEARD, Cue.LIMIT):
            assert not await voice.say(cue)
        assert caplog.text.count("Connection refused") == 1
        player.fault = None
        assert await voice.say(Cue.LISTEN)
    assert voice.last_fault is None


async def test_close_silences_and_what_waited_is_told(tmp_path: Path) -> None:
    player = HeldPlayer()
    voice = announcer(player, tmp_path)
    async with asyncio.timeout(DEADLINE):
        sounding, waiting = voice.say(Cue.NOT_FOUND), voice.say(Cue.LOW_BATTERY)
        await player.began.wait()
        await voice.close()
        assert not await sounding
        assert not await waiting
    assert player.silenced == ["not-found"]


async def test_hush_leaves_the_announcer_usable(tmp_path: Path) -> None:
    player = HeldPlayer()
    voice = announcer(player, tmp_path)
    async with asyncio.timeout(DEADLINE):
        prompt = voice.say(Cue.NOT_FOUND)
        await player.began.wait()
        voice.hush()
        assert not await prompt
        player.may_end.set()
        assert await voice.say(Cue.DONE)


async def test_whoever_waited_may_give_up(tmp_path: Path) -> None:
    player = HeldPlayer()
    voice = announcer(player, tmp_path)
    async with asyncio.timeout(DEADLINE):
        prompt, after = voice.say(Cue.NOT_FOUND), voice.say(Cue.DONE)
        await player.began.wait()
        prompt.cancel()
        player.may_end.set()
        assert await after


async def test_packaged_cues_are_heard_through_a_sound_server(
    pulse_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SERVER", pulse_server)
    async with asyncio.timeout(60):
        voice = Announcer(ProgramCuePlayer(), SoundFiles(tmp_path, Language.ENGLISH))
        assert voice.name == "cues: paplay, en, all"
        for cue in (Cue.LISTEN, Cue.LOCKED):
            assert await voice.say(cue), voice.last_fault


async def test_what_belongs_to_a_sentence_follows_it_at_once(tmp_path: Path) -> None:
    player, name = HeldPlayer(), tmp_path / "name.wav"
    voice = announcer(player, tmp_path, is_night=lambda: True)
    player.may_end.set()
    async with asyncio.timeout(DEADLINE):
        said = voice.say(Cue.OFFER, (Cue.FIRST, name))
        assert not await voice.say(Cue.OFFER)  # the same sentence, which waits already
        assert await said
    assert player.begun == [(part, NIGHT_GAIN) for part in ("offer", "first", "name")]


async def test_where_only_tones_are_heard_no_name_follows(tmp_path: Path) -> None:
    player = HeldPlayer()
    voice = announcer(player, tmp_path, kind=Kind.TONES)
    player.may_end.set()
    async with asyncio.timeout(DEADLINE):
        assert await voice.say(Cue.OFFER, (Cue.FIRST, tmp_path / "name.wav"))
    assert player.begun == [("error", 0.0)]


async def test_a_part_that_does_not_sound_ends_it_all(tmp_path: Path) -> None:
    player = HeldPlayer()
    voice = announcer(player, tmp_path)
    async with asyncio.timeout(DEADLINE):
        said = voice.say(Cue.OFFER, (tmp_path / "name.wav", Cue.SECOND))
        await player.began.wait()
        player.fault = "gone"
        player.may_end.set()
        assert not await said
    assert "second" not in [part for part, _ in player.begun]
    assert voice.last_fault == "gone"
