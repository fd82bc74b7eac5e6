"""Keys of input devices: real descriptors, whose ioctls a test answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from machine import input_keys
from machine.button_settings import ButtonSettings, Key
from machine.input_keys import EVENT, GET_KEYS, GET_NAME, InputSource, parse_keys
from tests.machine.mic_parts import descriptors
from tests.machine.test_button_sources import Ears

TALK, VOLUME_UP, ENTER = 582, 115, 28


def event(code: int, value: int, kind: int = 1) -> bytes:
    return EVENT.pack(1, 2, kind, code, value)


def test_the_requests_are_the_headers() -> None:
    """EVIOCGNAME(128) and EVIOCGBIT(EV_KEY, 96) of linux/input.h: it reads, and its size, kind and number."""
    assert 2 << 30 | 128 << 16 | ord("E") << 8 | 0x06 == GET_NAME
    assert 2 << 30 | 96 << 16 | ord("E") << 8 | 0x20 + 1 == GET_KEYS


class Board:
    """A folder of devices; each is a pipe with a name and keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[int, tuple[str, tuple[int, ...]]] = {}
        self.writers: dict[str, int] = {}
        self.ears = Ears()

    def plug(self, file: str, name: str, *codes: int) -> None:
        path = self.folder / file
        os.mkfifo(path)
        self.known[path.stat().st_ino] = (name, codes)
        self.writers[file] = os.open(path, os.O_RDWR)

    def unplug(self, file: str) -> None:
        (self.folder / file).unlink()
        os.close(self.writers.pop(file))

    def control(self, descriptor: int, request: int, data: bytearray) -> None:
        assert len(data) == request >> 16 & 0x3FFF  # what the kernel writes there
        name, codes = self.known[os.fstat(descriptor).st_ino]
        if request == GET_NAME:
            data[: len(name)] = name.encode()
        elif request == GET_KEYS:
            for code in codes:
                data[code // 8] |= 1 << code % 8

    def press(self, file: str, *events: bytes) -> None:
        os.write(self.writers[file], b"".join(events))

    async def open(self, wanted: str, talk_code: int = 0) -> InputSource:
        settings = ButtonSettings(input=wanted, talk_code=talk_code)
        source = InputSource(settings, folder=self.folder, control=self.control)
        assert await source.open(self.ears) == {}
        return source


@pytest.fixture
async def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Board]:
    monkeypatch.setattr(input_keys, "LOOK_SECONDS", 0.02)
    made = Board(tmp_path)
    yield made
    for writer in made.writers.values():
        os.close(writer)


def test_only_presses_and_releases_of_known_keys_are_read() -> None:
    data = b"".join([
        event(TALK, 1), event(TALK, 2), event(TALK, 0), event(ENTER, 1), event(0, 0, kind=0),
        event(TALK, 1)[:-1],
    ])  # fmt: skip
    assert parse_keys(data, input_keys.CODES) == [(Key.TALK, True), (Key.TALK, False)]


async def test_the_devices_that_are_meant_are_read(board: Board) -> None:
    board.plug("event0", "gpio-keys", TALK)
    board.plug("event1", "AT keyboard", ENTER)
    board.plug("event2", "Remote", VOLUME_UP)
    source = await board.open("all")
    assert source.name == "input: gpio-keys, Remote"
    board.press("event0", event(TALK, 1))
    board.press("event2", event(VOLUME_UP, 1), event(VOLUME_UP, 0))
    await board.ears.until(3)
    assert sorted(board.ears.heard) == [
        (Key.TALK, True), (Key.VOLUME_UP, False), (Key.VOLUME_UP, True),
    ]  # fmt: skip
    source.close()


async def test_a_name_and_a_code_of_the_makers(board: Board) -> None:
    board.plug("event0", "gpio-keys", TALK)
    board.plug("event1", "BT Shutter", VOLUME_UP)
    source = await board.open("shutter", VOLUME_UP)
    assert source.name == "input: BT Shutter"
    board.press("event1", event(VOLUME_UP, 1))
    await board.ears.until(1)
    assert board.ears.heard == [(Key.TALK, True)]
    source.close()
    assert board.ears.heard[-1] == (Key.TALK, False)


async def test_a_device_that_goes_lets_its_keys_go_and_is_found_again(board: Board) -> None:
    source = await board.open("all")
    assert source.name == "input: no device named all is there"
    board.plug("event3", "BT Button", TALK)
    async with asyncio.timeout(30):
        while "BT Button" not in source.name:
            await asyncio.sleep(0.005)
    board.press("event3", event(TALK, 1))
    await board.ears.until(1)
    board.unplug("event3")  # the reader sees the end
    await board.ears.until(2)
    assert board.ears.heard == [(Key.TALK, True), (Key.TALK, False)]
    board.plug("event3", "BT Button", TALK)
    async with asyncio.timeout(30):
        while "BT Button" not in source.name:
            await asyncio.sleep(0.005)
    source.close()


async def test_one_that_may_not_be_read_is_told_once(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    (board.folder / "event0").symlink_to("/nonexistent/device")
    source = await board.open("all")
    board.plug("event1", "BT Button", TALK)
    async with asyncio.timeout(30):
        while "BT Button" not in source.name:  # a later look, which tried event0 again
            await asyncio.sleep(0.005)
    source.close()
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert [each.partition("; ")[2] for each in warnings] == [
        "expected a device that the group input may read"
    ]


async def test_the_doctor_looks_without_keeping_anything_open(board: Board) -> None:
    board.plug("event0", "Keyboard", ENTER)
    board.plug("event1", "Remote", TALK)
    (board.folder / "event3").symlink_to("nowhere")
    settings = ButtonSettings(input="remote")
    source = InputSource(settings, folder=board.folder, control=board.control)
    before = descriptors()
    assert source.find() == (["Remote"], [board.folder / "event3"])
    assert descriptors() == before
    assert source.fault == "no device named remote is there"
