"""Levels of lines by the kernel's device and by gpiozero, in a real event loop."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from machine import button_sources
from machine.button_settings import ButtonSettings, Key, Pull, Reader
from machine.button_sources import ChipSource, GpiozeroSource, find_source
from machine.errors import UnavailableError
from machine.gpio_chip import READ_EVENTS, Flag, Lines, open_lines
from tests.extras import require
from tests.machine.test_gpio_chip import Kernel
from tests.moved_clock import Since, on_moved_clock

SETTINGS = ButtonSettings(talk=17, next=27, chip="gpiochip0")


class Ears:
    """Remembers levels."""

    def __init__(self) -> None:
        self.heard: list[tuple[Key, bool]] = []
        self.more = asyncio.Event()

    def __call__(self, key: Key, at: float, *, pressed: bool) -> None:
        assert at >= 0
        self.heard.append((key, pressed))
        self.more.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.heard) < count:
                self.more.clear()
                await self.more.wait()


class Chip:
    def __init__(self, folder: Path) -> None:
        self.kernel = Kernel(folder)
        self.kernel.chip("gpiochip0", "x")
        self.asked: list[tuple[list[int], Flag]] = []
        self.folder = folder
        self.source = self.make(SETTINGS)

    def make(self, settings: ButtonSettings) -> ChipSource:
        def open_(chip: Path, lines: list[int], flags: Flag) -> Lines:
            self.asked.append((lines, flags))
            return open_lines(self.folder / chip.name, lines, flags, self.kernel.control)

        return ChipSource(settings, open_)


@pytest.fixture
async def chip(tmp_path: Path) -> AsyncIterator[Chip]:
    made = Chip(tmp_path)
    yield made
    made.source.close()


async def test_edges_arrive_with_their_key_and_the_levels_of_now_come_first(chip: Chip) -> None:
    ears = Ears()
    chip.kernel.values = 0b10
    assert await chip.source.open(ears) == {Key.TALK: False, Key.NEXT: True}
    assert chip.asked == [
        ([17, 27], Flag.INPUT | Flag.EDGES | Flag.PULL_UP | Flag.ACTIVE_LOW),
    ]
    chip.kernel.edge(17, rising=True, at=1.0)
    chip.kernel.edge(17, rising=False, at=1.1)
    chip.kernel.edge(27, rising=False, at=1.2)
    await ears.until(3)
    assert ears.heard == [(Key.TALK, True), (Key.TALK, False), (Key.NEXT, False)]
    assert chip.source.name == "/dev/gpiochip0: talk 17, next 27"


async def test_a_button_to_the_supply(chip: Chip) -> None:
    source = chip.make(ButtonSettings(talk=4, pull=Pull.DOWN, active_low=False, chip="gpiochip0"))
    await source.open(Ears())
    source.close()
    assert chip.asked == [([4], Flag.INPUT | Flag.EDGES | Flag.PULL_DOWN)]


async def test_a_flood_is_looked_at_now_and_then_and_ends_with_the_level_of_now(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(button_sources, "FLOOD_SECONDS", 0.05)
    ears = Ears()
    await chip.source.open(ears)
    chip.kernel.values = 0b01
    for _ in range(40):
        chip.kernel.edge(17, rising=False, at=1.0)
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        while (Key.TALK, True) not in ears.heard:  # read, since the buffer of edges ran over
            await asyncio.sleep(0.001)
    before = len(ears.heard)
    chip.kernel.edge(27, rising=True, at=2.0)
    await ears.until(before + 1)


async def test_a_hand_that_is_quick_is_no_flood(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nineteen reads within a second are taken at once; after the twentieth the line is left alone for a while."""
    monkeypatch.setattr(button_sources, "FLOOD_SECONDS", 3600.0)
    ears = Ears()
    await chip.source.open(ears)
    for count in range(1, 20):
        chip.kernel.edge(17, rising=bool(count % 2), at=1.0)
        await ears.until(count)
    assert chip.source._resuming is None
    chip.kernel.edge(17, rising=False, at=1.0)
    await ears.until(20)
    assert chip.source._resuming is not None


async def test_a_full_read_ends_with_the_level_of_now(chip: Chip) -> None:
    ears = Ears()
    await chip.source.open(ears)
    chip.kernel.values = 0b01
    for _ in range(READ_EVENTS):
        chip.kernel.edge(17, rising=False, at=1.0)
    await ears.until(READ_EVENTS + 2)
    assert ears.heard[-2:] == [(Key.TALK, True), (Key.NEXT, False)]


async def test_what_is_refused_is_told_and_closing_is_no_harm(chip: Chip) -> None:
    chip.kernel.error = errno.EBUSY
    with pytest.raises(UnavailableError, match="busy, another program"):
        await chip.source.open(Ears())
    chip.source.close()
    chip.source.close()


async def test_without_a_chip_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(button_sources, "find_chip", lambda _: None)
    source = ChipSource(ButtonSettings(talk=17))
    assert source.name == "no GPIO chip: talk 17"
    with pytest.raises(UnavailableError, match="no GPIO chip: expected /dev/gpiochip0"):
        await source.open(Ears())


