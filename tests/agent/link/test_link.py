"""The seam: the agent works with a link of another kind, of which it sees the protocol alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import agent.app
from agent.app import Agent
from agent.link import Link, LinkState, LinkStatus, LostError
from agent.link.delivery import deliver
from agent.link.outbox import Outbox
from agent.local import SOCKET_NAME
from agent.settings import HealthSettings, Settings, SoundCheck, VoiceSettings
from agent.updates.health import build_health
from agent.voice.sender import VoiceSender
from audio.pcm import Pcm
from machine.chime import SoundProof
from resources.datapoint import DataPoint
from resources.points.volume import VolumePoint
from tests.agent.local.rig import Bench, serving
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import DEADLINE, UUID, make_profile, until
from tests.resources.parts import Bench as PlayBench
from tests.resources.parts import LoudBench
from wire.codes import Code
from wire.exchange import Handler


@contextlib.asynccontextmanager
async def running(*work: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_delivery_and_voice_share_a_link(tmp_path: Path) -> None:
    link: Link
    link = memory = MemoryLink(is_up=False)
    outbox = Outbox(tmp_path / "outbox.sqlite", 65536)
    await outbox.open()
    await outbox.put("volume", 7)
    voice = VoiceSender(link, VoiceSettings())
    with pytest.raises(LostError):
        await voice.send(Pcm(8000, b"\1\0"))
    async with running(link.run(), deliver(outbox, link)):
        await until(outbox.emptied.is_set)
        await voice.send(Pcm(8000, b"\1\0"))
    await outbox.close()
    assert [key for report in memory.reports for key in report] == [
        "volume", "voice_control", "voice_control",
    ]  # fmt: skip


async def test_the_health_check_waits_for_the_registration_of_any_link(tmp_path: Path) -> None:
    async def chime(_volume: int) -> SoundProof:
        raise AssertionError

    link, path = MemoryLink(is_up=False), tmp_path / "agent.sock"
    settings = HealthSettings(sound=SoundCheck.OFF)
    health = build_health(settings, tmp_path, link.registered, path, chime)
    async with serving(Bench().dispatch, path), running(health.wait_until_passed()):
        await until(lambda: health.missing == "registration: not known yet")
        async with running(link.run()):
            await until(lambda: not health.missing)


async def test_a_whole_agent_runs_on_another_kind_of_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[MemoryLink] = []

    def build(_profile: object, _settings: object, handler: Handler, *_: object) -> MemoryLink:
        made.append(MemoryLink(handler=handler, is_up=False))
        return made[-1]

    async def points(*_: object) -> list[DataPoint]:
        return [PlayBench(tmp_path / "media", "a").point, VolumePoint(LoudBench().loudness)]

    monkeypatch.setattr(agent.app, "build_points", points)  # no devices of the test's machine
    monkeypatch.setattr(agent.app, "build_link", build)
    whole = Agent(make_profile(1, ""), Settings(), tmp_path, "1.0.0")
    async with running(whole.run()), asyncio.timeout(DEADLINE):
        await until(lambda: bool(made) and {"device_info", "package_info"} <= reported(made[0]))
        link = made[0]
        assert (await link.ask("PUT", "volume", b"3")).code is Code.CHANGED
        assert (await link.ask("GET", "volume")).text == "3"
        assert (await link.ask("PUT", "newfirmware", b"{}")).code is Code.BAD_REQUEST
        described = json.loads((await link.ask("GET", "resource")).payload)
        assert described["resources"]
        await until(lambda: {"volume": 3} in link.reports)
        status: Any = await whole.status()
        assert (tmp_path / SOCKET_NAME).exists()
    assert (status["uuid"], status["link"]["server"], status["link"]["state"]) == (
        UUID, "memory", "online",
    )  # fmt: skip


def reported(link: MemoryLink) -> set[str]:
    return {key for report in link.reports for key in report}


def test_the_status_counts_from_now_and_leaves_out_what_is_not() -> None:
    status = LinkStatus("cloud.example:5683")
    assert status.to_json() == {
        "server": "cloud.example:5683", "state": "stopped",
        "meaning": "stopped: the agent is starting or ending", "last_error": None,
        "phase": None, "remedy": None, "warning": None, "tries": 0,
        "online_seconds": None, "next_try_seconds": None,
    }  # fmt: skip
    status.state, status.next_try = LinkState.WAITING, 0.0  # long ago
    assert status.to_json()["next_try_seconds"] == 0.0
