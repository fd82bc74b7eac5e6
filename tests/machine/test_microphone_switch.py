"""The microphone's switch: remembered over restarts, closed before anything else."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from machine import microphone_switch
from machine.errors import UnavailableError
from machine.microphone_switch import MicrophoneSwitch


async def test_it_is_on_at_first_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "microphone-off"
    switch = MicrophoneSwitch(path)
    assert switch.is_on
    for on in (False, False, True, True, False):
        await switch.set(on=on)
        assert switch.is_on is on
        assert MicrophoneSwitch(path).is_on is on


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"true"])
def test_damage_does_not_turn_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "microphone-off"
    path.write_bytes(content)
    assert not MicrophoneSwitch(path).is_on


async def test_the_microphone_is_closed_before_the_disk_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    told: list[bool] = []
    switch = MicrophoneSwitch(tmp_path / "microphone-off")

    async def close(*, on: bool) -> None:
        told.append(on)

    switch.close_first = close
    monkeypatch.setattr(microphone_switch, "write_atomically", fail)
    with pytest.raises(UnavailableError, match="it is off, but only until a restart: No space"):
        await switch.set(on=False)
    assert told == [False]
    assert not switch.is_on


async def test_it_stays_off_if_on_cannot_be_stored(tmp_path: Path) -> None:
    """The state folder on a read-only disk, as after a fault of the card."""
    path = tmp_path / "microphone-off"
    path.mkdir()  # which nobody can unlink
    told: list[bool] = []
    switch = MicrophoneSwitch(path)

    async def close(*, on: bool) -> None:
        told.append(on)

    switch.close_first = close
    with pytest.raises(UnavailableError, match="microphone: not stored, and still off: "):
        await switch.set(on=True)
    assert (told, switch.is_on) == ([], False)


class SlowDisk:
    """Holds a switch that is off and is told on: its thread removes the file when it is let go."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.switch, self._monkeypatch = path, MicrophoneSwitch(path), monkeypatch
        self.begun, self.go_on, self.done = (threading.Event() for _ in range(3))

    async def broken_off(self) -> asyncio.Task[None]:
        """Turn it on, and cancel that while its thread is at the disk."""
        unlink = Path.unlink

        def late(path: Path, *, missing_ok: bool = False) -> None:
            if path.name != "microphone-off":
                return unlink(path, missing_ok=missing_ok)
            self.begun.set()
            assert self.go_on.wait(60)
            unlink(path)
            return self.done.set()

        await self.switch.set(on=False)
        self._monkeypatch.setattr(Path, "unlink", late)
        on = asyncio.create_task(self.switch.set(on=True))
        await asyncio.to_thread(self.begun.wait, 60)
        on.cancel()
        return on


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    return SlowDisk(tmp_path / "microphone-off", monkeypatch)


async def test_on_that_is_broken_off_does_not_undo_an_off_that_comes_after_it(
    disk: SlowDisk,
) -> None:
    """A card that hangs for longer than the order's deadline: the older change must not come last."""
    on = await disk.broken_off()
    off = asyncio.create_task(disk.switch.set(on=False))
    for _ in range(20):  # as long as a write of a card that does not hang
        await asyncio.to_thread(list)
    disk.go_on.set()
    await asyncio.to_thread(disk.done.wait, 60)
    await asyncio.wait([on, off])
    assert on.cancelled()
    assert (disk.switch.is_on, MicrophoneSwitch(disk.path).is_on) == (False, False)


async def test_on_that_is_broken_off_is_off_after_a_restart_too(disk: SlowDisk) -> None:
    on = await disk.broken_off()
    disk.go_on.set()
    await asyncio.to_thread(disk.done.wait, 60)
    await asyncio.wait([on])
    assert (disk.switch.is_on, MicrophoneSwitch(disk.path).is_on) == (False, False)
