"""The kept level: over scripted mixers, and on a sound server that starts after the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.level import KeptLevel
from machine.mixers import Mixer, PulseMixer, StandInMixer, parse_pactl_info
from machine.player import MpvPlayer
from resources.points.volume import VolumePoint
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, PulseServer, until, until_position


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    """A server that is not started yet, on a machine without a card."""
    folder = tmp_path / "pulse"
    folder.mkdir()
    server = PulseServer(folder)
    monkeypatch.setenv("PULSE_SERVER", server.address)
    (folder / "asoundrc").write_text("")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(folder / "asoundrc"))
    yield server
    server.kill()


def level_of(server: PulseServer, sink: str = "@DEFAULT_SINK@") -> str:
    return server.pactl("get-sink-volume", sink).split("/")[1].strip()


async def test_a_level_set_before_the_sound_server_starts_is_in_force_at_the_first_sound(
    sound: PulseServer, tmp_path: Path
) -> None:
    level = KeptLevel()
    point, player = VolumePoint(level), MpvPlayer(level)
    await point.put(4)
    assert point.back_end == StandInMixer.name
    sound.start()
    assert level_of(sound) == "100%"
    story = str(write_tone(tmp_path / "story.wav", seconds=30))
    async with sound.ear() as ear:
        await player.play(story, lambda _reason: None)
        assert level_of(sound) == "25%"
        await ear.tone(440.0)
        assert max(await ear.block()) < 12000 * 0.25**3 * 1.2  # PulseAudio's scale is cubic
    assert point.back_end == "PulseAudio: default sink"
    await player.close()


async def test_a_level_is_put_on_a_restarted_server_before_the_story_goes_on(
    sound: PulseServer, tmp_path: Path
) -> None:
    sound.start()
    level = KeptLevel()
    player = MpvPlayer(level)
    await level.set(0.25)
    await player.play(str(write_tone(tmp_path / "story.wav", seconds=60)), lambda _reason: None)
    held = await until_position(player, 0.5)
    sound.kill()
    with pytest.raises(UnavailableError, match="pactl"):
        await level.set(0.75)  # not in force, so not answered with success, and not kept
    sound.start()
    await until_position(player, held + 0.5)
    assert level_of(sound) == "25%"
    await player.close()


async def test_another_default_output_gets_the_level_and_a_knob_keeps_its_own(
    sound: PulseServer,
) -> None:
    sound.start()
    level = KeptLevel()
    await level.set(0.25)
    sound.pactl("set-sink-volume", "bench", "50%")  # somebody turns the knob
    await level.restore()
    assert await level.get() == pytest.approx(0.5, abs=0.01)
    sound.pactl("load-module", "module-null-sink", "sink_name=usb")
    sound.pactl("set-default-sink", "usb")
    assert level_of(sound, "usb") == "100%"
    await level.restore()
    assert level_of(sound, "usb") == "50%"
    assert await level.get() == pytest.approx(0.5, abs=0.01)


async def test_a_level_that_nobody_set_changes_nothing(sound: PulseServer) -> None:
    level = KeptLevel()
    assert await level.get() == 0.5
    sound.start()
    await level.restore()
    assert level_of(sound) == "100%"
    assert await level.get() == 1.0


class Card:
    """A card's control, which a test unplugs."""

    name = "card"

    def __init__(self) -> None:
        self.level = 0.5

    async def get(self) -> float:
        return self.level

    async def set(self, level: float) -> None:
        self.level = level

    async def identify(self) -> str:
        return "0 [USB]"

    async def close(self) -> None:
        return


async def test_a_card_that_goes_is_an_error_and_the_level_is_not_kept() -> None:
    card = Card()
    found: list[Mixer] = [card]

    async def find() -> Mixer:
        return found[0]

    level = KeptLevel(find, lambda: None)
    await level.set(0.7)
    found[0] = StandInMixer()
    for order in (level.set(0.2), level.get(), level.restore()):
        with pytest.raises(UnavailableError, match="card: not found any more"):
            await order
    found[0] = card
    card.level = 1.0  # plugged in again, it has forgotten
    assert await level.get() == 0.7


async def test_a_mixer_is_looked_for_again_only_if_one_may_have_come_or_gone() -> None:
    looks, around = 0, ["no card"]

    async def find() -> Mixer:
        nonlocal looks
        looks += 1
        return StandInMixer()

    level = KeptLevel(find, lambda: around[0])
    await level.get()
    await level.set(0.5)
    assert looks == 1
    around[0] = "a card"
    assert await level.get() == 0.5
    assert looks == 2


async def test_a_device_that_was_away_gets_the_level_though_it_bears_the_same_name() -> None:
    card = Card()

    async def find() -> Mixer:
        return card

    level = KeptLevel(find, lambda: None)
    await level.set(0.7)
    card.level = 1.0
    await level.restore(renewed=True)
    assert card.level == 0.7


async def test_a_sound_server_is_preferred_to_the_card_that_was_found_first(
    sound: PulseServer,
) -> None:
    sound.start()
    found: list[Mixer] = [Card()]
    pulse = await PulseMixer.find()
    assert pulse

    async def find() -> Mixer:
        return found[0]

    level = KeptLevel(find, lambda: None)
    await level.set(0.5)
    found[0] = pulse
    await level.restore()
    assert level.name == pulse.name
    assert level_of(sound) == "50%"


def test_a_server_is_recognised_by_its_cookie_and_its_default_sink() -> None:
    text = "Server Name: pulseaudio\nDefault Sink: bench\nDefault Source: x\nCookie: 1ab2:c3d4\n"
    assert parse_pactl_info(text) == "Default Sink: bench Cookie: 1ab2:c3d4"
    assert parse_pactl_info("") == ""


async def test_a_story_waits_while_the_sound_server_has_only_its_dummy_output(
    sound: PulseServer, tmp_path: Path
) -> None:
    """PulseAudio's own settings: what plays is moved to a dummy when the last card is unplugged."""
    sound.start()
    for module in ("module-always-sink", "module-rescue-streams"):
        sound.pactl("load-module", module)
    level = KeptLevel()
    await level.set(0.25)
    player = MpvPlayer(level)
    await player.play(str(write_tone(tmp_path / "story.wav", seconds=60)), lambda _reason: None)
    heard = await until_position(player, 0.5)
    sound.pactl("unload-module", "module-null-sink")
    await until(lambda: "no sound device: waits at" in player.name)
    assert player.output == "null"
    held = await player.position() or 0.0
    assert held <= heard + 1.0
    sound.pactl("load-module", "module-null-sink", "sink_name=bench")  # at 100 %
    await until(lambda: player.name == "mpv: pulse")
    async with sound.ear() as ear:
        await ear.tone(440.0)
        assert max(await ear.block()) < 12000 * 0.25**3 * 1.2
        assert held - 0.1 <= (await player.position() or 0.0) <= held + 5.0
    await player.close()


async def test_another_default_output_while_a_story_plays_gets_its_level(
    sound: PulseServer, tmp_path: Path
) -> None:
    sound.start()
    level = KeptLevel()
    await level.set(0.25)
    player = MpvPlayer(level)
    await player.play(str(write_tone(tmp_path / "story.wav", seconds=60)), lambda _reason: None)
    await until_position(player, 0.5)
    sound.pactl("load-module", "module-null-sink", "sink_name=usb")
    sound.pactl("set-default-sink", "usb")
    async with asyncio.timeout(DEADLINE):
        while level_of(sound, "usb") != "25%":
            await asyncio.sleep(0.01)
    await player.close()
