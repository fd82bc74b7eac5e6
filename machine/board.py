"""The board's name, from the device tree."""

from __future__ import annotations

from pathlib import Path

DEVICE_TREE = Path("/proc/device-tree")


def read_board(device_tree: Path = DEVICE_TREE) -> str:
    """Return the most specific name of the board, "" without a device tree.

    For example ``raspberrypi,3-model-b`` on a Raspberry Pi 3: the first string of the root node's
    ``compatible`` (Devicetree Specification 0.4, section 2.3.1).
    """
    try:
        names = (device_tree / "compatible").read_bytes().split(b"\0")
    except OSError:
        return ""
    return names[0].decode("ascii", "replace")
