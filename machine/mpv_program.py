"""Which program is mpv on this machine: the program itself, or the library in a child of ours."""

from __future__ import annotations

import sys
from pathlib import Path

from machine.programs import find_on_path

PROGRAM = "mpv"
LIBMPV_CHILD = str(Path(__file__).with_name("libmpv_child.py"))


def find_program() -> list[str]:
    """Return the command that runs mpv, an empty list if neither mpv nor libmpv is installed.

    Machines that were set up for an earlier version have libmpv alone, and an update of the agent
    cannot install mpv.
    """
    if found := find_on_path(PROGRAM):
        return [found]
    import ctypes.util  # noqa: PLC0415  # most machines have the program

    if ctypes.util.find_library("mpv"):
        return [sys.executable, "-I", "-S", LIBMPV_CHILD]
    return []
