"""Slot packages made by hand, and their installation."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import threading
from pathlib import Path
from typing import Any

from ota.install.installer import UnpackLimits
from ota.install.package import ReleaseInfo
from ota.install.slots import SlotInstaller
from ota.trust.target import Target

INFO = ReleaseInfo("story-machine", "1.1.0", ">=3.11", (), ("agent",), 0)
ENDLESS = 2**62
LIMITS = UnpackLimits()
Member = tuple[tarfile.TarInfo, bytes]


def target_of(package: Path, version: str = "1.1.0", sha256: str = "a" * 64) -> Target:
    size = package.stat().st_size
    return Target(f"story-machine/{version}.tar.gz", size, sha256, version, "story-machine")


def file(name: str, data: bytes = b"x", **fields: Any) -> Member:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, data


def pack(path: Path, *members: Member, info: ReleaseInfo | bytes | None = INFO) -> Path:
    """Write a package of exactly these members; release.json has the right counts."""
    size = sum(member.size for member, _data in members)
    if isinstance(info, ReleaseInfo):
        info = dataclasses.replace(info, unpacked_bytes=size).to_bytes()
    first = [] if info is None else [file("release.json", info)]
    with tarfile.open(path, "w:gz") as tar:
        for member, data in [*first, *members]:
            tar.addfile(member, io.BytesIO(data))
    return path


def install(
    state: Path, package: Path, limits: UnpackLimits = LIMITS, **changes: Any
) -> SlotInstaller:
    installer = SlotInstaller(state, limits, lambda _path: changes.pop("free", ENDLESS))
    target = dataclasses.replace(target_of(package), **changes.pop("target", {}))
    installer.install(package, target, threading.Event(), changes.pop("seen", lambda *_: None))
    return installer


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
