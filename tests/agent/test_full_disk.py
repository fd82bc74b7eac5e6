"""A full disk, one rule for all data points: refused and not in force, or in force and said to be so."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources.loudness import loudness
from tests.agent.parts import until
from tests.agent.test_points import Whole, built
from tests.conftest import write_tone
from wire.codes import Code
from wire.datapoints import Method
from wire.exchange import Request

# The message of a write beyond the limit, which holds for root too.
FULL = "File too large"
# What is stored with room on the disk, and what is then asked for without it.
KEPT = {
    "play_mode": ("repeat-all", "shuffle"),
    "sleep_timer": ("20", "40"),
    "volume_limits": ("max=12 min=0 start=6", "max=9"),
    "night": ("21:00-06:30 max=5", "20:00-07:00 max=3"),
    "child_lock": ("true", "false"),
    "rules": ("daily 60", "daily 30"),
    "listening": ("daily 20", "daily 10"),
}
# What is not stored by the order itself: the next test says how it is told.
NOT_STORED = {"play", "player", "volume", "switch", "microphone"}


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sound server: this is about the disk."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent/pulse")


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def ask(whole: Whole, name: str, text: str) -> tuple[Code, str]:
    request = Request("PUT", (name,), payload=text.encode())
    answer = await whole.dispatch.handle(request)
    return Code(answer.code), answer.text


async def test_every_data_point_that_takes_a_value_is_in_one_of_the_tables(tmp_path: Path) -> None:
    async with built(tmp_path) as whole:
        taking = {
            name
            for name, point in whole.dispatch.points.items()
            if Method.PUT in point.description.methods
        }
    assert taking == {*KEPT, *NOT_STORED}


@pytest.mark.parametrize("name", KEPT)
async def test_what_a_full_disk_does_not_take_is_refused_and_not_in_force(
    name: str, tmp_path: Path
) -> None:
    before, wanted = KEPT[name]
    async with built(tmp_path) as whole:
        assert await ask(whole, name, before) == (Code.CHANGED, "")
        with full_disk():
            code, reason = await ask(whole, name, wanted)
        assert code is Code.SERVICE_UNAVAILABLE
        assert reason.startswith(f"{name}: not stored: ")
        assert FULL in reason or "disk" in reason
        assert await whole.ask("GET", name) == before
    async with built(tmp_path) as whole:
        assert await whole.ask("GET", name) == before


@pytest.mark.parametrize(
    ("order", "point", "text"),
    [
        ("二十分钟后停", "sleep_timer", "off"),
        ("循环播放", "play_mode", "order"),
        ("循环播放a", "play_mode", "order"),
        ('{"play": "a", "mode": "shuffle"}', "play_mode", "order"),
    ],
)
async def test_so_is_what_was_said_to_play(
    order: str, point: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # the stand-in for a player
    (tmp_path / "media").mkdir()
    write_tone(tmp_path / "media" / "a.wav", seconds=1)
    async with built(tmp_path) as whole:
        with full_disk():
            code, reason = await ask(whole, "play", order)
        assert (code, reason.partition(":")[0]) == (Code.SERVICE_UNAVAILABLE, point)
        assert await whole.ask("GET", point) == text
        assert await whole.ask("GET", "play") == ""


async def test_a_microphone_is_closed_whatever_the_disk_does_and_opened_only_if_that_is_stored(
    tmp_path: Path,
) -> None:
    async with built(tmp_path) as whole:
        with full_disk():
            code, reason = await ask(whole, "microphone", "false")
        assert (code, reason) == (
            Code.SERVICE_UNAVAILABLE,
            f"microphone: it is off, but only until a restart: {FULL}",
        )
        assert await whole.ask("GET", "microphone") == "false"


async def test_a_volume_that_is_not_stored_is_in_force_and_the_status_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loudness, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(loudness, "WRITE_AGAIN_SECONDS", 0.05)
    async with built(tmp_path) as whole:
        volume = whole.dispatch.points["volume"]
        with full_disk():
            assert await ask(whole, "volume", "9") == (Code.CHANGED, "")
            await until(lambda: "only until a restart: the level: not stored" in volume.back_end)
        await until(lambda: "restart" not in volume.back_end)
    async with built(tmp_path) as whole:
        assert await whole.ask("GET", "volume") == "9"
