"""The kept level on PipeWire: its PulseAudio server speaks the same protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.level import KeptLevel
from tests.machine.parts import DEADLINE, until
from tests.machine.pipewire import PipeWireServer, needs_pipewire

pytestmark = needs_pipewire


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeWireServer]:
    server = PipeWireServer(tmp_path)
    for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, server.environment[name])
    server.start()
    yield server
    server.kill()


def level_of(server: PipeWireServer, sink: str) -> str:
    return server.pactl("get-sink-volume", sink).split("/")[1].strip()


async def until_level(server: PipeWireServer, sink: str, percent: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while await asyncio.to_thread(level_of, server, sink) != percent:
            pass


async def test_outputs_knobs_and_the_limit(sound: PipeWireServer) -> None:
    level, turned = KeptLevel(), list[float]()
    level.limit, level.on_turn = (lambda: 0.5), turned.append
    level.follow()
    await level.set(0.3)
    assert level_of(sound, "bench") == "30%"
    sound.pactl("load-module", "module-null-sink", "sink_name=usb")
    await until_level(sound, "usb", "30%")
    sound.pactl("set-sink-volume", "bench", "40%")
    await until(lambda: turned)
    assert turned[-1] == pytest.approx(0.4, abs=0.01)
    await until_level(sound, "usb", "40%")
    sound.pactl("set-sink-volume", "bench", "150%")
    await until_level(sound, "bench", "50%")
    sound.pactl("set-sink-mute", "bench", "1")
    await until(lambda: turned[-1] == 0.0)
    assert await level.get() == 0.0
    await level.set(0.2)
    assert level_of(sound, "bench") == "20%"
    await level.close()


async def test_a_server_that_dies_is_told_and_one_that_comes_back_gets_the_level(
    sound: PipeWireServer,
) -> None:
    level = KeptLevel()
    level.follow()
    await level.set(0.3)
    sound.kill()
    with pytest.raises(UnavailableError):
        await level.set(0.9)
    sound.start()
    await until_level(sound, "bench", "30%")
    await level.close()
