"""What the simulation finds to be done although it must not be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tools.sim.forbidden import Forbidden


def make(**kept: str) -> tuple[Forbidden, Any]:
    mount = SimpleNamespace(full=False, read_only=False)
    machine: Any = SimpleNamespace(wall_offset=0.0, damaged=set(), mount=mount, agent=None)
    promises: Any = SimpleNamespace(kept=kept)
    return Forbidden(machine, promises), machine


def test_a_change_by_hand_breaks_a_child_lock_that_held_all_the_time() -> None:
    forbidden, machine = make(child_lock="True")
    forbidden.note_by_hand("child_lock", was_locked=True)
    forbidden.note_by_hand("volume", was_locked=False)
    machine.damaged.add("/child_lock.json")
    forbidden.note_by_hand("volume", was_locked=True)
    assert forbidden.broken == []
    machine.damaged.clear()
    forbidden.note_by_hand("volume", was_locked=True)
    assert forbidden.broken == ["volume was changed by hand, and the child lock is on"]


def test_what_is_sent_after_the_microphone_is_off_is_found() -> None:
    forbidden, _ = make()
    utterance = SimpleNamespace(size=100)
    forbidden.note_utterance(utterance)
    utterance.size = 200
    forbidden.note_mute()
    forbidden.look(1.0, sounds=False)
    assert forbidden.broken == []
    utterance.size = 300
    forbidden.look(2.0, sounds=False)
    assert forbidden.broken == ["voice is sent after the microphone was told to be off"]


@pytest.mark.parametrize(("rules", "is_broken"), [("daily 2", True), ("daily 60", False), ("off", False)])  # fmt: skip
def test_more_than_a_days_measure_is_found(rules: str, is_broken: bool) -> None:  # noqa: FBT001
    forbidden, _ = make(rules=rules)
    for minute in range(7):
        forbidden.look(60.0 * minute, sounds=True)
    assert bool(forbidden.broken) is is_broken


def test_a_machine_whose_clock_is_wrong_has_another_day() -> None:
    forbidden, machine = make(rules="daily 2")
    machine.wall_offset = 3600.0
    for minute in range(30):
        forbidden.look(60.0 * minute, sounds=True)
    assert forbidden.broken == []


@pytest.mark.parametrize(
    ("damaged", "is_broken"),
    [("/playing.sqlite", True), ("/loudness.json", True), ("/played.json", False), ("/rules.json", False)],
)  # fmt: skip
def test_only_the_files_with_a_measure_excuse_what_was_played_beyond_it(
    damaged: str,
    is_broken: bool,  # noqa: FBT001
) -> None:
    forbidden, machine = make(rules="daily 2")
    machine.damaged.add(damaged)
    for minute in range(7):
        forbidden.look(60.0 * minute, sounds=True)
    assert bool(forbidden.broken) is is_broken


def test_a_card_that_refuses_keeps_no_measure() -> None:
    forbidden, machine = make(rules="daily 2")
    machine.mount.full = True
    for minute in range(7):
        forbidden.look(60.0 * minute, sounds=True)
    assert forbidden.broken == []


def test_another_damaged_file_does_not_open_a_child_lock() -> None:
    forbidden, machine = make(child_lock="True")
    machine.damaged.add("/rules.json")
    forbidden.note_by_hand("volume", was_locked=True)
    assert forbidden.broken == ["volume was changed by hand, and the child lock is on"]


@pytest.mark.parametrize("is_told", [True, False])
def test_a_clock_that_is_behind_excuses_only_who_was_not_told_the_time(*, is_told: bool) -> None:
    forbidden, machine = make(rules="daily 2")
    machine.wall_offset = -86_400.0 * 3
    machine.agent = SimpleNamespace(_clock=SimpleNamespace(from_cloud=is_told))
    for minute in range(7):
        forbidden.look(60.0 * minute, sounds=True)
    assert bool(forbidden.broken) is is_told
