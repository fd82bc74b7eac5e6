"""The loudness as the agent puts it together."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.level import KeptLevel
from machine.measure import Measured
from machine.mixers import Mixer, StandInMixer
from resources.loudness.build import Titles, build_loudness
from resources.loudness.gain_index import GainIndex
from resources.playing.teller import Teller
from resources.titles.library import Library
from tests.resources.parts import ScriptedPlayer, level_on, make_sounds


async def ignore(*_: object) -> None:
    return


async def test_a_title_that_was_measured_plays_with_its_gain(tmp_path: Path) -> None:
    media = tmp_path / "media"
    make_sounds(media, "loud.mp3", "new.mp3")
    index = GainIndex(tmp_path / "loudness.sqlite")
    index.keep(str(media / "loud.mp3"), Measured(-10.0, 0.0))
    index.close()
    player, library = ScriptedPlayer(), Library(media)
    teller = Teller(player, [library], ignore)
    level = level_on(StandInMixer())
    loudness = build_loudness(level, tmp_path, lambda: datetime.now().astimezone(), ignore)
    await loudness.open()
    titles = Titles(library, teller, tmp_path, loudness)
    for title in ("loud", "new"):
        await teller.order(title)
    assert player.gains == [-8.0, -8.0]
    await titles.close()
    await loudness.close()
    await teller.close()


async def test_limits_are_kept_in_the_state_folder(tmp_path: Path) -> None:
    level = level_on(StandInMixer())
    loudness = build_loudness(level, tmp_path, lambda: datetime.now().astimezone(), ignore)
    await loudness.open()
    await loudness.put_limits("max=9")
    await loudness.close()
    again = build_loudness(level, tmp_path, lambda: None, ignore)
    assert again.limits.max == 9


async def test_where_no_mixer_can_be_set_a_story_keeps_the_limit_itself(tmp_path: Path) -> None:
    make_sounds(tmp_path / "media", "story.mp3")

    async def find(_on_change: object) -> Mixer:
        raise UnavailableError("sound card: it has no control")

    loudness = build_loudness(KeptLevel(find, lambda: None), tmp_path, lambda: None, ignore)
    await loudness.open()
    player, library = ScriptedPlayer(), Library(tmp_path / "media")
    teller = Teller(player, [library], ignore)
    titles = Titles(library, teller, tmp_path, loudness)
    for limits, gain in (("max=16", 0.0), ("max=6", -25.0)):
        await loudness.put_limits(limits)
        await teller.order("story")
        assert player.gains[-1] == pytest.approx(gain)
    await titles.close()
    await loudness.close()
    await teller.close()
