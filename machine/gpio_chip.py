"""Lines of a GPIO chip through the kernel's device /dev/gpiochipN, without a library.

The kernel frees the lines when the process ends, however that happens. Source: linux/gpio.h, ABI v2 (Linux 5.10 and
newer), docs.kernel.org/userspace-api/gpio/chardev.html; the sizes and numbers were compared with the header.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Sequence
from enum import IntFlag
from pathlib import Path

from machine.errors import UnavailableError
from wire.records import dataclass

DEVICES = Path("/dev")
# The header's chip on Raspberry Pis: 1 to 4, and 5.
HEADER_LABELS = ("pinctrl-bcm", "pinctrl-rp1")
CONSUMER = b"story-agent"
EVENT_BYTES = 48
# As many events as one read takes; the kernel keeps 16 for each line and forgets the oldest.
READ_EVENTS = 64

GET_CHIPINFO, GET_LINE = 0x8044B401, 0xC250B407
GET_VALUES, SET_VALUES = 0xC010B40E, 0xC010B40F
_OUTPUT_VALUES = 2
_INFO = struct.Struct("=32s32sI")
# Offsets of 64 lines; consumer; flags, number of attributes, padding, the first attribute (id, padding, values, mask),
# nine more; number of lines, size of the buffer, padding, and the descriptor that the kernel answers.
_REQUEST = struct.Struct("=64I32sQI20xIIQQ216xII20xi")
_VALUES = struct.Struct("=QQ")
_EVENT = struct.Struct("=QII32x")
# Nanoseconds of CLOCK_MONOTONIC.
_NANO = 1e-9

Control = Callable[[int, int, bytearray], object]
"""fcntl.ioctl: descriptor, request, and the structure, which is changed."""


class Flag(IntFlag):
    """GPIO_V2_LINE_FLAG_*."""

    ACTIVE_LOW = 0x2
    INPUT = 0x4
    OUTPUT = 0x8
    EDGES = 0x30
    PULL_UP = 0x100
    PULL_DOWN = 0x200
    NO_PULL = 0x400


@dataclass(frozen=True, slots=True)
class Edge:
    """A line's change; ``at``: monotonic seconds."""

    line: int
    rising: bool
    at: float


class Lines:
    """Lines that this process holds until `close`."""

    def __init__(self, descriptor: int, lines: Sequence[int], control: Control) -> None:
        """Use `open_lines`."""
        self.descriptor = descriptor
        self._lines = tuple(lines)
        self._control = control

    def read(self) -> list[Edge]:
        """Return the edges since the last read, none if there are none; raises OSError."""
        try:
            data = os.read(self.descriptor, READ_EVENTS * EVENT_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return parse_edges(data)

    def levels(self) -> dict[int, bool]:
        """Return whether each line is active now; raises OSError."""
        buffer = bytearray(_VALUES.pack(0, (1 << len(self._lines)) - 1))
        self._control(self.descriptor, GET_VALUES, buffer)
        bits, _mask = _VALUES.unpack(buffer)
        return {line: bool(bits >> n & 1) for n, line in enumerate(self._lines)}

    def set(self, *, on: bool) -> None:
        """Set all lines, which are outputs; raises OSError."""
        mask = (1 << len(self._lines)) - 1
        buffer = bytearray(_VALUES.pack(mask if on else 0, mask))
        self._control(self.descriptor, SET_VALUES, buffer)

    def close(self) -> None:
        """Free the lines."""
        os.close(self.descriptor)


def parse_edges(data: bytes) -> list[Edge]:
    """Parse what a descriptor of lines gives: events of 48 bytes."""
    whole = len(data) // EVENT_BYTES * EVENT_BYTES
    return [
        Edge(line, kind == 1, stamp * _NANO)
        for stamp, kind, line in _EVENT.iter_unpack(data[:whole])
    ]


def pack_request(lines: Sequence[int], flags: Flag) -> bytearray:
    """Return the structure that asks for ``lines``; an output begins as inactive."""
    mask = (1 << len(lines)) - 1
    is_output = Flag.OUTPUT in flags
    attribute = (1, _OUTPUT_VALUES, 0, 0, mask) if is_output else (0, 0, 0, 0, 0)
    offsets = [*lines, *[0] * (64 - len(lines))]
    count, kind, padding, values, applies = attribute
    return bytearray(
        _REQUEST.pack(
            *offsets, CONSUMER, flags, count, kind, padding, values, applies, len(lines), 0, 0
        )
    )


def open_lines(
    chip: Path, lines: Sequence[int], flags: Flag, control: Control = fcntl.ioctl
) -> Lines:
    """Ask the kernel for ``lines`` of ``chip``.

    Raises:
        UnavailableError: there is no such device or line, or another program holds it; the message says what to do.
    """
    what = f"{chip} line {', '.join(map(str, lines))}"
    try:
        device = os.open(chip, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        reason = f"{chip}: {error.strerror}; expected a GPIO chip that the group gpio may open"
        raise UnavailableError(reason) from error
    request = pack_request(lines, flags)
    try:
        control(device, GET_LINE, request)
    except OSError as error:
        raise UnavailableError(f"{what}: {error.strerror}{_remedy(error.errno)}") from error
    finally:
        os.close(device)
    descriptor: int = _REQUEST.unpack(request)[-1]
    os.set_blocking(descriptor, False)
    return Lines(descriptor, lines, control)


def _remedy(number: int | None) -> str:
    return {
        errno.EBUSY: ", another program or overlay uses it (see gpioinfo)",
        errno.EINVAL: ", expected a line that the chip has",
        errno.ENOTTY: ", expected a GPIO chip of Linux 5.10 or newer",
    }.get(number or 0, "")


def find_chip(named: str, control: Control = fcntl.ioctl, folder: Path = DEVICES) -> Path | None:
    """Return the chip of the board's header, else the first; None if there is none.

    Args:
        named: a device that goes before all others; "" for none.
        control: the ioctl.
        folder: where the devices are.
    """
    if named:
        return folder / named  # "gpiochip0" is as good as "/dev/gpiochip0"
    chips = sorted(folder.glob("gpiochip*"), key=lambda chip: (len(chip.name), chip.name))
    for chip in chips:
        if _label(chip, control).startswith(HEADER_LABELS):
            return chip
    return chips[0] if chips else None


def _label(chip: Path, control: Control) -> str:
    try:
        device = os.open(chip, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    buffer = bytearray(_INFO.size)
    try:
        control(device, GET_CHIPINFO, buffer)
    except OSError:
        return ""
    finally:
        os.close(device)
    label: bytes = _INFO.unpack(buffer)[1]
    return label.rstrip(b"\0").decode(errors="replace")
