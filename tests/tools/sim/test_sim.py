"""A slice of the simulation: short seeds, and short sequences of storage operations with all their cuts.

Each runs in a process of its own: the simulation replaces clock, files, threads and sockets of a whole process.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tests.tools.sim.running import RUN_SECONDS, run
from tools.sim.disk import (
    Disk,
    File,
    Folder,
    Left,
    Write,
    after_cut,
    choose_bit,
    flip_bit,
    rot,
    ways,
)
from tools.sim.invariants import Ending, View, end_faults, step_faults
from tools.sim.planted import PLANTS, VARIABLE
from tools.sim.scenario import FAULTS, USE, Event, is_by_mqtt, let_sleep, scenario


@pytest.mark.timeout(RUN_SECONDS)
def test_no_invariant_is_broken_in_short_days_and_a_seed_is_the_same_again() -> None:
    # Seed 90 in the same process: the log of a cloud that was killed before is found again after a power cut, as SQLite
    # syncs the folder with a log's first sync after each opening, also of a log that was there.
    told = run(
        "tools.sim", "--seeds", "50", "--hours", "0.002", "--density", "300", "--settle", "300",
        "--twice", "2", "--also", "90:0.1:40:600,3:0.1:40:600",
    )  # fmt: skip
    assert "50 seeds" in told
    assert " 0 failed" in told
    # Seed 3: a package is fetched, and proves itself. None was, at first: what asks for one was answered 404, or slept for ever.
    assert "1.1.0 starts" in told
    assert "seed 3: no fault" in told
    # Each kind of order is carried out somewhere: some were once written as values that the machine refuses.
    for name in (
        "play",
        "volume",
        "play_mode",
        "volume_limits",
        "sleep_timer",
        "rules",
        "child_lock",
    ):
        assert f"'{name} done'" in told, name
    assert any(int(count) for count in re.findall(r"'words heard': (\d+)", told))
    assert "2 seeds again, 0 different" in told
    assert "cloud: power cut" in told


@pytest.mark.timeout(RUN_SECONDS)
def test_nothing_acknowledged_is_lost_at_any_cut_of_one_operation() -> None:
    told = run("tools.sim.storage", "--length", "1", "--limit", "24", "--each", "3")
    assert told.count(" 0 faults") == 5


def test_a_cut_keeps_what_was_synced_and_may_lose_all_else() -> None:
    disk, kept, lost = Disk(), File(), File()
    disk.root.change({"kept": kept}, "create")
    kept.pending.append(Write(0, b"abc"))
    kept.sync()
    disk.root.sync()
    kept.pending.append(Write(1, b"xyz"))
    disk.root.change({"lost": lost}, "create")
    none = after_cut(disk, lambda _path, _node: [])
    assert none.files == {"/kept": b"abc"}
    everything = after_cut(disk, lambda _path, node: node.pending)
    assert everything.files == {"/kept": b"axyz", "/lost": b""}
    assert isinstance(disk.find(PurePosixPath("lost")), File)
    assert isinstance(disk.root, Folder)


def test_a_flipped_bit_is_one_bit_of_the_machines_own_files() -> None:
    files = {
        "/a": bytes(4),
        "/b": bytes(4),
        "/media/story.mp3": b"x",
        "/root.json": b"x",
        "/none": b"",
    }
    hit = set()
    for step in range(64):
        left = Left(dict(files), [], {}, {})
        path = flip_bit(left, step / 64)
        changed = [name for name in files if left.files[name] != files[name]]
        assert changed == [path]
        assert sum(byte.bit_count() for byte in left.files[path]) == 1
        hit.add((path, left.files[path]))
    assert len(hit) == 64
    assert not flip_bit(Left({"/media/a": b"x"}, [], {}, {}), 0.5)


def test_the_ways_to_survive_are_none_all_the_first_and_all_but_one() -> None:
    assert set(ways(3)) == {(), (0,), (0, 1), (0, 1, 2), (1, 2), (0, 2), (1,), (2,)}


def test_a_seed_is_one_day_and_another_one_is_another() -> None:
    assert scenario(5, 24) == scenario(5, 24)
    assert scenario(5, 24) != scenario(6, 24)
    assert all(event.at <= 24 * 3600 for event in scenario(5, 24))


def test_people_sleep_from_nine_to_six_but_for_a_few_and_what_breaks_does_not() -> None:
    # A seed begins at 06:00; the second night is as the first.
    hours = [h + 0.5 for h in range(48)]
    names = ("play", "speak", "command", "kill", "bedtime", "sleep timer", "update")
    events = [Event(3600 * h, name, n / 50) for h in hours for name in names for n in range(50)]
    left = let_sleep(1, events)
    count = Counter((event.what, event.at / 3600 % 24 >= 15) for event in left)
    for name in names:
        assert count[name, False] == 2 * 15 * 50, name
    for name in ("kill", "bedtime", "sleep timer", "update"):
        assert count[name, True] == 2 * 9 * 50, name
    for name in ("play", "speak", "command"):
        assert 45 < count[name, True] < 135, name  # a tenth of 900, and another one in each seed
    assert let_sleep(1, events) == left != let_sleep(2, events)
    by_night = {event.at for event in left if event.what == "play" and event.at > 24 * 3600}
    assert max(by_night) > 39 * 3600


def test_what_people_do_at_night_is_rare_in_each_day_and_a_short_seed_has_no_night() -> None:
    days = [event for seed in range(1, 21) for event in scenario(seed, 24)]
    night = [event for event in days if event.at >= 15 * 3600]
    acts, faults = (
        sum(event.what in names for event in night) / sum(event.what in names for event in days)
        for names in (USE.keys() - {"sleep timer", "rules"}, FAULTS.keys() - {"power button"})
    )
    assert 0.03 < acts < 0.10  # 0.9 of 15.9 waking hours
    assert 0.33 < faults < 0.42  # 9 of 24 hours
    short = scenario(3, 14.9, 8.0)
    assert let_sleep(4, short) == short


def test_a_broker_adds_its_own_events_and_changes_no_other() -> None:
    plain, with_broker = scenario(5, 24), scenario(5, 24, by_mqtt=True)
    added = [event for event in with_broker if event not in plain]
    assert [event for event in with_broker if event in plain] == plain
    assert {event.what for event in added} & {
        "broker kill",
        "broker restart",
        "broken off in an order",
    }
    assert 30 < sum(is_by_mqtt(seed) for seed in range(100)) < 70


@pytest.mark.parametrize(
    "changes",
    [{"dead_since": 961.0}, {"loud_since": 961.0}, {"awake_since": 961.0}, {"untold": {"power": 851.0}},
     {"tries": 3}, {"asked": (60, 240, 30, 120, 12)}, {"waiting": 16}, {"deaf_since": 851.0}, {"over_story_since": 981.0},
     {"tasks": 60}, {"lines": 500}, {"unlike_settings_since": 981.0},
     {"sizes": {"/outbox.sqlite-wal": 900_000, "/cloud.sqlite-wal": 4_500_000, "/events.1.jsonl": 196_608, "/ota/task.json": 900}}],
    ids=str,
)  # fmt: skip
def test_what_is_within_its_limit_breaks_nothing(changes: dict[str, Any]) -> None:
    assert not list(step_faults(replace(FINE, **changes)))


FINE = View(now=1000.0, alive=True, running="1.0.0")
LOST = {("e", 4): "volume"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"unlike_since": 900.0, "sounding": "a"}, "what_sounds_is_told"),
        ({"heard": ["it is open"]}, "mute_is_mute"),
        ({"open_since": 900.0}, "mute_is_mute"),
        ({"deaf_since": 850.0}, "the_wake_word_is_heard"),
        ({"unheard": ["nobody listens"]}, "the_wake_word_is_heard"),
        ({"over_story_since": 980.0, "sounding": "a"}, "stories_are_not_listened_to"),
        ({"last_order": ["a was ordered last, and b is loaded"]}, "the_last_order_wins"),
        ({"quiet_since": 900.0, "sounding": "a"}, "rules_are_kept"),
        ({"link_unlike_since": 900.0}, "status_is_true"),
        ({"files": 1000}, "all_is_bounded"),
        ({"sizes": {"/events.1.jsonl": 250_000}}, "all_is_bounded"),
        ({"sizes": {"/outbox.sqlite-wal": 1_000_001}}, "all_is_bounded"),
        ({"sizes": {"/cloud.sqlite-wal": 5_000_000}}, "all_is_bounded"),
        ({"tasks": 61}, "all_is_bounded"),
        ({"lines": 501}, "all_is_bounded"),
        ({"late": ["PUT play"]}, "nothing_is_late"),
        ({"twice": ["PUT play"]}, "nothing_is_done_twice"),
        ({"ended": ["KeyError"]}, "nothing_crashes"),
        ({"failed": ["play a"]}, "nothing_crashes"),
        ({"ran_dry": [3600.0]}, "battery_is_heeded"),
        ({"dead_since": 900.0}, "the_dead_are_noticed"),
        ({"loud_since": 900.0}, "volume_is_limited"),
        ({"awake_since": 900.0, "sounding": "a"}, "sleep_timer_is_kept"),
        ({"untold": {"power": 800.0}}, "changes_are_told"),
        ({"untold": {"trouble": 960.0}}, "changes_are_told"),
        ({"unlike_settings_since": 979.0}, "settings_are_taken"),
        ({"tries": 4}, "a_bad_version_is_left"),
        ({"asked": (61, 0, 0, 0, 0)}, "nobody_hammers"),
        ({"asked": (0, 241, 0, 0, 0)}, "nobody_hammers"),
        ({"asked": (0, 0, 31, 0, 0)}, "nobody_hammers"),
        ({"asked": (0, 0, 0, 121, 0)}, "nobody_hammers"),
        ({"asked": (0, 0, 0, 0, 13)}, "nobody_hammers"),
        ({"waiting": 17}, "all_is_bounded"),
        ({"rollouts": ["rollout 1: 2 machines were reached"]}, "rollouts_keep_their_phases"),
        ({"pruned": ["a report of volume is kept for too long"]}, "what_is_kept_is_bounded"),
        ({"served": ["a package is served, and is not the signed one"]}, "damage_is_told"),
        ({"tokens": ["a token was answered 200 1.0 s after its end"]}, "tokens_are_kept"),
        ({"broken": ["volume 3 was answered as done, and 4 is in force"]}, "done_is_done"),
    ],
    ids=str,
)
def test_a_broken_invariant_has_its_name(changes: dict[str, Any], name: str) -> None:
    assert not list(step_faults(FINE))
    (fault,) = step_faults(replace(FINE, **changes))
    assert fault.startswith(f"{name}: ")


def task(status: str, *events: int) -> dict[str, Any]:
    return {"id": 1, "status": status, "package": 7, "lines": [(event, "") for event in events]}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"online": False}, "it_runs"),
        ({"view": replace(FINE, running="9.9")}, "it_runs"),
        ({"waiting": 3}, "nothing_waits"),
        ({"epochs": {}}, "nothing_is_lost"),
        ({"tasks": [task("RUNNING", 0)]}, "updates_have_one_true_end"),
        ({"tasks": [task("FAILED", 0, 8, 8)]}, "updates_have_one_true_end"),
        ({"tasks": [task("SUCCESS", 0, 10)]}, "updates_have_one_true_end"),
        ({"newest": {"volume": 3}, "values": {"volume": 4}}, "cloud_shows_the_machine"),
        ({"told": ["volume"], "values": {"volume": 4}}, "cloud_shows_the_machine"),
        ({"tasks": [task("SUCCESS", 0, 10)], "never": ["1.1.0"]}, "updates_have_one_true_end"),
        (
            {"tasks": [{**task("FAILED", 0, 8), "failure": "bug: KeyError: 1"}]},
            "updates_have_one_true_end",
        ),
        ({"rows": {"volume": 2}, "offered": {"volume": 1}}, "nothing_is_twice"),
        ({"tasks": [task("SUCCESS", 0, 10)], "cancelled": {"1"}}, "a_cancelled_update_ends"),
        ({"tasks": [task("SUCCESS", 0, 10)], "bad": ["1.2.0"]}, "updates_have_one_true_end"),
    ],
    ids=str,
)
def test_an_end_that_is_wrong_is_named(changes: dict[str, Any], name: str) -> None:
    fine = Ending(
        FINE, LOST, epochs={"e": [[1, 4]]}, versions=["1.0.0", "1.1.0"], online=True,
        task_versions={7: "1.1.0"}, tasks=[task("FAILED", 0, 4, 8)], rows={"volume": 1},
        offered={"volume": 1},
    )  # fmt: skip
    assert not list(end_faults(fine))
    left = replace(fine, tasks=[task("SUCCESS", 0, 10)], bad=["1.1.0"])
    assert not list(end_faults(left))  # it proved itself, kept dying, and was left
    broken = replace(fine, **changes)
    assert name in {fault.partition(":")[0] for fault in end_faults(broken)}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no fsync of a record", "the task is damaged"),
        ("no fsync of a record's folder", "the task is none"),
        ("the task's folder is made without a sync", "the task is none"),
    ],
    ids=str,
)
def test_a_planted_bug_is_found(name: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.sim.storage", "--only", "task", "--length", "1"],
        env={**os.environ, VARIABLE: name}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-2000:]
    assert told in done.stdout


def test_each_planted_bug_fits_the_text_that_it_changes() -> None:
    root = Path(__file__).parents[3]
    for plant in PLANTS:
        text = (root / f"{plant.module.replace('.', '/')}.py").read_text("utf-8")
        assert text.count(plant.old) == 1, plant.name
    assert len({plant.name for plant in PLANTS}) == len(PLANTS) >= 40


def test_a_bit_that_rots_is_another_one_in_what_is_synced_and_in_what_is_not() -> None:
    file = File(bytearray(b"abc"), [Write(1, b"xyz"), Write(0, b"a"), Write(4, None)])
    rot(file, 2, 4)
    assert bytes(file.durable) == b"abg"
    assert [write.data for write in file.pending] == [b"x}z", b"a", None]
    rot(file, 3, 1)
    assert bytes(file.durable) == b"abg"
    assert file.pending[0].data == b"x}{"
    assert choose_bit({"/media/a": 9, "/root.json": 9, "/none": 0}, 0.5) is None
    chosen = {choose_bit({"/a": 1, "/b": 2}, step / 32) for step in range(32)}
    assert len(chosen) == 24
    assert {path for path, _, _ in filter(None, chosen)} == {"/a", "/b"}
