"""Volume on a real mixer: PulseAudio's null sink."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from machine.level import KeptLevel
from resources.dispatch import Dispatch
from resources.points.volume import VolumePoint
from tests.machine.parts import PulseServer, until
from tests.resources.parts import LoudBench
from wire.codes import Code


@pytest.fixture
async def pulse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PulseServer]:
    server = PulseServer(tmp_path)
    monkeypatch.setenv("PULSE_SERVER", server.address)
    server.start()
    yield server
    server.kill()


async def test_a_knob_that_orders_over_the_local_api_is_a_knob_and_the_app_is_none() -> None:
    bench = LoudBench()
    turned: list[int] = []

    async def after_turn(step: int) -> None:
        turned.append(step)

    bench.loudness.after_turn = after_turn
    dispatch = Dispatch([VolumePoint(bench.loudness)], ignore)
    await dispatch.request("PUT", "volume", "5")
    for step in ("7", "8", "17"):
        await dispatch.request("PUT", "volume", step, local=True)
    await until(lambda: turned)
    assert turned == [8]
    await bench.loudness.close()


async def ignore(*_: object) -> None:
    return


@pytest.fixture
async def point() -> AsyncIterator[VolumePoint]:
    made = VolumePoint(LoudBench(KeptLevel()).loudness)
    yield made
    await made.close()


async def test_volume_sets_the_real_sink_and_reads_it_back(
    pulse: PulseServer, point: VolumePoint
) -> None:
    dispatch = Dispatch([point], ignore)
    for step, decibels in ((1, "-37.5"), (7, "-22.5"), (16, "0.00"), (0, "-inf")):
        assert (await dispatch.request("PUT", "volume", str(step))).code is Code.CHANGED
        assert (await dispatch.request("GET", "volume")).text == str(step)
        assert f"/ {decibels}" in pulse.pactl("get-sink-volume", "@DEFAULT_SINK@")
    assert point.back_end == "PulseAudio: default sink"


async def test_volume_sees_a_knob_and_a_mute_on_the_machine(
    pulse: PulseServer, point: VolumePoint
) -> None:
    await point.put(8)
    pulse.pactl("set-sink-volume", "@DEFAULT_SINK@", "25%")
    assert await point.get() == 2
    pulse.pactl("set-sink-mute", "@DEFAULT_SINK@", "1")
    assert await point.get() == 0
    await point.put(8)
    assert "no" in pulse.pactl("get-sink-mute", "@DEFAULT_SINK@")


async def test_a_sound_server_that_went_away_is_unavailable_not_a_crash(
    pulse: PulseServer, point: VolumePoint
) -> None:
    await point.put(8)
    pulse.kill()
    for method, text in (("PUT", "3"), ("GET", "")):
        answer = await Dispatch([point], ignore).request(method, "volume", text)
        assert answer.code is Code.SERVICE_UNAVAILABLE
        assert answer.text.startswith("sound server")
    pulse.start()
    assert await point.get() == 8
