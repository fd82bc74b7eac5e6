"""Registers of a chip on an I²C bus, through the kernel's /dev/i2c-N.

Each read is one I2C_RDWR transfer (write the register's number, repeated start, read), as the chips want it. It
works beside a kernel driver, and needs no library. Source: the kernel's i2c/dev-interface and linux/i2c-dev.h.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_RDWR = 0x0707
_READ = 0x0001

Transfer = Callable[[int, int, ctypes.Structure], object]
"""fcntl.ioctl: descriptor, request, and the two messages."""


class Registers(Protocol):
    """A chip's registers."""

    def read(self, register: int) -> int:
        """Return a register's 16 bits, the high byte first; raises OSError."""


class _Message(ctypes.Structure):
    _fields_ = (
        ("address", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("data", ctypes.POINTER(ctypes.c_uint8)),
    )


class _Messages(ctypes.Structure):
    _fields_ = (("messages", ctypes.POINTER(_Message)), ("count", ctypes.c_uint32))


class I2cRegisters:
    """The registers of the chip at an address of a bus; the device is opened for each read.

    A gauge is read twice a minute. A descriptor that is kept would outlive a bus that was reset.
    """

    def __init__(self, bus: Path, address: int, transfer: Transfer = fcntl.ioctl) -> None:
        """Use ``bus``, such as /dev/i2c-1, and the 7-bit ``address``."""
        self._bus = bus
        self._address = address
        self._transfer = transfer

    def read(self, register: int) -> int:
        """Return 16 bits; the kernel gives a hung bus up after its own timeout, a second by default."""
        sent, got = (ctypes.c_uint8 * 1)(register), (ctypes.c_uint8 * 2)()
        both = (_Message * 2)(
            _Message(self._address, 0, 1, ctypes.cast(sent, ctypes.POINTER(ctypes.c_uint8))),
            _Message(self._address, _READ, 2, ctypes.cast(got, ctypes.POINTER(ctypes.c_uint8))),
        )
        descriptor = os.open(self._bus, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._transfer(descriptor, _RDWR, _Messages(both, 2))
        finally:
            os.close(descriptor)
        return int.from_bytes(got, "big")
