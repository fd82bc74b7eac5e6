"""Two processes of a simulated cloud on one disk: one of them dies, and the other goes on."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tools.sim.calls import Calls, Mount, Opened, bury
from tools.sim.disk import File
from tools.sim.life import Life
from tools.sim.second_worker import has_second
from tools.sim.sqlite_disk import Handle, Shared, SqliteDisk


def test_what_one_process_had_open_is_closed_and_the_others_is_not(tmp_path: Path) -> None:
    calls, mount, lives = Calls(), Mount(str(tmp_path)), (Life("cloud"), Life("worker 2"))
    (tmp_path / "store").write_bytes(b"abc")
    numbers = [os.open(tmp_path / "store", os.O_RDONLY) for _ in lives]
    for number, life in zip(numbers, lives, strict=True):
        calls.opened[number] = Opened(mount, File(), "store", 0, life)
    bury(calls, mount, lives[0])
    assert list(calls.opened) == [numbers[1]]
    assert [os.pread(number, 3, 0) for number in numbers] == [b"", b"abc"]
    bury(calls, mount)
    assert not calls.opened
    for number in numbers:
        os.close(number)


def test_the_locks_of_a_process_that_died_are_free_and_the_others_are_held() -> None:
    mount: Any = SimpleNamespace()
    shared, dead, lives = Shared(), Life("cloud"), Life("worker 2")
    handles = {
        1: Handle(3, "store", shared, mount, dead),
        2: Handle(4, "store", shared, mount, lives),
    }
    shared.levels.update({1: 2, 2: 1})
    shared.slots[0].update({1: True, 2: False})
    disk: Any = SimpleNamespace(_handles=handles, _release=SqliteDisk._release)
    SqliteDisk.forget(disk, mount, dead)
    assert shared.levels == {2: 1}
    assert shared.slots[0] == {2: False}
    assert handles[1].shared is not shared
    assert handles[2].shared is shared


def test_some_seeds_have_a_second_worker_and_of_days_fewer() -> None:
    dense = {seed for seed in range(200) if has_second(seed, 0.1)}
    days = {seed for seed in range(200) if has_second(seed, 24.0)}
    assert days < dense
    assert 50 < len(dense) < 110
    assert 20 < len(days) < 60
