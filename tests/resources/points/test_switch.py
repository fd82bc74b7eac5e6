"""The switch: unarmed, and armed against a small logind on a real D-Bus daemon."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, method

import machine.logind
import resources.points.switch
from machine.errors import UnavailableError
from machine.logind import LogindPowerOff, StandInPowerOff
from resources.dispatch import Dispatch
from resources.points.switch import SwitchPoint
from wire.codes import Code
from wire.datapoints import Value
from wire.exchange import Answer

DEADLINE = 60.0


class Logind(ServiceInterface):
    """The two methods of org.freedesktop.login1.Manager that a power-off needs."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.login1.Manager")
        self.can = "yes"
        self.calls: asyncio.Queue[bool] = asyncio.Queue()

    # dbus-fast reads D-Bus types from the annotations.
    @method("CanPowerOff")
    def can_power_off(self) -> "s":  # type: ignore[name-defined]  # noqa: F821, UP037
        return self.can

    @method("PowerOff")
    def power_off(self, interactive: "b"):  # type: ignore[name-defined,no-untyped-def]  # noqa: F821, UP037
        self.calls.put_nowait(interactive)


@pytest.fixture
def bus_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a private D-Bus daemon in place of the system bus."""
    program = shutil.which("dbus-daemon")
    assert program, "dbus-daemon is missing: make setup installs it"
    address = f"unix:path={tmp_path}/bus"
    daemon = subprocess.Popen(
        [program, "--session", "--nofork", "--nopidfile", f"--address={address}", "--print-address"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert daemon.stdout
    daemon.stdout.readline()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    yield address
    daemon.terminate()
    daemon.wait(60)
    daemon.stdout.close()


@pytest.fixture
async def logind(bus_address: str) -> AsyncIterator[Logind]:
    bus = await MessageBus(bus_address=bus_address).connect()
    interface = Logind()
    bus.export("/org/freedesktop/login1", interface)
    await bus.request_name("org.freedesktop.login1")
    yield interface
    bus.disconnect()


@pytest.fixture
async def point(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SwitchPoint]:
    monkeypatch.setattr(resources.points.switch, "POWER_OFF_DELAY", 0.01)
    made = SwitchPoint(LogindPowerOff())
    yield made
    await made.close()


async def ignore(_name: str, _value: Value) -> None:
    return


async def put(point: SwitchPoint, value: str) -> Answer:
    return await Dispatch([point], ignore).request("PUT", "switch", value)


async def test_true_powers_off_after_the_answer(logind: Logind, point: SwitchPoint) -> None:
    assert await put(point, "true") == Answer(Code.CHANGED)
    assert logind.calls.empty()  # the answer comes first
    async with asyncio.timeout(DEADLINE):
        assert await logind.calls.get() is False


async def test_two_orders_are_one_power_off(logind: Logind, point: SwitchPoint) -> None:
    await put(point, "true")
    await put(point, "1")
    async with asyncio.timeout(DEADLINE):
        await logind.calls.get()
        while point._pending is not None:
            await asyncio.sleep(0)
    assert logind.calls.empty()


async def test_false_changes_nothing(logind: Logind, point: SwitchPoint) -> None:
    assert await put(point, "false") == Answer(Code.CHANGED)
    assert point._pending is None
    assert logind.calls.empty()


@pytest.mark.parametrize("can", ["no", "challenge", "na"])
async def test_a_logind_that_refuses_is_5_03_at_once(
    logind: Logind, point: SwitchPoint, can: str
) -> None:
    logind.can = can
    answer = await put(point, "true")
    assert answer.code is Code.SERVICE_UNAVAILABLE
    assert f"logind refuses to power off: ['{can}']" in answer.text
    assert point._pending is None


async def test_a_bus_without_logind_is_5_03(bus_address: str, point: SwitchPoint) -> None:
    assert bus_address
    answer = await put(point, "true")
    assert answer.code is Code.SERVICE_UNAVAILABLE
    assert "org.freedesktop.login1" in answer.text


@pytest.mark.parametrize("address", ["unix:path=/nowhere/bus", "nonsense", "", "tcp:host=,port=x"])
async def test_no_bus_is_5_03(
    point: SwitchPoint, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address or "unix:path=")
    answer = await put(point, "true")
    assert answer.code is Code.SERVICE_UNAVAILABLE
    assert answer.text.startswith("logind: ")


async def test_a_bus_that_says_nothing_is_given_up(
    point: SwitchPoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(machine.logind, "POWER_OFF_TIMEOUT", 0.05)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    async with await asyncio.start_unix_server(listen, tmp_path / "bus"):
        answer = await put(point, "true")
    assert answer == Answer.from_text(Code.SERVICE_UNAVAILABLE, "logind: no answer in 0.05 s")


async def test_an_order_that_fails_later_is_said_and_can_be_given_again(
    point: SwitchPoint, logind: Logind, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def fail(_self: LogindPowerOff) -> None:
        raise UnavailableError("logind: gone")

    with monkeypatch.context() as patched:
        patched.setattr(LogindPowerOff, "power_off", fail)
        await put(point, "true")
        async with asyncio.timeout(DEADLINE):
            while point._pending is not None:
                await asyncio.sleep(0)
    assert "power-off failed: logind: gone" in caplog.text
    await put(point, "true")
    async with asyncio.timeout(DEADLINE):
        await logind.calls.get()


async def test_the_agents_end_drops_an_order(
    logind: Logind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.points.switch, "POWER_OFF_DELAY", 3600)
    point = SwitchPoint(LogindPowerOff())
    await put(point, "true")
    pending = point._pending
    assert pending
    await point.close()
    await asyncio.wait({pending}, timeout=DEADLINE)
    assert pending.cancelled()
    assert logind.calls.empty()


async def test_unarmed_the_order_is_noted_and_the_machine_stays_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resources.points.switch, "POWER_OFF_DELAY", 0)
    point = SwitchPoint(StandInPowerOff())
    assert await put(point, "true") == Answer(Code.CHANGED)
    async with asyncio.timeout(DEADLINE):
        while point._pending is not None:
            await asyncio.sleep(0)
    assert "the order is noted and the machine stays on" in caplog.text
    assert await point.get() is False
