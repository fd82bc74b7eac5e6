"""Bits of a simulated disk's files that are others while a process runs: who reads one next from the disk has that."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import PurePosixPath

from tools.sim.calls import Mount, real
from tools.sim.disk import File, choose_bit, rot


def rot_one(
    mount: Mount,
    chance: float,
    is_meant: Callable[[str], bool],
    aim: Callable[[str, int, int], int] = lambda _path, at, _size: at,
) -> str | None:
    """Change a bit of one of the files that are ``is_meant``, by their paths; return which, None without any.

    ``aim``: the byte in the place of another one of a file, by its path and size; one behind its end is not taken.
    """
    disk = mount.disk
    files = {
        path: node
        for path, node in disk.walk()
        if isinstance(node, File) and disk.find(PurePosixPath(path[1:])) is node and is_meant(path)
    }
    sizes = {path: os.stat(mount.root + path).st_size for path in files}  # noqa: PTH116  # a text
    chosen = choose_bit(sizes, chance)
    if chosen is None:
        return None
    path, at, mask = chosen
    aimed = aim(path, at, sizes[path])
    at = aimed if aimed < sizes[path] else at
    rot(files[path], at, mask)
    descriptor = real.open(mount.root + path, os.O_RDWR)
    real.pwrite(descriptor, bytes([os.pread(descriptor, 1, at)[0] ^ mask]), at)
    real.close(descriptor)
    return path
