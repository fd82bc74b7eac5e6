"""What the locks of `base`, `machine` and `transport` guard is touched with the lock held (`tests.guarded`)."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from base.clock import TrustedTime
from machine.button_settings import ButtonSettings
from machine.button_sources import GpiozeroSource
from machine.level import KeptLevel
from machine.light import Light
from machine.microphone_switch import MicrophoneSwitch
from machine.mixers import StandInMixer
from machine.player import MpvPlayer
from tests.guarded import Guard, nothing

Patch = pytest.MonkeyPatch


def test_the_trusted_time(tmp_path: Path, monkeypatch: Patch) -> None:
    clock = TrustedTime(tmp_path / "time.json", wall=lambda: 0.0)
    now = clock.now() + 100
    guard = Guard(clock, "_lock", monkeypatch).data("_record", "_stored")
    guard.check(
        clock.now, lambda: clock.note_cloud(now), lambda: clock.from_cloud, lambda: clock.was_told,
        lambda: clock.note_metadata(now, ["a"]), lambda: clock.forget_metadata(["b"]),
    )  # fmt: skip


async def test_the_level_of_the_outputs(monkeypatch: Patch) -> None:
    mixer = StandInMixer()

    async def find(_lost: object) -> StandInMixer:
        return mixer

    level = KeptLevel(find, lambda: "")
    guard = Guard(level, "_lock", monkeypatch).calls(mixer, "read", "put").calls(level, "_look")
    await guard.check_tasks(
        level.get, level.peek, lambda: level.set(0.25), level.restore, level._follow_once
    )


class Lamp(Light):
    """A light that is always there."""

    async def _turn_on(self) -> None:
        """It shines."""

    async def _turn_off(self) -> None:
        """It is dark."""


async def test_the_light(monkeypatch: Patch) -> None:
    light = Lamp()
    guard = Guard(light, "_lock", monkeypatch).calls(light, "_turn_on", "_turn_off")

    async def shine() -> None:
        async with light.shining():
            assert guard.within == ["_turn_on"]

    await guard.check_tasks(shine)
    assert guard.within == ["_turn_on", "_turn_off"]


async def test_the_microphones_switch(tmp_path: Path, monkeypatch: Patch) -> None:
    switch = MicrophoneSwitch(tmp_path / "off")
    guard = Guard(switch, "_lock", monkeypatch).calls(switch, "_store")
    await guard.check_tasks(lambda: switch.set(on=False), lambda: switch.set(on=True))


async def test_the_start_of_a_player(monkeypatch: Patch) -> None:
    player = MpvPlayer(KeptLevel())
    monkeypatch.setattr("machine.player.MpvProcess.start", nothing)
    guard = Guard(player, "_opening", monkeypatch).data("_mpv")
    await guard.check_tasks(player._open)


async def test_the_pins_of_buttons(monkeypatch: Patch) -> None:
    """A closing that comes while they are made frees each: it takes them, or the next one is added after it."""
    pins = Mock(Button=lambda _line, **_wiring: Mock(is_pressed=False))
    monkeypatch.setitem(sys.modules, "gpiozero", pins)
    source = GpiozeroSource(ButtonSettings(talk=17))
    guard = Guard(source, "_lock", monkeypatch).data("_buttons")
    await guard.check_tasks(lambda: source.open(Mock()))
    guard.check(source.close)
