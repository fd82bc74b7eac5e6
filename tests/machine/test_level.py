"""The kept level: over scripted mixers, and on a sound server that starts after the agent."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.level import KeptLevel
from machine.mixers import Mixer, PulseMixer, StandInMixer
from machine.outputs import Outputs, decibels
from machine.player import MpvPlayer
from tests.conftest import write_tone
from tests.machine.parts import AUDIBLE, PulseServer, until, until_position

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
DEFAULT_LEVEL = 0.4641588833612779


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
    player = MpvPlayer(level)
    await level.set(0.25)
    assert level.name == StandInMixer.name
    sound.start()
    assert level_of(sound) == "100%"
    story = str(write_tone(tmp_path / "story.wav", seconds=30))
    async with sound.ear() as ear:
        await player.play(story, lambda _reason: None)
        assert level_of(sound) == "25%"
        await ear.tone(440.0)
        assert max(await ear.block()) < 12000 * 0.25**3 * 1.2  # PulseAudio's scale is cubic
    assert level.name == "PulseAudio: default sink"
    await player.close()
    await level.close()


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
    with pytest.raises(UnavailableError, match="sound server"):
        await level.set(0.75)  # not in force, so not answered with success, and not kept
    await until(lambda: "waits at" in player.name)
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
    await level.restore()
    assert level_of(sound, "usb") == "50%"
    assert await level.get() == pytest.approx(0.5, abs=0.01)


async def test_a_level_that_nobody_set_changes_nothing(sound: PulseServer) -> None:
    level = KeptLevel()
    assert await level.get() == DEFAULT_LEVEL
    sound.start()
    await level.restore()
    assert level_of(sound) == "100%"
    assert await level.get() == 1.0


class Card:
    """A card's control, which a test unplugs."""

    name = "card"
    rank = 1
    alive = True
    tells = False

    def __init__(self) -> None:
        self.level = 0.5
        self.put_levels: list[float] = []

    async def read(self) -> Outputs:
        return Outputs("0 [USB]", "card", {"card": self.level})

    async def put(self, levels: Mapping[str, float]) -> None:
        self.level = levels["card"]
        self.put_levels.append(self.level)

    async def close(self) -> None:
        return


class Machine:
    """What can be found on it; every look may find another mixer."""

    def __init__(self, mixer: Mixer) -> None:
        self.mixer: Mixer | str = mixer
        self.around: str | None = None
        self.looks = 0

    async def find(self, _on_change: Callable[[], None]) -> Mixer:
        self.looks += 1
        if isinstance(self.mixer, str):
            raise UnavailableError(self.mixer)
        return self.mixer

    def level(self) -> KeptLevel:
        return KeptLevel(self.find, lambda: self.around)


async def test_a_card_that_goes_is_an_error_and_the_level_is_not_kept() -> None:
    card = Card()
    on = Machine(card)
    level = on.level()
    await level.set(0.7)
    on.mixer = StandInMixer()
    for order in (level.set(0.2), level.get(), level.restore()):
        with pytest.raises(UnavailableError, match="card: not found any more"):
            await order
    assert level.name == "card: not found any more"
    on.mixer = card
    card.level = 1.0  # plugged in again, it has forgotten
    assert await level.get() == 0.7


async def test_a_card_that_could_not_be_read_gets_the_level_and_what_it_has_is_no_knob() -> None:
    class Failing(Card):
        fails = False

        async def read(self) -> Outputs:
            if self.fails:
                raise UnavailableError("card: it does not answer")
            return await super().read()

    level, turned = Machine(card := Failing()).level(), list[float]()
    level.on_turn = turned.append
    await level.set(0.7)
    card.fails = True
    with pytest.raises(UnavailableError, match="it does not answer"):
        await level.get()
    card.fails, card.level = False, 1.0  # it was away, and has forgotten
    assert await level.get() == 0.7
    assert (card.level, turned) == (0.7, [])


async def test_a_server_or_card_whose_level_cannot_be_set_is_never_answered_with_success() -> None:
    on = Machine(StandInMixer())
    level = on.level()
    on.mixer = "sound card: amixer is missing"
    with pytest.raises(UnavailableError, match="amixer is missing"):
        await level.set(0.2)
    assert level.kept is None
    on.mixer = card = Card()
    await level.set(0.2)
    assert (card.level, level.name) == (0.2, "card")


