"""The simulated player: a knob or a device that comes and goes takes nothing of what has sounded."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path, PurePosixPath

import pytest

from resources.online.cache import key_of
from resources.online.policy import parse_target
from tests.tools.sim.test_loop import loop
from tools.sim.board import SimPlayer, Sounds
from tools.sim.calls import Mount
from tools.sim.loop import SimLoop
from tools.sim.web_server import url_of
from tools.sim.web_track import WebTrack

__all__ = ["loop"]


def test_a_place_moves_while_the_title_sounds_and_only_then(loop: SimLoop) -> None:
    sounds = Sounds(random.Random(1))
    sounds.lengths["a.mp3"] = 600.0
    places: list[float | None] = []

    async def work() -> None:
        player = SimPlayer(sounds, None)
        await player.play("a.mp3", lambda _reason: None)
        await asyncio.sleep(10)
        sounds.turn(0.3)
        await asyncio.sleep(5)
        places.append(await player.position())
        sounds.plug(there=False)
        await asyncio.sleep(100)
        sounds.turn(0.6)
        await asyncio.sleep(100)
        sounds.plug(there=True)
        await asyncio.sleep(5)
        places.append(await player.position())
        await player.pause(paused=True)
        await asyncio.sleep(50)
        sounds.turn(0.2)
        places.append(await player.position())
        await player.stop()

    loop.run_until_complete(work())
    assert [round(place or 0.0) for place in places] == [15, 20, 20]


def test_places_are_excused_by_a_card_that_has_refused_something_until_it_was_asked_again(
    loop: SimLoop, tmp_path: Path
) -> None:
    sounds = Sounds(random.Random(1))
    mount = Mount(str(tmp_path))
    mount.on_refusal = sounds.note_refusal
    known: list[bool] = []

    def end(*, is_refused: bool = False) -> None:
        sounds.left = {"a.mp3": 60.0}
        sounds.end_of_process(is_refused=is_refused)
        known.append(sounds.left == {"a.mp3": 60.0})

    def refuse(fault: str) -> None:
        setattr(mount, fault, True)
        with pytest.raises(OSError, match="file"):
            mount.admit(str(tmp_path / "file"), needs_room=True)
        setattr(mount, fault, False)

    async def work() -> None:
        end()
        end(is_refused=True)
        for fault in ("full", "read_only"):
            refuse(fault)
            await asyncio.sleep(60)
            end()
            await asyncio.sleep(10)
            end()

    loop.run_until_complete(work())
    assert known == [True, False, False, True, False, True]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_other_bytes_of_a_story_are_wrong_but_of_one_whose_kept_file_is_damaged(
    loop: SimLoop, *, is_damaged: bool
) -> None:
    sounds = Sounds(random.Random(1))
    if is_damaged:
        key = key_of(parse_target(url_of("web-2")))
        sounds.note_damage(PurePosixPath(f"/stories/{key}.story"))
    sounds.note_damage(PurePosixPath("/stories/of-another-one.story"))

    async def work() -> None:
        player = SimPlayer(sounds, None)
        await player.play("a.mp3", lambda _reason: None)
        player._web = web = WebTrack("http://127.0.0.1:80/story", player._more_came)
        web.name, web.wrong = "web-2", ["others"]
        player._more_came()
        await player.stop()

    loop.run_until_complete(work())
    assert sounds.skipped == ([] if is_damaged else ["others"])
