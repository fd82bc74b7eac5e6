"""GPIO lines among a kernel that a test plays: the structures, the errors, and the board's chip."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.gpio_chip import (
    GET_CHIPINFO,
    GET_LINE,
    GET_VALUES,
    SET_VALUES,
    Edge,
    Flag,
    find_chip,
    open_lines,
    pack_request,
    parse_edges,
)
from tests.machine.mic_parts import descriptors


def ioctl(way: int, kind: int, number: int, size: int) -> int:
    """Return a request's number as asm-generic/ioctl.h makes it; ``way``: 2 reads, 3 reads and writes."""
    return way << 30 | size << 16 | kind << 8 | number


def test_the_requests_are_the_headers() -> None:
    """linux/gpio.h, with the sizes of gpiochip_info, gpio_v2_line_request and gpio_v2_line_values."""
    assert ioctl(2, 0xB4, 0x01, 68) == GET_CHIPINFO
    assert ioctl(3, 0xB4, 0x07, 592) == GET_LINE
    assert ioctl(3, 0xB4, 0x0E, 16) == GET_VALUES
    assert ioctl(3, 0xB4, 0x0F, 16) == SET_VALUES


class Kernel:
    """Answers ioctls as the header has them; each chip's file holds its label."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[bytes] = []
        self.values = 0
        self.error: int | None = None
        self.reader, self.writer = os.pipe()

    def chip(self, name: str, label: str) -> Path:
        path = self.folder / name
        path.write_text(label)
        return path

    def control(self, descriptor: int, request: int, data: bytearray) -> None:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        match request:
            case _ if request == GET_LINE:
                self.asked.append(bytes(data))
                data[588:592] = struct.pack("=i", os.dup(self.reader))
            case _ if request == GET_VALUES:
                bits, mask = struct.unpack("=QQ", data)
                data[:8] = struct.pack("=Q", self.values & mask | bits)
            case _ if request == SET_VALUES:
                bits, mask = struct.unpack("=QQ", data)
                self.values = self.values & ~mask | bits
            case _ if request == GET_CHIPINFO:
                label = os.pread(descriptor, 32, 0)
                data[32 : 32 + len(label)] = label
            case _:
                raise OSError(errno.ENOTTY, "no such request")

    def edge(self, line: int, *, rising: bool, at: float) -> None:
        """Put an event where `open_lines` reads."""
        stamp = round(at * 1e9)
        os.write(self.writer, struct.pack("=QIIII24x", stamp, 1 if rising else 2, line, 1, 1))


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_the_request_is_the_headers_structure() -> None:
    data = pack_request([17, 27], Flag.INPUT | Flag.EDGES | Flag.PULL_UP | Flag.ACTIVE_LOW)
    assert len(data) == 592
    assert struct.unpack_from("=3I", data) == (17, 27, 0)
    assert data[256:288].rstrip(b"\0") == b"story-agent"
    flags, attributes = struct.unpack_from("=QI", data, 288)
    assert (flags, attributes) == (0x136, 0)
    assert struct.unpack_from("=II", data, 560) == (2, 0)


def test_an_output_begins_as_off() -> None:
    data = pack_request([5], Flag.OUTPUT)
    flags, attributes = struct.unpack_from("=QI", data, 288)
    assert (flags, attributes) == (Flag.OUTPUT, 1)
    assert struct.unpack_from("=IIQQ", data, 320) == (2, 0, 0, 1)


def test_lines_are_read_and_set(kernel: Kernel) -> None:
    lines = open_lines(kernel.chip("gpiochip0", "x"), [17, 27], Flag.INPUT, kernel.control)
    assert lines.read() == []
    kernel.edge(27, rising=True, at=12.5)
    kernel.edge(27, rising=False, at=12.75)
    assert lines.read() == [Edge(27, True, 12.5), Edge(27, False, 12.75)]
    kernel.values = 0b10
    assert lines.levels() == {17: False, 27: True}
    lines.set(on=True)
    assert kernel.values == 0b11
    lines.set(on=False)
    assert kernel.values == 0
    lines.close()


def test_half_an_event_is_none() -> None:
    assert parse_edges(bytes(47)) == []  # of 48


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EBUSY, "line 17: Device or resource busy, another program or overlay uses it"),
        (errno.EINVAL, "expected a line that the chip has"),
        (errno.ENOTTY, "expected a GPIO chip of Linux 5.10"),
        (errno.EIO, "line 17: Input/output error"),
    ],
)
def test_what_the_kernel_refuses_is_told(kernel: Kernel, number: int, words: str) -> None:
    chip = kernel.chip("gpiochip0", "x")
    before = descriptors()
    kernel.error = number
    with pytest.raises(UnavailableError, match=words):
        open_lines(chip, [17], Flag.INPUT, kernel.control)
    assert descriptors() == before


def test_a_chip_that_is_not_there(kernel: Kernel) -> None:
    with pytest.raises(UnavailableError, match="No such file or directory; expected a GPIO chip"):
        open_lines(kernel.folder / "gpiochip7", [1], Flag.INPUT, kernel.control)


def test_the_headers_chip_is_found(kernel: Kernel) -> None:
    assert find_chip("", kernel.control, kernel.folder) is None
    first = kernel.chip("gpiochip0", "raspberrypi-exp")
    kernel.chip("gpiochip10", "gpio-brcmstb")
    assert find_chip("", kernel.control, kernel.folder) == first
    pi5 = kernel.chip("gpiochip4", "pinctrl-rp1")
    assert find_chip("", kernel.control, kernel.folder) == pi5
    assert find_chip("/dev/gpiochip9", kernel.control, kernel.folder) == Path("/dev/gpiochip9")
    assert find_chip("gpiochip0", kernel.control) == Path("/dev/gpiochip0")
    kernel.error = errno.EPERM
    assert find_chip("", kernel.control, kernel.folder) == first