async def test_a_mixer_is_looked_for_again_only_if_one_may_have_come_or_gone() -> None:
    on = Machine(StandInMixer())
    on.around = "no card"
    level = on.level()
    await level.get()
    await level.set(0.5)
    assert on.looks == 1
    on.around = "a card"
    assert await level.get() == 0.5
    assert on.looks == 2


async def test_a_mixer_that_is_missing_is_not_looked_for_at_every_use() -> None:
    on = Machine(StandInMixer())
    on.mixer, on.around = "sound server: refused", "its socket"
    level = on.level()
    for _ in range(5):
        with pytest.raises(UnavailableError, match="refused"):
            await level.get()
    assert on.looks == 1
    on.around = "another socket"
    on.mixer = Card()
    assert await level.get() == 0.5


async def test_a_device_that_was_away_gets_the_level_though_it_bears_the_same_name() -> None:
    card = Card()
    level = Machine(card).level()
    await level.set(0.7)
    card.level = 1.0
    await level.restore(renewed=True)
    assert card.level == 0.7


async def test_a_sound_server_is_preferred_to_the_card_that_was_found_first(
    sound: PulseServer,
) -> None:
    sound.start()
    on = Machine(Card())
    level = on.level()
    await level.set(0.5)
    pulse = await PulseMixer.find(lambda: None)
    assert pulse
    on.mixer = pulse
    await level.restore()
    assert level.name == pulse.name
    assert level_of(sound) == "50%"
    await level.close()


async def test_a_ramp_is_even_and_the_last_order_wins() -> None:
    card = Card()
    level = Machine(card).level()
    await level.set(0.5)
    card.put_levels.clear()
    first = asyncio.create_task(level.set(1.0))
    await until(lambda: len(card.put_levels) >= 2)
    assert await level.get() == 1.0  # the order, not where the ramp is
    await level.set(0.3)
    await first
    assert (card.level, level.kept) == (0.3, 0.3)
    steps = [decibels(level) for level in card.put_levels]
    assert max(abs(a - b) for a, b in itertools.pairwise(steps)) < 18.1
    assert max(card.put_levels) < 1.0


async def test_no_order_and_no_knob_beats_the_limit() -> None:
    card, turned = Card(), list[float]()
    level = Machine(card).level()
    level.limit, level.on_turn = (lambda: 0.6), turned.append
    await level.set(1.0)
    assert card.level == 0.6
    card.level = 0.9
    assert await level.get() == 0.6
    assert (card.level, turned) == (0.6, [0.6])


async def test_an_output_that_does_not_take_the_level_is_never_answered_with_success() -> None:
    class Fixed(Card):
        name = "fixed output"

        async def put(self, levels: Mapping[str, float]) -> None:
            self.put_levels.append(levels["card"])

    level = Machine(Fixed()).level()
    for wanted in (0.2, 0.0, 1.0):
        with pytest.raises(UnavailableError, match="fixed output: card does not take the level"):
            await level.set(wanted)
    await level.set(0.5)


async def test_an_output_that_was_stuck_above_the_limit_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stuck(Card):
        stuck = False

        async def put(self, levels: Mapping[str, float]) -> None:
            self.put_levels.append(levels["card"])
            if not self.stuck:
                self.level = levels["card"]

    level = Machine(card := Stuck()).level()
    level.limit = lambda: 0.5
    await level.set(0.5)
    card.stuck, card.level = True, 0.9
    for _ in range(3):
        assert await level.get() == 0.9  # told once, and not at each look
    assert card.put_levels == [0.5, 0.5]
    card.stuck = False
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + 25)
    assert await level.get() == 0.5
    card.level = 0.4  # a knob counts as before
    assert await level.get() == 0.4
    assert level.kept == 0.4


async def test_a_knob_counts_while_another_output_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(Card):
        def __init__(self) -> None:
            super().__init__()
            self.levels = {"card": 1.0, "usb": 0.9}

        async def read(self) -> Outputs:
            return Outputs("", "card", dict(self.levels))

        async def put(self, levels: Mapping[str, float]) -> None:
            self.put_levels.append(levels["usb"])
            self.levels |= {key: found for key, found in levels.items() if key != "usb"}

    level = Machine(card := Stuck()).level()
    level.limit = lambda: 0.5
    await level.set(0.5)
    loop = asyncio.get_running_loop()
    now = loop.time
    for looks, turned in enumerate((0.4, 0.3), 1):
        card.levels["card"] = turned
        monkeypatch.setattr(loop, "time", lambda looks=looks: now() + 25 * looks)
        assert await level.get() == turned
        assert card.levels["card"] == level.kept == turned
        assert card.put_levels[-1] == turned  # and the other is told again


