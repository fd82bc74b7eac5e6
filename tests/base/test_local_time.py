"""When the local time is known."""

from __future__ import annotations

import gc
import math
from pathlib import Path

import pytest

import base.local_time
from base.clock import EARLIEST, TrustedTime
from base.local_time import has_clock, is_synchronised, local_time

NOW = EARLIEST + 86400.0


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No battery-backed clock, and no time service."""
    monkeypatch.setattr(base.local_time, "has_clock", lambda: False)
    monkeypatch.setattr(base.local_time, "is_synchronised", lambda: False)


def clock(wall: float = NOW) -> TrustedTime:
    return TrustedTime(wall=lambda: wall, ticks=lambda: 100.0, boot="boot")


@pytest.mark.usefixtures("alone")
def test_a_clock_that_nothing_keeps_is_unknown_though_it_may_be_right() -> None:
    assert local_time(clock()) is None


@pytest.mark.parametrize("keeper", ["has_clock", "is_synchronised"])
@pytest.mark.usefixtures("alone")
def test_a_clock_that_is_kept_is_known_unless_it_cannot_be_right(
    keeper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base.local_time, keeper, lambda: True)
    found = local_time(clock())
    assert found is not None
    assert found.timestamp() == NOW
    assert found.utcoffset() is not None
    assert local_time(clock(0.0)) is None  # 1970


@pytest.mark.usefixtures("alone")
def test_the_cloud_tells_the_time_of_a_machine_without_a_clock() -> None:
    late = clock(0.0)
    assert late.note_cloud(NOW, math.inf)
    found = local_time(late)
    assert found is not None
    assert found.timestamp() == NOW


def test_a_battery_backed_clock_is_in_the_kernels_folder(tmp_path: Path) -> None:
    assert not has_clock(tmp_path)
    assert not has_clock(tmp_path / "none")
    (tmp_path / "rtc0").mkdir()
    assert has_clock(tmp_path)


def test_the_kernel_says_whether_a_time_service_keeps_the_clock() -> None:
    assert is_synchronised() in {True, False}


def test_where_the_sandbox_refuses_the_kernels_answer_timesyncd_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused:
        def adjtimex(self, _: object) -> int:
            return -1

    monkeypatch.setattr("base.local_time._libc", Refused)
    assert not is_synchronised(tmp_path / "synchronized")
    (tmp_path / "synchronized").touch()
    assert is_synchronised(tmp_path / "synchronized")


def test_an_answer_of_the_kernels_is_not_overruled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unsynchronised:
        def adjtimex(self, _: object) -> int:
            return base.local_time.TIME_ERROR

    monkeypatch.setattr("base.local_time._libc", Unsynchronised)
    (tmp_path / "synchronized").touch()
    assert not is_synchronised(tmp_path / "synchronized")


def test_a_question_leaves_nothing_to_the_collector(tmp_path: Path) -> None:
    is_synchronised(tmp_path / "none")
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            is_synchronised(tmp_path / "none")
        assert gc.collect() < 20
    finally:
        gc.enable()
