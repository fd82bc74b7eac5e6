"""What a machine's parts make of the wake word: its switch, its story, its own voice, and the parents' hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.settings import VoiceSettings, WakeSettings
from agent.voice.ears import Ears, build_ears
from agent.voice.wake_build import build_wake
from machine.microphone_switch import MicrophoneSwitch
from resources.datapoint import DataPoint
from resources.points.microphone import MicrophonePoint
from tests.agent.memory_link import MemoryLink


@pytest.fixture
def ears(tmp_path: Path) -> Ears:
    points: dict[str, DataPoint] = {
        "microphone": MicrophonePoint(MicrophoneSwitch(tmp_path / "microphone-off"))
    }
    made = build_ears(MemoryLink(), VoiceSettings(), lambda: 1, points)
    assert made is not None
    return made


class ShutGate:
    def refusal(self) -> str | None:
        return "bedtime"

    def opened(self) -> None: ...

    def closed(self) -> None: ...

    def status(self) -> dict[str, object]:
        return {}


async def test_who_listens_after_it_has_its_microphone(ears: Ears, tmp_path: Path) -> None:
    wake = build_wake(ears, WakeSettings(on=True), VoiceSettings(), tmp_path, {})
    assert ears.wake is wake
    assert ears.microphone is wake._microphone
    assert ears._made()._microphone is wake._microphone
    await ears.close()


async def test_the_switch_and_the_parents_close_it(ears: Ears, tmp_path: Path) -> None:
    wake = build_wake(ears, WakeSettings(on=True), VoiceSettings(), tmp_path, {})
    assert wake._wanted()
    await ears._switch.set(on=False)
    assert not wake._wanted()
    await ears._switch.set(on=True)
    ears.gate = ShutGate()
    assert not wake._wanted()


async def test_status_has_it(ears: Ears, tmp_path: Path) -> None:
    assert "wake" not in ears.status()
    build_wake(ears, WakeSettings(on=True), VoiceSettings(), tmp_path, {})
    told = ears.status()["wake"]
    assert isinstance(told, dict)
    assert told["open"] is False
