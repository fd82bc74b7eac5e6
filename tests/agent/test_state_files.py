"""State files that are no such thing: the machine starts, answers, and plays; each costs its own content only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.app import Agent
from agent.settings import Settings
from base.files import make_folder
from tests.agent.parts import make_profile
from tests.agent.test_full_disk import ask
from tests.agent.test_points import built
from tests.conftest import write_tone
from wire.codes import Code
from wire.datapoints import Method

NAMES = (
    "child_lock.json",
    "loudness.json",
    "loudness.sqlite",
    "microphone-off",
    "played.json",
    "player",
    "playing.beat",
    "playing.sqlite",
    "rules.json",
    "sleep_timer.json",
    "stories/pins.json",
    "ota/time.json",
    "ota/task.json",
)


def _folder(path: Path) -> None:
    make_folder(path / "inner")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _garbage(path: Path) -> None:
    path.write_bytes(b"\xff\x00{[" * 50)


def _odd(path: Path) -> None:
    path.write_text('{"format": 1, "level": "loud", "rules": 7, "timer": [1], "urls": 3}')


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: as a damaged file system tells


@pytest.mark.parametrize("spoil", [_folder, os.mkfifo, _loop, _garbage, _odd, _huge])
async def test_a_machine_with_nothing_but_spoilt_state_files_starts_and_plays(
    spoil: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent/pulse")
    monkeypatch.setenv("PATH", str(tmp_path))  # the stand-in for a player
    state = tmp_path / "state"
    write_tone(state / "media" / "a.wav", seconds=0.1)
    for name in NAMES:
        make_folder((state / name).parent)
        spoil(state / name)
    Agent(make_profile(1, ""), Settings(), state, "1.0.0")  # reads the time and the update's task
    async with built(state) as whole:
        for name, point in whole.dispatch.points.items():
            if Method.GET in point.description.methods:
                assert await whole.ask("GET", name) not in {"5.00", "4.00"}, name
        assert await ask(whole, "play", "a") == (Code.CHANGED, "")
        code, reason = await ask(whole, "rules", "daily 30")
        assert code is Code.CHANGED or reason.startswith("rules: not stored: ")
        code, reason = await ask(whole, "play_mode", "shuffle")
        assert code is Code.CHANGED or reason.startswith("play_mode: not stored: ")
