"""The agent before a restart: the story, the sound check for the new version, the last reports."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agent.link.outbox import Outbox
from agent.settings import SoundCheck
from agent.updates.health import note_sound, sound_needed
from agent.updates.host import AgentHost
from base.clock import TrustedTime
from machine.chime import SoundProof
from ota.restart import Restart, Restarter, parse_window
from resources.points.volume import VolumePoint
from tests.resources.parts import Bench as PlayBench

INTO_NEW = Restart(to_new=True, reboot=False)
WAY_BACK = Restart(to_new=False, reboot=False)


class Parts:
    """The agent before a restart, on a machine with a scripted player."""

    def __init__(
        self, folder: Path, sound: SoundCheck = SoundCheck.AUTO, play: Any = None,
        clock: list[float] | None = None,
    ) -> None:  # fmt: skip
        self.play = PlayBench(folder / "media", "a")
        seconds = clock or [time.time()]
        self.ends: list[bool] = []
        (folder / "ota").mkdir()
        self.outbox = Outbox(folder / "outbox.sqlite", 65536)
        self.outbox.emptied.set()
        self.host = AgentHost(
            folder, sound,
            clock=TrustedTime(None, 0.0, wall=lambda: seconds[0], ticks=lambda: 0.0, boot="b"),
            outbox=self.outbox, play=play or self.play.point, end=self._end,
        )  # fmt: skip
        self.restarter = Restarter(self.host)

    def _end(self, *, restart: bool) -> None:
        self.ends.append(restart)


async def test_no_restart_into_a_story_not_even_a_paused_one(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    await parts.play.point.put("a")
    assert parts.restarter.find_reason_to_wait() == "a story is being played"
    await parts.play.point.put("暂停")
    assert parts.restarter.find_reason_to_wait() == "a story is being played"
    assert parts.restarter.find_reason_to_wait(forced=True) is None
    await parts.play.point.put("停止")
    assert parts.restarter.find_reason_to_wait() is None


async def test_a_product_with_a_play_of_its_own_is_not_asked(tmp_path: Path) -> None:
    parts = Parts(tmp_path, play=VolumePoint(None))  # type: ignore[arg-type]
    assert parts.restarter.find_reason_to_wait() is None
    proof = await parts.host.chime(10)
    assert proof == SoundProof(None, "this product plays by a data point of its own")


@pytest.mark.parametrize("sound", SoundCheck)
async def test_the_old_version_notes_what_can_be_heard_without_a_sound(
    tmp_path: Path, sound: SoundCheck
) -> None:
    parts = Parts(tmp_path, sound)
    parts.play.player.at = 1.0
    await parts.host.prepare(INTO_NEW)
    note = tmp_path / "ota" / "sound.json"
    if sound is SoundCheck.AUTO:
        expected = {"heard": True, "output": "scripted", "fault": None}
        assert json.loads(note.read_bytes()) == expected
        assert parts.play.player.volumes == [0]
    else:
        assert not note.exists()
        assert parts.play.player.played == []


async def test_a_sound_card_that_hangs_does_not_hold_the_restart_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.updates.host.LAST_CHIME_SECONDS", 0.01)
    parts = Parts(tmp_path)
    parts.play.player.loading = asyncio.Event()
    await parts.host.prepare(INTO_NEW)
    assert "what this version can play is not noted: no end of it" in caplog.text


async def test_a_note_of_long_ago_asks_nothing_of_the_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.updates.host.LAST_CHIME_SECONDS", 0.01)
    parts = Parts(tmp_path)
    note_sound(tmp_path, SoundProof("pulse"))
    parts.play.player.loading = asyncio.Event()
    await parts.host.prepare(INTO_NEW)
    assert not sound_needed(SoundCheck.AUTO, tmp_path)


async def test_a_player_that_fails_in_its_own_way_does_not_hold_the_restart_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parts = Parts(tmp_path)

    async def play(*_arguments: object, **_words: object) -> None:
        raise RuntimeError("mpv has another API version")

    monkeypatch.setattr(parts.play.player, "play", play)
    await parts.restarter.leave(INTO_NEW)
    assert parts.ends == [True]
    assert "is not noted: mpv has another API version" in caplog.text


@pytest.mark.parametrize("restart", [INTO_NEW, WAY_BACK], ids=["into new", "way back"])
async def test_a_story_that_begins_before_the_restart_is_heard_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: Restart
) -> None:
    monkeypatch.setattr("ota.restart.STORY_POLL", 0.0)
    parts = Parts(tmp_path)
    parts.outbox.emptied.clear()
    leaving = asyncio.create_task(parts.restarter.leave(restart))
    await parts.play.point.put("a")
    parts.outbox.emptied.set()
    for _turn in range(20):
        await asyncio.sleep(0)
    assert not leaving.done()
    await parts.play.point.put("停止")
    await leaving
    assert parts.ends == [True]


async def test_a_forced_restart_waits_for_no_story(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    await parts.play.point.put("a")
    await parts.restarter.leave(Restart(to_new=True, reboot=False, forced=True))
    assert parts.ends == [True]


async def test_a_story_without_end_holds_up_the_way_back_for_so_long_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ota.restart.STORY_TIMEOUT", 0.0)
    parts = Parts(tmp_path)
    await parts.play.point.put("a")
    await parts.restarter.leave(WAY_BACK)
    assert parts.ends == [True]


@pytest.mark.parametrize("refused", [False, True])
async def test_a_machine_is_rebooted_through_logind_and_a_refusal_is_logged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    refused: bool,
) -> None:
    ordered: list[bool] = []

    async def reboot() -> None:
        ordered.append(True)
        if refused:
            raise OSError("logind is not there")

    monkeypatch.setattr("agent.updates.host.reboot_machine", reboot)
    monkeypatch.setattr("agent.updates.host.REBOOT_SECONDS", 0.0)
    parts = Parts(tmp_path)
    await parts.restarter.leave(Restart(to_new=False, reboot=True))
    assert (ordered, parts.ends) == ([True], [False])
    assert ("cannot be restarted for the update: logind is not there" in caplog.text) is refused


async def test_on_the_way_back_the_note_of_the_good_version_stays(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    await parts.restarter.leave(WAY_BACK)
    assert parts.ends == [True]
    assert parts.play.player.played == []
    assert not (tmp_path / "ota" / "sound.json").exists()


ZONES = {
    # zone, a moment (UTC), the time of day there
    "far east": ("Asia/Shanghai", "2027-07-01T18:30", "02:30"),
    "half an hour off": ("Asia/Kolkata", "2027-07-01T18:30", "00:00"),
    "the minute before the clocks go forward": ("Europe/Berlin", "2027-03-28T00:59", "01:59"),
    "the minute after": ("Europe/Berlin", "2027-03-28T01:00", "03:00"),
    "the hour that comes twice, first": ("Europe/Berlin", "2027-10-31T00:30", "02:30"),
    "the same, again": ("Europe/Berlin", "2027-10-31T01:30", "02:30"),
    "after it": ("Europe/Berlin", "2027-10-31T02:30", "03:30"),
    "the other half of the world": ("Australia/Lord_Howe", "2027-04-03T15:15", "01:45"),
}


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that sets the machine's zone, as timedatectl does under a running agent."""
    yield lambda name: monkeypatch.setenv("TZ", name)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("case", ZONES)
