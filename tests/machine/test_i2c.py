"""A chip's registers, over a kernel that the test plays: what is asked for, and what comes back."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from machine.i2c import I2cRegisters
from tests.resources.parts import descriptors


@pytest.fixture
def bus(tmp_path: Path) -> Path:
    path = tmp_path / "i2c-1"
    path.touch()
    return path


def test_a_read_is_one_transfer_of_two_messages(bus: Path) -> None:
    seen: list[Any] = []

    def transfer(descriptor: int, request: int, both: Any) -> None:
        written, read = both.messages[0], both.messages[1]
        seen.append((Path(f"/proc/self/fd/{descriptor}").readlink(), request, both.count))
        seen.append((written.address, written.flags, written.length, written.data[0]))
        seen.append((read.address, read.flags, read.length))
        read.data[0], read.data[1] = 0x12, 0x34

    assert I2cRegisters(bus, 0x36, transfer).read(0x02) == 0x1234
    assert seen == [(bus, 0x0707, 2), (0x36, 0, 1, 0x02), (0x36, 1, 2)]


def test_the_messages_have_the_kernels_layout(bus: Path) -> None:
    """struct i2c_msg: three 16-bit words, then the pointer at its own alignment."""
    sizes: list[int] = []

    def transfer(_descriptor: int, _request: int, both: Any) -> None:
        sizes.extend([ctypes.sizeof(both), ctypes.sizeof(both.messages[0])])

    I2cRegisters(bus, 0x36, transfer).read(0)
    pointer = ctypes.sizeof(ctypes.c_void_p)
    assert sizes == [2 * pointer, 2 * pointer]


def test_a_failed_transfer_leaves_no_descriptor(bus: Path) -> None:
    def transfer(*_words: Any) -> None:
        raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))

    before = descriptors()
    with pytest.raises(OSError, match="Remote I/O error"):
        I2cRegisters(bus, 0x36, transfer).read(0)
    assert descriptors() == before


def test_a_file_that_is_no_bus_and_a_bus_that_is_missing_are_errors(bus: Path) -> None:
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        I2cRegisters(bus, 0x36).read(0)
    with pytest.raises(OSError, match="No such file"):
        I2cRegisters(bus.with_name("i2c-9"), 0x36).read(0)
