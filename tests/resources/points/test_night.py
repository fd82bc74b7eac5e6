"""``night`` over the dispatch."""

from __future__ import annotations

from datetime import datetime

from resources.dispatch import Dispatch
from resources.points.night import NightPoint
from resources.points.volume import VolumePoint
from tests.resources.parts import LoudBench
from wire.codes import Code


async def ignore(*_: object) -> None:
    return


async def test_a_night_is_set_read_and_holds_for_volume() -> None:
    bench = LoudBench()
    bench.now = datetime(2026, 11, 26, 22, 0).astimezone()
    dispatch = Dispatch([VolumePoint(bench.loudness), NightPoint(bench.loudness)], ignore)
    assert (await dispatch.request("GET", "night")).text == "off"
    assert (await dispatch.request("PUT", "night", "21:00-06:30 max=5")).code is Code.CHANGED
    assert (await dispatch.request("GET", "night")).text == "21:00-06:30 max=5"
    assert (await dispatch.request("GET", "volume")).text == "5"
    assert (await dispatch.request("PUT", "volume", "6")).code is Code.BAD_REQUEST
    assert (await dispatch.request("PUT", "night", "off")).code is Code.CHANGED
    assert (await dispatch.request("PUT", "volume", "6")).code is Code.CHANGED
    await bench.loudness.close()
