"""Which board this is, in the device tree's words."""

from __future__ import annotations

from pathlib import Path

DEVICE_TREE = Path("/proc/device-tree")


def read_board(device_tree: Path = DEVICE_TREE) -> str:
    """Return the most exact name of the board, "" where there is no device tree.

    On a Raspberry Pi 3 it is ``raspberrypi,3-model-b``: the first string of the root node's
    ``compatible`` (Devicetree Specification 0.4, section 2.3.1).
    """
    try:
        names = (device_tree / "compatible").read_bytes().split(b"\0")
    except OSError:
        return ""
    return names[0].decode("ascii", "replace")