async def test_a_chip_that_appears_late_is_found(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    chips: list[Path | None] = [None, None, Path("/dev/gpiochip0")]
    monkeypatch.setattr(button_sources, "find_chip", lambda _: chips.pop(0))
    source = chip.make(ButtonSettings(talk=17))
    with pytest.raises(UnavailableError, match="no GPIO chip"):
        await source.open(Ears())
    source.close()
    assert await source.open(Ears()) == {Key.TALK: False}
    assert source.name == "/dev/gpiochip0: talk 17"
    source.close()


async def test_a_chip_that_is_unplugged_releases_its_buttons_and_is_asked_for_again(
    chip: Chip, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(button_sources, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(button_sources, "RETRY_MAX", 0.002)
    source, ears = chip.make(SETTINGS), Ears()
    await source.open(ears)
    chip.kernel.error = errno.ENODEV
    os.close(chip.kernel.writer)  # the end of the file: no edge ever comes
    await ears.until(2)
    assert ears.heard == [(Key.TALK, False), (Key.NEXT, False)]
    assert source.name == "/dev/gpiochip0: talk 17, next 27: No such device"
    assert [r.getMessage() for r in caplog.records] == [
        "buttons: /dev/gpiochip0: talk 17, next 27: No such device"
    ]
    chip.kernel.reader, chip.kernel.writer = os.pipe()
    chip.kernel.error, chip.kernel.values = None, 0b01
    await ears.until(4)
    assert ears.heard[2:] == [(Key.TALK, True), (Key.NEXT, False)]
    assert source.name == "/dev/gpiochip0: talk 17, next 27"
    source.close()


@on_moved_clock
async def test_a_chip_that_stays_away_is_asked_for_after_5_s_and_at_last_once_a_minute(
    tmp_path: Path,
) -> None:
    chip, asked = Chip(tmp_path), asyncio.Event()
    since, times = Since(), []

    def open_(*_: object) -> Lines:
        times.append(since.seconds)
        if len(times) == 8:
            asked.set()
        return open_lines(tmp_path / "gpiochip0", [17], Flag.INPUT, chip.kernel.control)

    source = ChipSource(ButtonSettings(talk=17, chip="gpiochip0"), open_)
    await source.open(Ears())
    chip.kernel.error = errno.ENODEV
    os.close(chip.kernel.writer)
    await asked.wait()
    source.close()
    waits = [later - before for before, later in itertools.pairwise(times)]
    # Chance takes up to half of each away.
    for wait, longest in zip(waits, (5, 10, 20, 40, 60, 60, 60), strict=True):
        assert longest / 2 - 0.1 <= wait <= longest + 0.1


async def test_gpiozero_keeps_its_pins_after_a_try_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require("gpiozero")
    from gpiozero import Device
    from gpiozero.pins.mock import MockFactory

    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "nonesuch")
    source, ears = GpiozeroSource(ButtonSettings(talk=17)), Ears()
    with pytest.raises(UnavailableError, match="gpiozero: "):
        await source.open(ears)
    source.close()
    Device.pin_factory = MockFactory()
    try:
        assert await source.open(ears) == {Key.TALK: False}
        await asyncio.to_thread(Device.pin_factory.pin(17).drive_low)
        await ears.until(1)
        assert ears.heard == [(Key.TALK, True)]
        source.close()
    finally:
        Device.pin_factory = None


async def test_gpiozero_gives_levels_from_its_own_thread() -> None:
    require("gpiozero")
    from gpiozero import Device
    from gpiozero.pins.mock import MockFactory

    Device.pin_factory = MockFactory()
    try:
        source = GpiozeroSource(ButtonSettings(talk=17, next=27))
        pin = Device.pin_factory.pin(27)
        ears = Ears()
        assert await source.open(ears) == {Key.TALK: False, Key.NEXT: False}
        await asyncio.to_thread(pin.drive_low)
        await asyncio.to_thread(pin.drive_high)
        await ears.until(2)
        assert ears.heard == [(Key.NEXT, True), (Key.NEXT, False)]
        source.close()
        again = GpiozeroSource(ButtonSettings(talk=17))
        assert await again.open(ears) == {Key.TALK: False}  # the pin is free again
        again.close()
        wrong = GpiozeroSource(ButtonSettings(talk=17, pull=Pull.UP, active_low=False))
        with pytest.raises(UnavailableError, match="got pull up and active_low False"):
            await wrong.open(ears)
        wrong.close()
    finally:
        Device.pin_factory = None


async def test_an_error_of_gpiozeros_libraries_ends_no_agent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require("gpiozero")
    import gpiozero

    class LgpioError(Exception):
        """lgpio.error is no error of gpiozero's."""

    closed: list[int] = []

    class Button:
        is_pressed = False

        def __init__(self, line: int, **_wiring: object) -> None:
            if line == 27:
                raise LgpioError("GPIO busy")

        def close(self) -> None:
            closed.append(1)

    monkeypatch.setattr(gpiozero, "Button", Button)
    source = GpiozeroSource(ButtonSettings(talk=17, next=27))
    with pytest.raises(UnavailableError, match="gpiozero: GPIO busy"):
        await source.open(Ears())
    assert closed == [1]


async def test_gpiozero_without_pins_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    require("gpiozero")
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "nonesuch")
    source = GpiozeroSource(ButtonSettings(talk=17))
    with pytest.raises(UnavailableError, match="gpiozero: "):
        await source.open(Ears())
    source.close()


def test_the_settings_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_source(ButtonSettings()) is None
    assert isinstance(find_source(ButtonSettings(talk=17, reader=Reader.CHIP)), ChipSource)
    gpiozero = ButtonSettings(talk=17, reader=Reader.GPIOZERO)
    assert isinstance(find_source(gpiozero), GpiozeroSource)
    assert isinstance(find_source(ButtonSettings(talk=17, chip="/dev/gpiochip0")), ChipSource)
    monkeypatch.setattr(button_sources, "find_chip", lambda _: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert isinstance(find_source(ButtonSettings(talk=17)), GpiozeroSource)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert isinstance(find_source(ButtonSettings(talk=17)), ChipSource)
