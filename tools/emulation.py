"""Programs of arm64 on a PC: registered with the kernel for QEMU's user emulation, while somebody needs it.

Debian's binfmt-support does so for good; a container or a builder without it gets an entry of our own, which the last of
those who use it removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

BINFMT = Path("/proc/sys/fs/binfmt_misc")
EMULATOR = "qemu-aarch64-static"
OURS, SYSTEMS = "story-aarch64", "qemu-aarch64"
# ELF of 64 bit, little-endian, for AArch64. F: the kernel opens the emulator now, so that a root needs no copy.
_AARCH64 = (
    rb":story-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    rb":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    rb":/usr/bin/qemu-aarch64-static:F"
)
LOCK = Path("/run/lock/story-emulation")


class EmulationError(Exception):
    """The kernel takes no emulator; the message says why."""


def is_needed(architecture: str) -> bool:
    """Return whether programs of ``architecture``, by Debian's name, are emulated on this machine."""
    return architecture == "arm64" and os.uname().machine != "aarch64"


@contextlib.contextmanager
def emulation(*, binfmt: Path = BINFMT, lock: Path = LOCK) -> Iterator[None]:
    """Have the kernel run arm64's programs by QEMU, unless it does already; raises EmulationError. Needs root."""
    if (binfmt / SYSTEMS).exists():
        yield
        return
    with lock.open("a") as user:
        fcntl.flock(user, fcntl.LOCK_SH)
        _register(binfmt)
        try:
            yield
        finally:
            # Another one that uses it removes it at its own end.
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(user, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (binfmt / OURS).write_text("-1")


def _register(binfmt: Path) -> None:
    try:
        if not (binfmt / "register").exists():
            subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(binfmt)], check=True)
        if not (binfmt / OURS).exists():
            (binfmt / "register").write_bytes(_AARCH64)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmulationError(f"{binfmt}: arm64's programs cannot be registered: {error}") from error
