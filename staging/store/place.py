"""What lies in the place of a SQLite store, before it is opened: SQLite says of most of it that it is "unable to open".

A folder, a pipe, a link that leads nowhere or a file of somebody else's is told as what it is, and nothing is changed. The
files beside it, which SQLite makes itself, are looked at too.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# What SQLite keeps beside its file.
BESIDE = ("-wal", "-shm", "-journal")


class Fault(NamedTuple):
    """What is wrong, and what to do about it, in both languages; each follows the file's name and a colon."""

    zh: str
    en: str


_KINDS: tuple[tuple[Callable[[int], bool], str, str], ...] = (
    (stat.S_ISDIR, "是一个文件夹", "is a folder"),
    (stat.S_ISFIFO, "是一个管道", "is a pipe"),
    (stat.S_ISSOCK, "是一个套接字", "is a socket"),
    (stat.S_ISCHR, "是一个设备", "is a device"),
    (stat.S_ISBLK, "是一个设备", "is a device"),
)


def find_fault(path: Path) -> tuple[Path, Fault] | None:
    """Return what cannot be opened as a store, and why; None: nothing is wrong, or nothing is there.

    ``path`` may be a link to a store elsewhere.
    """
    fault = _fault_of_folder(path) or _fault_of_link(path) or _fault_of(path, stores=True)
    if fault is not None:
        return path, fault
    for end in BESIDE:
        beside = log_of(path, end)
        if (fault := _fault_of(beside, stores=False)) is not None:
            return beside, fault
    return None


def log_of(path: Path, end: str) -> Path:
    """Return the file that SQLite keeps beside a store, where that is itself."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + end)


def _fault_of_folder(path: Path) -> Fault | None:
    folder = path.parent
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Fault(
            f"文件夹 {folder} 不存在：请先建立它，或改正 --database",
            f"its folder {folder} is not there: make it, or put --database right",
        )
    except OSError as error:
        return Fault(
            f"文件夹 {folder} 打不开（{error.strerror}）",
            f"its folder {folder} cannot be looked into: {error.strerror}",
        )
    if not stat.S_ISDIR(mode):
        return Fault(
            f"{folder} 不是文件夹：请改正 --database",
            f"{folder} is no folder: put --database right",
        )
    if not os.access(folder, os.W_OK | os.X_OK) and not _is_mounted_readonly(folder):
        return _forbidden(
            folder,
            f"当前用户不能写它的文件夹 {folder}",
            f"its folder {folder} may not be written by this user",
        )
    return None


def _fault_of_link(path: Path) -> Fault | None:
    if not path.is_symlink():
        return None
    leads = path.readlink()
    try:
        target = Path(os.path.realpath(path, strict=True))
    except FileNotFoundError:
        target = Path(os.path.realpath(path))
        if target.parent.is_dir():
            return None  # a store is made there, or missed
        return Fault(
            f"是指向 {leads} 的链接，而那里的文件夹不存在：请接上那个磁盘，或去掉链接后用 `story-cloud restore FILE` 恢复备份",
            f"is a link to {leads}, whose folder is not there: mount that disk; or remove the link, and put a backup back "
            "with `story-cloud restore FILE`",
        )
    except OSError as error:
        return Fault(
            f"是指向 {leads} 的链接，走不到头（{error.strerror}）：请去掉链接，再用 `story-cloud restore FILE` 恢复备份",
            f"is a link to {leads} that leads nowhere ({error.strerror}): remove it, and put a backup back with "
            "`story-cloud restore FILE`",
        )
    return _fault_of_folder(target)


def _fault_of(path: Path, *, stores: bool) -> Fault | None:
    """Return what is wrong with a file; ``stores``: with a store, else with what SQLite keeps beside it."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        return Fault(f"打不开（{error.strerror}）", f"cannot be looked at: {error.strerror}")
    for is_kind, zh, en in _KINDS:
        if is_kind(mode):
            return _other_kind(zh, en, stores=stores)
    if not os.access(path, os.R_OK):
        return _forbidden(path, "当前用户不能读", "may not be read by this user")
    if not os.access(path, os.W_OK) and not _is_mounted_readonly(path):
        return _forbidden(path, "当前用户不能写", "may not be written by this user")
    return None


def _other_kind(zh: str, en: str, *, stores: bool) -> Fault:
    if stores:
        return Fault(
            f"{zh}，不是数据库文件：请把它移走；原来有数据库的，再用 `story-cloud restore FILE` 恢复备份",
            f"{en}, expected the store's file: move it away; if there was a store, put a backup back with "
            "`story-cloud restore FILE`",
        )
    return Fault(
        f"{zh}，应为 SQLite 自己的文件：请把它移走，把原来的文件放回来；已经没有的，用 `story-cloud restore FILE` 恢复备份",
        f"{en}, expected SQLite's own file: move it away and put back what was there; if that is lost, put a backup back "
        "with `story-cloud restore FILE`",
    )


def _forbidden(path: Path, zh: str, en: str) -> Fault:
    found = path.stat()
    owner, mode = _name_of(found.st_uid), f"{stat.S_IMODE(found.st_mode):04o}"
    me = _name_of(os.geteuid())
    return Fault(
        f"{zh}（属于 {owner}，权限 {mode}，当前用户 {me}）：请以 {owner} 运行，或用 chown、chmod 给 {me} 权限",
        f"{en} (it is {owner}'s, mode {mode}; this is {me}): run this as {owner}, or give {me} the right with chown or chmod",
    )


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _is_mounted_readonly(path: Path) -> bool:
    """Return whether nobody can write there: commands may read, and whoever writes is told by the system."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
