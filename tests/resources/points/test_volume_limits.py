"""``volume_limits`` over the dispatch."""

from __future__ import annotations

from resources.dispatch import Dispatch
from resources.points.volume import VolumePoint
from resources.points.volume_limits import VolumeLimitsPoint
from tests.resources.parts import LoudBench
from wire.codes import Code


async def ignore(*_: object) -> None:
    return


async def test_limits_are_set_read_and_hold_for_volume() -> None:
    loudness = LoudBench().loudness
    dispatch = Dispatch([VolumePoint(loudness), VolumeLimitsPoint(loudness)], ignore)
    assert (await dispatch.request("GET", "volume_limits")).text == "max=16 min=0 start=last"
    assert (await dispatch.request("PUT", "volume_limits", "max=12 start=6")).code is Code.CHANGED
    found = (await dispatch.request("GET", "volume_limits")).text
    assert found == "max=12 min=0 start=6"
    assert (await dispatch.request("PUT", "volume_limits", found)).code is Code.CHANGED
    refused = await dispatch.request("PUT", "volume", "13")
    assert (refused.code, refused.text) == (
        Code.BAD_REQUEST, "volume: got 13, expected 0 to 12 now, see volume_limits",
    )  # fmt: skip
    assert (await dispatch.request("PUT", "volume_limits", "max=loud")).code is Code.BAD_REQUEST
