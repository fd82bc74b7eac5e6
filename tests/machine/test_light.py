"""The light is on while the microphone is open, and never after: also when the agent is killed."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from machine.button_settings import LightSettings
from machine.errors import UnavailableError
from machine.gpio_chip import Flag, Lines
from machine.light import GpioLight, LedLight, Light, NoLight, find_light
from machine.microphone import BackEnd, Microphone


def led(folder: Path, *, full: str = "255") -> Path:
    path = folder / "listening"
    path.mkdir()
    (path / "brightness").write_text("7")
    (path / "max_brightness").write_text(f"{full}\n")
    (path / "trigger").write_text("heartbeat")
    return path


def shown(path: Path) -> str:
    return (path / "brightness").read_text().strip()


async def test_a_led_is_on_as_long_as_anybody_needs_it(tmp_path: Path) -> None:
    path = led(tmp_path)
    light = LedLight("listening", tmp_path)
    assert shown(path) == "0"  # what an agent before has left on
    async with light.shining():
        assert shown(path) == "255"
        assert light.state == "led listening: on"
        async with light.shining():
            pass
        assert shown(path) == "255"
    assert shown(path) == "0"
    assert light.state == "led listening: off"
    assert (path / "trigger").read_text().strip() == "none"


async def test_it_goes_out_however_often_its_holder_is_cancelled(tmp_path: Path) -> None:
    path = led(tmp_path)
    light = LedLight("listening", tmp_path)

    async def hold() -> None:
        async with light.shining():
            await asyncio.Event().wait()

    for turns in range(6):  # also before it is on
        task = asyncio.create_task(hold())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert shown(path) == "0"


async def test_a_second_cancel_does_not_leave_it_on(tmp_path: Path) -> None:
    path = led(tmp_path)
    light = LedLight("listening", tmp_path)
    lit = asyncio.Event()

    async def hold() -> None:
        async with light.shining():
            lit.set()
            await asyncio.Event().wait()

    for turns in range(1, 5):
        lit.clear()
        task = asyncio.create_task(hold())
        async with asyncio.timeout(30):
            await lit.wait()
        task.cancel()
        for _ in range(turns):  # while it is being turned off
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert shown(path) == "0"
        assert light.state == "led listening: off"


async def test_a_light_that_is_not_there_is_told_once_and_keeps_nothing_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    light = LedLight("absent", tmp_path)
    assert light.state == f"led absent: {tmp_path / 'absent'}: No such file or directory"
    for _ in range(3):
        async with light.shining():
            assert "absent" in (light.fault or "")
    assert len(caplog.records) == 1
    path = led(tmp_path)
    path.rename(tmp_path / "absent")
    async with light.shining():
        assert shown(tmp_path / "absent") == "255"
        assert light.fault is None


KILLED = """
import asyncio, sys
from pathlib import Path
from machine.light import LedLight

async def main():
    async with LedLight("listening", Path(sys.argv[1])).shining():
        print("on", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("whole", [False, True])
def test_a_led_goes_out_when_the_agent_is_killed(tmp_path: Path, *, whole: bool) -> None:
    path = led(tmp_path)
    agent = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert agent.stdout is not None
    assert agent.stdout.readline() == "on\n"
    assert shown(path) == "255"
    if whole:  # as systemd does: a signal for each process of the service
        children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGTERM)
    agent.kill()
    agent.wait(60)
    agent.stdout.close()
    subprocess.run(
        ["sh", "-c", f"until [ $(cat {path}/brightness) = 0 ]; do :; done"], timeout=30, check=True
    )


class Pin(Lines):
    def __init__(self) -> None:
        super().__init__(-1, [17], lambda *_: None)
        self.log: list[bool] = []

    def set(self, *, on: bool) -> None:
        self.log.append(on)


async def test_a_line_is_asked_for_once_and_set() -> None:
    pin, asked = Pin(), []

    def open_(*words: object) -> Lines:
        asked.append(words)
        return pin

    light = GpioLight(LightSettings(gpio=17, active_low=True, chip="/dev/gpiochip3"), open_)
    for _ in range(2):
        async with light.shining():
            assert pin.log[-1]
    assert pin.log == [True, False] * 2
    assert asked == [(Path("/dev/gpiochip3"), [17], Flag.OUTPUT | Flag.ACTIVE_LOW)]


async def test_a_line_that_is_busy_is_told() -> None:
    def open_(*_: object) -> Lines:
        raise UnavailableError("/dev/gpiochip3 line 17: busy")

    light = GpioLight(LightSettings(gpio=17, chip="/dev/gpiochip3"), open_)
    async with light.shining():
        assert light.state == "gpio 17: /dev/gpiochip3 line 17: busy"


async def test_a_chip_that_was_unplugged_is_asked_for_again() -> None:
    class Gone(Pin):
        closed = 0

        def set(self, *, on: bool) -> None:
            super().set(on=on)
            raise OSError(errno.ENODEV, "No such device")

        def close(self) -> None:
            Gone.closed += 1

    made: list[Lines] = [Pin(), Gone()]

    def open_(*_: object) -> Lines:
        return made.pop()

    light = GpioLight(LightSettings(gpio=13, chip="/dev/gpiochip0"), open_)
    async with light.shining():
        assert "No such device" in (light.fault or "")
    assert Gone.closed == 1
    async with light.shining():
        assert light.state == "gpio 13: on"


def test_the_settings_choose() -> None:
    assert isinstance(find_light(LightSettings()), NoLight)
    assert isinstance(find_light(LightSettings(led="absent-here")), LedLight)
    assert isinstance(find_light(LightSettings(gpio=4)), GpioLight)


class Lamp(Light):
    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    async def _turn_on(self) -> None:
        self.log.append("light on")

    async def _turn_off(self) -> None:
        self.log.append("light off")


async def test_the_microphone_is_never_open_without_its_light() -> None:
    log: list[str] = []
    lamp = Lamp(log)
    microphone = Microphone(BackEnd("zeros", ("cat", "/dev/zero")), light=lamp)
    heard = asyncio.Event()

    def take(_block: bytes) -> None:
        if not heard.is_set():
            log.append("heard")
        heard.set()

    task = asyncio.create_task(microphone.keep_open(take, lambda _: None))
    async with asyncio.timeout(30):
        await heard.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert log == ["light on", "heard", "light off"]
    assert not microphone.is_open
