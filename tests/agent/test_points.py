"""The data points as the agent builds them: on a real sound server, and those of a product."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.points import _switch, build_points, times_of
from agent.settings import Settings, SwitchSettings, parse_settings
from base.clock import TrustedTime
from machine.logind import StandInPowerOff
from resources.dispatch import Dispatch
from resources.points.sleep_timer import SleepTimerPoint
from resources.points.switch import SwitchPoint
from resources.times.idle import IdlePowerOff
from resources.times.times import Times
from tests.conftest import write_tone
from tests.machine.parts import PulseServer, until
from tests.resources.online.parts import Page, Site
from tests.resources.parts import Bench
from wire.codes import Code
from wire.datapoints import Value
from wire.exchange import Request


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    folder = tmp_path / "pulse"
    folder.mkdir()
    server = PulseServer(folder)
    monkeypatch.setenv("PULSE_SERVER", server.address)
    server.start()
    yield server
    server.kill()


class Whole:
    """All data points on one dispatch, and what they report by themselves."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Value]] = []
        self.dispatch = Dispatch([], self.report)

    async def report(self, name: str, value: Value) -> None:
        self.told.append((name, value))

    async def ask(self, method: str, name: str, text: str = "", *, local: bool = False) -> str:
        asked = Request(method, (name,), payload=text.encode())
        answer = await self.dispatch.handle(asked, local=local)
        return answer.text if Code(answer.code).is_success else Code(answer.code).dotted


@asynccontextmanager
async def built(state: Path, settings: Settings | None = None) -> AsyncIterator[Whole]:
    whole = Whole()
    points = await build_points(settings or Settings(), state, whole.report, TrustedTime())
    whole.dispatch = Dispatch(points, whole.report)
    try:
        yield whole
    finally:
        await whole.dispatch.close()


def level_of(server: PulseServer) -> str:
    return server.pactl("get-sink-volume", "bench").split("/")[1].strip()


async def test_the_volume_of_a_family_on_a_real_sound_server(
    sound: PulseServer, tmp_path: Path
) -> None:
    async with built(tmp_path / "state") as whole:
        assert list(whole.dispatch.points)[:4] == ["play", "volume", "switch", "power"]
        assert await whole.ask("PUT", "volume_limits", "max=12 start=4") == ""
        assert ("volume", 12) in whole.told  # the sink was at 100 %
        assert await whole.ask("PUT", "volume", "13") == "4.00"
        assert await whole.ask("PUT", "volume", "8") == ""
        sound.pactl("set-sink-volume", "bench", "30%")
        await until(lambda: whole.told[-1] == ("volume", 3))
        sound.pactl("set-sink-volume", "bench", "150%")
        await until(lambda: whole.told[-1] == ("volume", 12))
        assert await whole.ask("PUT", "child_lock", "true") == ""
        assert await whole.ask("PUT", "volume", "9", local=True) == "4.03"
        assert await whole.ask("PUT", "volume", "9") == ""
        sound.pactl("set-sink-volume", "bench", "30%")  # a knob, while locked
        await until(lambda: level_of(sound) == "51%")
        assert await whole.ask("GET", "volume") == "9"
    async with built(tmp_path / "state") as whole:  # another run of the agent, not of the machine
        assert await whole.ask("GET", "volume") == "9"
        assert await whole.ask("GET", "volume_limits") == "max=12 min=0 start=4"
        assert await whole.ask("GET", "child_lock") == "true"


async def test_a_story_of_the_web_sounds_if_its_network_is_listed_and_is_kept(
    sound: PulseServer, tmp_path: Path
) -> None:
    tone = write_tone(tmp_path / "a.wav", seconds=60, hertz=440.0).read_bytes()
    page = Page(tone, kind="audio/wav")
    listing = Page(b"#EXTM3U\nfile:///etc/passwd\n#EXTINF:1,Story\na.wav\n")
    listed = parse_settings('[play]\nallow_networks = ["127.0.0.1"]\n')
    async with Site(a_wav=page, l=listing).serve() as site:
        async with built(tmp_path / "state") as whole:
            assert await whole.ask("PUT", "play", site.url("/a.wav")) == "4.00"
            assert site.connections == 0
        async with built(tmp_path / "state", listed) as whole, sound.ear() as ear:
            assert await whole.ask("PUT", "play", json.dumps({"pin": site.url("/a.wav")})) == ""
            assert await whole.ask("PUT", "play", site.url("/l")) == ""
            assert await whole.ask("GET", "play") == "Story"
            assert await ear.tone(440.0, 880.0) == 440.0
            assert await whole.ask("PUT", "play", "stop") == ""
            await ear.silence()
        assert {path.suffix for path in (tmp_path / "state" / "stories").iterdir()} >= {".json"}


async def test_a_volume_is_never_answered_with_success_while_the_server_is_away(
    sound: PulseServer, tmp_path: Path
) -> None:
    async with built(tmp_path / "state") as whole:
        assert await whole.ask("PUT", "volume", "8") == ""
        sound.kill()
        assert await whole.ask("PUT", "volume", "3") == "5.03"
        assert await whole.ask("GET", "volume") == "5.03"
        sound.start()
        await until(lambda: level_of(sound) == "46%")
        assert await whole.ask("GET", "volume") == "8"


async def test_an_update_keeps_a_machine_on_and_the_times_are_found(tmp_path: Path) -> None:
    async def told(_name: str, _value: object) -> None:
        pass

    bench = Bench(tmp_path / "media")
    idle = IdlePowerOff(30, StandInPowerOff(), lambda: 0.0)
    times = Times(bench.teller, TrustedTime(), tmp_path, told)
    points = [SwitchPoint(StandInPowerOff(), idle), SleepTimerPoint(times)]
    assert times_of(points, lambda: True) is times
    assert [needed() for needed in idle.needs] == [True]
    assert times_of([], lambda: True) is None
    await bench.teller.close()


async def test_a_story_that_waits_for_a_sound_device_does_not_keep_the_machine_on(
    tmp_path: Path,
) -> None:
    async def told(_name: str, _value: object) -> None:
        pass

    bench = Bench(tmp_path / "media", "a")
    point = _switch(
        SwitchSettings(idle_minutes=30),
        bench.teller,
        Times(bench.teller, TrustedTime(), tmp_path, told),
    )
    assert point.idle is not None
    found = []
    await bench.point.put("a")
    for waits in (False, True):
        bench.player.waiting = waits
        found.append(any(needed() for needed in point.idle.needs))
    assert found == [True, False]
    await bench.teller.close()