def test_the_window_is_in_the_zone_that_the_machine_has_now(
    tmp_path: Path, zone: Callable[[str], None], case: str
) -> None:
    name, moment, expected = ZONES[case]
    zone("America/New_York")
    parts = Parts(tmp_path, clock=[datetime.fromisoformat(f"{moment}+00:00").timestamp()])
    parts.host.local_time()
    zone(name)
    assert f"{parts.host.local_time():%H:%M}" == expected


@pytest.mark.parametrize(
    ("day", "minutes"), [("2027-03-28", 60), ("2027-10-31", 180), ("2027-07-01", 120)]
)
def test_a_window_from_2_to_4_on_the_days_of_both_changes(
    tmp_path: Path, zone: Callable[[str], None], day: str, minutes: int
) -> None:
    """Two to three is left out in spring and comes twice in autumn; the window never misses or overstays."""
    zone("Europe/Berlin")
    window, begin = parse_window("02:00-04:00"), datetime.fromisoformat(f"{day}T00:00+00:00")
    clock = [begin.timestamp()]
    parts = Parts(tmp_path, clock=clock)
    # From 22:00 UTC the evening before, so that the whole night is in it.
    clock[0] -= 2 * 3600
    held = 0
    for _minute in range(10 * 60):
        held += window.holds(parts.host.local_time())
        clock[0] += 60
    assert held == minutes
