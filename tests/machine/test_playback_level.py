"""Gains, fades and places in a source, listened to on a null sink's monitor."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from machine.errors import RefusedError
from machine.player import MpvPlayer
from tests.conftest import write_tone
from tests.gaps import without_gaps
from tests.machine.parts import (
    DEADLINE,
    CuttingServer,
    Ear,
    PulseServer,
    lone_server,
    until,
    until_position,
    write_two_tones,
)

LOW, HIGH = 440.0, 880.0
# The monitor's samples are 16 bit and resampled.
NEAR_DB = 0.7
# Below any level of these tests.
GAP_DB = -50.0


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    folder = tmp_path / "pulse"
    folder.mkdir()
    with lone_server(folder, monkeypatch) as server:
        yield server


@pytest.fixture
async def player() -> AsyncIterator[MpvPlayer]:
    player = MpvPlayer()
    yield player
    await player.close()


@pytest.fixture
def story(tmp_path: Path) -> str:
    return str(write_tone(tmp_path / "story.wav", seconds=60, hertz=LOW))


def ignore(_reason: str | None) -> None:
    pass


async def until_level(ear: Ear, db: float) -> None:
    async with asyncio.timeout(DEADLINE):
        while abs(await ear.level() - db) > NEAR_DB:
            pass


async def loudest_until_tone(ear: Ear) -> float:
    """Return the loudest tenth of a second of those up to a second after the first sound."""
    async with asyncio.timeout(DEADLINE):
        await ear.tone(LOW)
    return max([await ear.level() for _ in range(10)])


async def test_a_fade_is_even_in_db_and_the_next_order_begins_at_its_own_gain(
    sound: PulseServer, story: str, tmp_path: Path, player: MpvPlayer
) -> None:
    other = str(write_tone(tmp_path / "other.wav", seconds=60, hertz=HIGH))
    async with sound.ear() as ear:
        await player.play(story, ignore, gain=-6.0)
        await until_level(ear, -6.0)
        fading = asyncio.create_task(player.fade(-34.0, 3.0))
        heard = [-6.0]
        async with asyncio.timeout(DEADLINE):
            while heard[-1] > -40.0 + NEAR_DB or heard[-1] < GAP_DB:
                heard.append(await ear.level())
        heard = without_gaps(heard, GAP_DB)
        assert await fading
        steps = [after - before for before, after in itertools.pairwise(heard)]
        assert max(steps) < NEAR_DB, heard
        assert min(steps) > -9.0, heard  # 1.1 dB in a tenth of a second, and a machine that lags
        await until_level(ear, -40.0)
        fading = asyncio.create_task(player.fade(0.0, 30.0))
        await player.play(other, ignore)
        assert not await fading
        await ear.until_tone(HIGH, not_any_more=LOW)
        await until_level(ear, 0.0)


async def test_a_fade_that_is_kept_goes_on_in_the_next_track(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    async with sound.ear() as ear:
        await player.play(story, ignore)
        assert await player.fade(-20.0, 0.1)
        await player.play(story, ignore, gain=-6.0, keep_fade=True)
        await until_level(ear, -26.0)
        assert await player.fade(0.0, 0.1)
        await until_level(ear, -6.0)
        await player.set_gain(-12.0)
        await until_level(ear, -12.0)


async def test_a_player_that_dies_in_a_fade_comes_back_as_quiet(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    async with sound.ear() as ear:
        await player.play(story, ignore)
        assert await player.fade(-30.0, 0.1)
        await until_level(ear, -30.0)
        first = player.pid
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: player.pid not in {None, first})
        assert await loudest_until_tone(ear) < -29.0


async def test_a_fade_ends_at_its_level_though_it_ended_while_mpv_took_its_time() -> None:
    now = [0.0]
    player = MpvPlayer(clock=lambda: now[0])
    told: list[float] = []

    class Slow:
        async def apply_gain(self) -> None:
            told.append(player._gain.volume)
            now[0] += 1.0

    player._playback = Slow()  # type: ignore[assignment]  # all that a fade needs of it
    assert await player.fade(-30.0, 0.1)
    assert told == [pytest.approx(100.0), pytest.approx(31.62, abs=0.01)]  # mpv's volume is cubic


async def test_a_stop_ends_a_fade_and_a_cancelled_one_stays_where_it_is(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    async with sound.ear() as ear:
        await player.play(story, ignore)
        fading = asyncio.create_task(player.fade(-60.0, 120.0))
        await until_level(ear, -1.5)
        fading.cancel()
        assert await asyncio.gather(fading, return_exceptions=True)
        for _ in range(5):
            assert abs(await ear.level() + 1.5) < 2 * NEAR_DB
        fading = asyncio.create_task(player.fade(-60.0, 0.5))
        await player.stop()
        assert not await fading
        await player.play(story, ignore)
        await until_level(ear, 0.0)


async def test_a_start_in_the_middle_lets_nothing_of_the_beginning_be_heard(
    sound: PulseServer, tmp_path: Path, player: MpvPlayer
) -> None:
    story = write_two_tones(tmp_path / "two.wav", HIGH, LOW, seconds=10)
    async with sound.ear() as ear:
        for _ in range(3):
            await player.play(story, ignore, start=12.0)
            assert await ear.tone(LOW, HIGH) == LOW
            assert 12.0 <= (await player.position() or 0.0) < 16.0
            assert await player.length() == pytest.approx(20.0)
            await player.stop()
            await ear.silence()


@pytest.mark.parametrize("start", [19.5, 20.0, 4000.0])
async def test_a_start_beyond_the_end_is_the_last_second(
    sound: PulseServer, tmp_path: Path, player: MpvPlayer, start: float
) -> None:
    assert sound
    story = write_two_tones(tmp_path / "two.wav", HIGH, LOW, seconds=10)
    ends: list[str | None] = []
    async with sound.ear() as ear:
        await player.play(story, ends.append, start=start)
        assert await player.position() == pytest.approx(19.5, abs=0.5)
        assert await ear.tone(LOW, HIGH) == LOW
        await until(lambda: ends)
    assert ends == [None]


async def test_a_player_that_dies_right_after_a_start_in_the_middle_goes_on_there(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    assert sound
    await player.play(story, ignore, start=30.0)
    first = player.pid
    assert first
    os.kill(first, signal.SIGKILL)
    await until(lambda: player.pid not in {None, first})
    assert 29.9 <= await until_position(player, 1.0) < 35.0


async def test_a_seek_is_clamped_and_survives_a_death(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    with pytest.raises(RefusedError, match="nothing is playing"):
        await player.seek(3.0)
    ends: list[str | None] = []
    await player.play(story, ends.append)
    await player.seek(40.0)
    sound.kill()
    await until(lambda: "waits at" in player.name)
    assert 40.0 <= (await player.position() or 0.0) < 43.0
    await player.seek(20.0)
    sound.start()
    await until(lambda: player.name == "mpv: pulse")
    assert 20.0 <= await until_position(player, 20.0) < 25.0
    await player.seek(-5.0)
    async with asyncio.timeout(DEADLINE):
        while (await player.position() or 0.0) >= 19.0:
            await asyncio.sleep(0.01)
    await player.seek(900.0)
    await until(lambda: ends)
    assert ends == [None]


async def test_a_server_without_ranges_begins_at_the_beginning_and_refuses_a_seek(
    sound: PulseServer, story: str, player: MpvPlayer
) -> None:
    assert sound
    body = Path(story).read_bytes()  # noqa: ASYNC240  # half a megabyte
    async with CuttingServer(body, [], ranges=False).serve() as url:
        await player.play(url, ignore, start=40.0)
        assert (await player.position() or 0.0) < 10.0
        with pytest.raises(RefusedError, match="cannot go to a place in the middle"):
            await player.seek(50.0)
