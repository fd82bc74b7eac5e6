"""The pace of a download, computed without a clock."""

from __future__ import annotations

import pytest

from ota.errors import FetchError
from ota.fetch.pace import LowSpeed, Pacer


def test_low_speed_is_measured_over_a_window() -> None:
    meter = LowSpeed(low_speed=100, window=10.0, now=0.0)
    meter.add(999, 9.9)
    meter.add(1, 10.0)
    meter.add(500, 19.0)
    with pytest.raises(FetchError, match="500 bytes in 10 s"):
        meter.add(0, 20.0)


def test_a_rate_is_kept_on_the_average() -> None:
    pacer = Pacer(max_rate=1000, now=0.0)
    assert pacer.piece == 100
    assert pacer.add(100, 0.0) == pytest.approx(0.1)
    assert pacer.add(100, 0.1) == pytest.approx(0.1)
    assert pacer.add(100, 5.0) == 0.0
    assert Pacer(max_rate=0, now=0.0).add(10**9, 0.0) == 0.0