async def test_a_card_with_coarse_steps_takes_the_nearest() -> None:
    class Coarse(Card):
        async def put(self, levels: Mapping[str, float]) -> None:
            self.level = round(levels["card"] * 10) / 10

    level = Machine(card := Coarse()).level()
    await level.set(0.56)
    assert (card.level, level.kept) == (0.6, 0.56)
    assert await level.get() == 0.6


async def test_while_locked_a_knob_is_put_back() -> None:
    card, turned = Card(), list[float]()
    level = Machine(card).level()
    level.locked, level.on_turn = (lambda: True), turned.append
    await level.set(0.4)
    card.level = 0.6
    assert await level.get() == 0.4
    assert (card.level, turned) == (0.4, [])


async def test_what_others_set_is_seen_at_once_and_pulled_back_below_the_limit(
    sound: PulseServer,
) -> None:
    sound.start()
    level, turned = KeptLevel(), list[float]()
    level.limit, level.on_turn = (lambda: 0.5), turned.append
    level.follow()
    await level.set(0.3)
    sound.pactl("set-sink-volume", "bench", "40%")
    await until(lambda: turned)
    assert turned[-1] == pytest.approx(0.4, abs=0.01)
    sound.pactl("set-sink-volume", "bench", "140%")
    await until(lambda: level_of(sound) == "50%")
    sound.pactl("load-module", "module-null-sink", "sink_name=usb")
    await until(lambda: level_of(sound, "usb") == "50%")
    await level.close()


async def test_a_filter_in_front_of_the_device_leaves_the_level_alone(sound: PulseServer) -> None:
    sound.start()
    level = KeptLevel()
    level.follow()
    await level.set(0.3)
    sound.pactl("load-module", "module-remap-sink", "sink_name=echo", "master=bench")
    sound.pactl("set-default-sink", "echo")
    await level.set(0.5)
    assert (level_of(sound, "echo"), level_of(sound, "bench")) == ("100%", "50%")
    sound.pactl("set-sink-volume", "echo", "140%")
    await until(lambda: level_of(sound, "echo") == "100%")
    await level.close()


async def test_a_server_that_starts_while_nothing_is_ordered_gets_the_level(
    sound: PulseServer,
) -> None:
    level = KeptLevel()
    level.follow()
    await level.set(0.3)
    sound.start()
    await until(lambda: level_of(sound) == "30%")
    await level.close()


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
    assert level.name == "PulseAudio: default sink: it has no device: volume is kept but not heard"
    held = await player.position() or 0.0
    assert held <= heard + 1.0
    sound.pactl("load-module", "module-null-sink", "sink_name=bench")  # at 100 %
    await until(lambda: player.name == "mpv: pulse")
    async with sound.ear() as ear:
        await ear.tone(440.0)
        assert max(await ear.block()) < 12000 * 0.25**3 * 1.2
        assert held - 0.1 <= (await player.position() or 0.0) <= held + 5.0
    await player.close()


async def test_another_default_output_never_sounds_above_the_level(
    sound: PulseServer, tmp_path: Path
) -> None:
    """The new one is recorded from before the switch until two seconds after it."""
    sound.start()
    level = KeptLevel()
    await level.set(0.25)
    player = MpvPlayer(level)
    story = str(write_tone(tmp_path / "story.wav", seconds=60))
    await player.play(story, lambda _reason: None)
    await until_position(player, 0.5)
    sound.pactl("load-module", "module-null-sink", "sink_name=usb")
    async with sound.ear("usb") as new:
        sound.pactl("set-default-sink", "usb")
        peaks = [max(await new.block()) for _ in range(20)]
        assert max(peaks) > AUDIBLE
        assert max(peaks) < 12000 * 0.25**3 * 1.2
    assert level_of(sound, "usb") == "25%"
    await player.close()
    await level.close()
