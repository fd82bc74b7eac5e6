"""The microphone's switch: remembered over restarts, closed before anything else."""

from __future__ import annotations

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
