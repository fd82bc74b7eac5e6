"""The system calls on files below a simulated disk: carried out on real files, recorded, and made to fail.

The functions of `os` and `io` that change files are replaced for the whole process, so that no module can
go past them; paths that are on no simulated disk take the usual way.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

from tools.sim.disk import Disk, File, Folder, Left, Link, Node, Write
from tools.sim.life import Life, PowerCut, current

real = SimpleNamespace(
    open=os.open, close=os.close, write=os.write, pwrite=os.pwrite, pwritev=os.pwritev,
    fsync=os.fsync, fdatasync=os.fdatasync, ftruncate=os.ftruncate, truncate=os.truncate,
    replace=os.replace, rename=os.rename, unlink=os.unlink, remove=os.remove, mkdir=os.mkdir,
    rmdir=os.rmdir, link=os.link, symlink=os.symlink, fchmod=os.fchmod, chmod=os.chmod,
    io_open=io.open, statvfs=os.statvfs, fchown=os.fchown, dup=os.dup,
)  # fmt: skip
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_CREATE = os.O_CREAT
_WRITES = os.O_WRONLY | os.O_RDWR


@dataclass(eq=False, slots=True)
class Opened:
    """A file descriptor on a simulated disk."""

    mount: Mount
    node: Node
    path: str
    flags: int
    life: Life | None = None
    """The process that has it."""


class Mount:
    """One machine's disk: where its files are, what is recorded of them, and which faults it has.

    Attributes:
        steps: how many calls have changed something, or tried to.
        cut_at: the step at which the power goes; 0: it stays.
        full, read_only: what the disk refuses.
        on_cut: is called when the power goes.
        on_refusal: is called when something was not written, as the disk is full or read-only.
        log: the calls, for a trace, if it is wanted.
    """

    def __init__(self, root: str) -> None:
        """Use the empty folder ``root``."""
        self.root = root.rstrip("/")
        self.prefix = self.root + "/"
        self.disk = Disk()
        self.steps = 0
        self.cut_at = 0
        self.full = self.read_only = self.dead = False
        self.on_cut: Callable[[], None] = lambda: None
        self.on_refusal: Callable[[], None] = lambda: None
        self.log: list[str] | None = None
        self.free_bytes = 1 << 30
        self.watch: Callable[[str, str], None] | None = None

    def let_go(self) -> None:
        """Hold nothing of its world any more, after its end: connections of SQLite may outlive that."""
        self.dead, self.watch, self.disk = True, None, Disk()
        self.on_cut = self.on_refusal = lambda: None

    def relative(self, path: str) -> PurePosixPath:
        """Return a path below the root."""
        return PurePosixPath(path[len(self.prefix) :])

    def step(self, what: str, path: str) -> None:
        """Count a call; raises PowerCut when it is the last one."""
        if self.dead:
            raise PowerCut
        self.steps += 1
        if self.log is not None:
            self.log.append(f"{what} {path[len(self.prefix) :]}")
        if self.watch is not None:
            self.watch(what, path)
        if self.steps == self.cut_at:
            self.dead = True
            self.on_cut()
            raise PowerCut

    def admit(self, path: str, *, needs_room: bool) -> None:
        """Raise what the disk says to a change: OSError, or PowerCut after the end."""
        if self.dead:
            raise PowerCut
        refused = errno.EROFS if self.read_only else errno.ENOSPC if self.full and needs_room else 0
        if refused:
            self.on_refusal()
            raise OSError(refused, os.strerror(refused), path)

    def parent(self, path: str) -> tuple[Folder, str]:
        """Return the folder of a path and its name there."""
        relative = self.relative(path)
        return self.disk.folder(relative.parent), relative.name


class Raw(io.FileIO):
    """A file object whose writes are calls of `Calls`."""

    calls: Calls

    def write(self, data: Any, /) -> int:
        """Write at the current place."""
        return self.calls.write(self.fileno(), data)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the length."""
        wanted = self.tell() if size is None else size
        self.calls.ftruncate(self.fileno(), wanted)
        return wanted

    def close(self) -> None:
        """Close, and forget the descriptor."""
        if not self.closed and self.closefd:
            self.calls.opened.pop(self.fileno(), None)
        super().close()


class Calls:
    """The replaced functions; one for a process."""

    def __init__(self) -> None:
        """Know no disk yet."""
        self.mounts: list[Mount] = []
        self.opened: dict[int, Opened] = {}

    def at(self, path: Any) -> tuple[Mount, str] | None:
        """Return the disk that a path is on, and the path as text; None: no simulated one."""
        if isinstance(path, int) or not self.mounts:
            return None
        text = os.fspath(path)
        if isinstance(text, bytes):
            text = os.fsdecode(text)
        for mount in self.mounts:
            if text.startswith(mount.prefix):
                return mount, os.path.normpath(text)
            if text.rstrip("/") == mount.root:
                return mount, mount.root
        return None

    # Descriptors.

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """As os.open."""
        found = self.at(path)
        if found is None:
            return int(real.open(path, flags, mode, dir_fd=dir_fd))
        mount, text = found
        if mount.dead:
            raise PowerCut
        makes = False
        if flags & (_WRITES | _CREATE | os.O_TRUNC):
            makes = bool(flags & _CREATE) and not os.path.lexists(text)
            mount.admit(text, needs_room=makes)
        descriptor = int(real.open(text, flags & ~os.O_DIRECT, mode))
        try:
            node = self._node_of(mount, text, descriptor, flags, makes=makes)
        except BaseException:
            real.close(descriptor)
            raise
        self.opened[descriptor] = Opened(mount, node, text, flags, current())
        return descriptor

    def _node_of(
        self, mount: Mount, text: str, descriptor: int, flags: int, *, makes: bool
    ) -> Node:
        if makes:
            node: Node = File(mode=os.fstat(descriptor).st_mode & 0o7777)
            folder, name = mount.parent(text)
            folder.change({name: node}, f"create {name}")
            mount.step("create", text)
            return node
        found = mount.disk.root if text == mount.root else mount.disk.find(mount.relative(text))
        if found is None:
            raise KeyError(text)
        if flags & os.O_TRUNC and isinstance(found, File):
            found.pending.append(Write(0, None))
            mount.step("truncate", text)
        return found

    def close(self, descriptor: int) -> None:
        """As os.close."""
        self.opened.pop(descriptor, None)
        real.close(descriptor)

    def dup(self, descriptor: int) -> int:
        """As os.dup."""
        copy = int(real.dup(descriptor))
        if descriptor in self.opened:
            self.opened[copy] = self.opened[descriptor]
        return copy

    def write(self, descriptor: int, data: Any) -> int:
        """As os.write."""
        opened = self.opened.get(descriptor)
        if opened is None:
            return int(real.write(descriptor, data))
        whence = os.SEEK_END if opened.flags & os.O_APPEND else os.SEEK_CUR
        at = os.lseek(descriptor, 0, whence)
        written = self.write_at(opened, descriptor, bytes(data), at)
        os.lseek(descriptor, at + written, os.SEEK_SET)
        return written

    def write_at(self, opened: Opened, descriptor: int, data: bytes, at: int) -> int:
        """Write bytes at an offset, and record that."""
        opened.mount.admit(opened.path, needs_room=True)
        flags = opened.flags
        if flags & os.O_APPEND:
            written = int(real.write(descriptor, data))
        else:
            written = int(real.pwrite(descriptor, data, at))
        node = opened.node
        if isinstance(node, File):
            node.pending.append(Write(at, data[:written]))
            opened.mount.step("write", opened.path)
            if flags & (os.O_DSYNC | os.O_SYNC):
                node.sync()
        return written

    def pwrite(self, descriptor: int, data: Any, at: int) -> int:
        """As os.pwrite."""
        opened = self.opened.get(descriptor)
        if opened is None:
            return int(real.pwrite(descriptor, data, at))
        return self.write_at(opened, descriptor, bytes(data), at)

    def pwritev(self, descriptor: int, buffers: Any, at: int, flags: int = 0) -> int:
        """As os.pwritev."""
        opened = self.opened.get(descriptor)
        if opened is None:
            return int(real.pwritev(descriptor, buffers, at, flags))
        return self.write_at(opened, descriptor, b"".join(bytes(each) for each in buffers), at)

    def ftruncate(self, descriptor: int, length: int) -> None:
        """As os.ftruncate."""
        opened = self.opened.get(descriptor)
        if opened is not None:
            opened.mount.admit(opened.path, needs_room=False)
        real.ftruncate(descriptor, length)
        if opened is not None and isinstance(opened.node, File):
            opened.node.pending.append(Write(length, None))
            opened.mount.step("truncate", opened.path)

    def truncate(self, path: Any, length: int) -> None:
        """As os.truncate."""
        if self.at(path) is None:
            real.truncate(path, length)
            return
        descriptor = self.open(path, os.O_WRONLY)
        try:
            self.ftruncate(descriptor, length)
        finally:
            self.close(descriptor)

    def fsync(self, descriptor: Any) -> None:
        """As os.fsync."""
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        opened = self.opened.get(number)
        if opened is None:
            real.fsync(descriptor)
            return
        opened.mount.step("fsync", opened.path)
        if not isinstance(opened.node, Link):
            opened.node.sync()

    def fchmod(self, descriptor: int, mode: int) -> None:
        """As os.fchmod; a mode is durable at once, which spares the model a kind of change."""
        opened = self.opened.get(descriptor)
        if opened is not None and isinstance(opened.node, File):
            opened.node.mode = mode
        real.fchmod(descriptor, mode)

    # Names.

    def replace(self, source: Any, target: Any, **words: Any) -> None:
        """As os.replace and os.rename."""
        found, other = self.at(source), self.at(target)
        if found is None or other is None:
            real.replace(source, target, **words)
            return
        mount, old = found
        new = other[1]
        mount.admit(old, needs_room=False)
        real.replace(old, new)
        (before, name), (after, new_name) = mount.parent(old), mount.parent(new)
        node = before.live[name]
        what = f"rename {name} to {new_name}"
        if before is after:
            before.change({name: None, new_name: node}, what)
        else:
            after.change({new_name: node}, what)
            before.change({name: None}, what)
        mount.step("rename", new)

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        """As os.unlink."""
        found = self.at(path)
        if found is None:
            real.unlink(path, dir_fd=dir_fd)
            return
        self._take_away(*found, real.unlink, "unlink")

    def rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        """As os.rmdir."""
        found = self.at(path)
        if found is None:
            real.rmdir(path, dir_fd=dir_fd)
            return
        self._take_away(*found, real.rmdir, "rmdir")

    @staticmethod
    def _take_away(mount: Mount, text: str, remove: Callable[[str], None], what: str) -> None:
        mount.admit(text, needs_room=False)
        remove(text)
        folder, name = mount.parent(text)
        folder.change({name: None}, f"{what} {name}")
        mount.step(what, text)

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        """As os.mkdir."""
        found = self.at(path)
        if found is None:
            real.mkdir(path, mode, dir_fd=dir_fd)
            return
        self._add(*found, lambda text: real.mkdir(text, mode), Folder(mode=mode), "mkdir")

    def symlink(self, target: Any, path: Any, *_a: Any, **_words: Any) -> None:
        """As os.symlink."""
        found = self.at(path)
        if found is None:
            real.symlink(target, path)
            return
        made = Link(os.fspath(target))
        self._add(*found, lambda text: real.symlink(target, text), made, "symlink")

    def link(self, source: Any, path: Any, **_words: Any) -> None:
        """As os.link."""
        found, old = self.at(path), self.at(source)
        if found is None or old is None:
            real.link(source, path)
            return
        node = old[0].disk.find(old[0].relative(old[1]))
        self._add(*found, lambda text: real.link(source, text), node, "link")

    @staticmethod
    def _add(
        mount: Mount, text: str, make: Callable[[str], None], node: Node | None, what: str
    ) -> None:
        if os.path.lexists(text):  # a disk that is read-only says first that it is there
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), text)
        mount.admit(text, needs_room=True)
        make(text)
        folder, name = mount.parent(text)
        folder.change({name: node}, f"{what} {name}")
        mount.step(what, text)

    # File objects.

    def io_open(
        self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None,
        errors: str | None = None, newline: str | None = None, closefd: bool = True,  # noqa: FBT001, FBT002
        opener: Any = None,
    ) -> Any:  # fmt: skip
        """As io.open."""
        life = current()
        if file == _BOOT_ID or (life is not None and str(file) == _BOOT_ID):
            return io.StringIO(life.boot_id if life is not None else "boot")
        known = file in self.opened if isinstance(file, int) else self.at(file) is not None
        if not known:
            return real.io_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = self._raw(file, mode, opener or self._open_file, closefd=closefd)
        return _dressed(raw, mode, buffering, encoding, errors, newline)

    def _open_file(self, file: Any, flags: int) -> int:
        return self.open(file, flags, 0o666)

    def _raw(
        self, file: Any, mode: str, opener: Callable[[Any, int], int], *, closefd: bool
    ) -> Raw:
        kind = mode.replace("b", "").replace("t", "")
        flags = {
            "r": os.O_RDONLY, "r+": os.O_RDWR, "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
            "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC, "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
            "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND, "x": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
            "x+": os.O_RDWR | os.O_CREAT | os.O_EXCL,
        }[kind]  # fmt: skip
        number = file if isinstance(file, int) else opener(file, flags | os.O_CLOEXEC)
        plain = {"r": "rb", "r+": "rb+", "w": "wb", "w+": "rb+", "a": "ab", "a+": "ab+"}
        raw = Raw(number, plain.get(kind, "rb+" if "+" in kind else "wb"), closefd=closefd)
        raw.calls = self
        return raw

    def statvfs(self, path: Any) -> Any:
        """As os.statvfs: a simulated disk has the room that it is told to have."""
        found = None if isinstance(path, int) else self.at(path)
        if found is None:
            return real.statvfs(path)
        free = 0 if found[0].full else found[0].free_bytes // 4096
        told = list(real.statvfs(path))
        told[0], told[1] = 4096, 4096
        told[2], told[3], told[4] = max(told[2], free), free, free
        return os.statvfs_result(told)


def _dressed(
    raw: Raw,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> Any:
    """Return a raw file as io.open would: buffered, and as text if that is wanted."""
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    if raw.readable() and raw.writable():
        buffered: Any = io.BufferedRandom(raw, size)
    else:
        buffered = io.BufferedWriter(raw, size) if raw.writable() else io.BufferedReader(raw, size)
    if "b" in mode:
        return buffered
    text = io.TextIOWrapper(buffered, encoding, errors, newline, buffering == 1)
    text.mode = mode  # type: ignore[misc]  # as io.open does
    return text


def install() -> Calls:
    """Replace the functions of `os` and `io` for the rest of the process."""
    calls = Calls()
    for name in (
        "open", "close", "dup", "write", "pwrite", "pwritev", "fsync", "ftruncate", "truncate", "replace",
        "unlink", "mkdir", "rmdir", "link", "symlink", "fchmod", "statvfs",
    ):  # fmt: skip
        setattr(os, name, getattr(calls, name))
    os.rename, os.remove, os.fdatasync = calls.replace, calls.unlink, calls.fsync  # type: ignore[assignment]
    io.open = builtins.open = calls.io_open
    # Removing by descriptors of folders, and copying in the kernel, would go past us.
    shutil._use_fd_functions = False  # type: ignore[attr-defined]  # noqa: SLF001
    shutil._USE_CP_SENDFILE = False  # type: ignore[attr-defined]  # noqa: SLF001
    return calls


def bury(calls: Calls, mount: Mount, life: Life | None = None) -> None:
    """Close what a dead process had open: its numbers stay taken, so that no late close hits another file.

    ``life``: that one of several on the disk; None: all.
    """
    nothing = real.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number, opened in list(calls.opened.items()):
        if opened.mount is mount and (life is None or opened.life is life):
            os.dup2(nothing, number, inheritable=False)
            del calls.opened[number]
    real.close(nothing)


def lay_out(calls: Calls, mount: Mount, left: Left) -> Mount:
    """Put what a cut has left into the folder of ``mount``; return the disk of the next life."""
    calls.mounts.remove(mount)
    shutil.rmtree(mount.root)
    real.mkdir(mount.root, 0o750)
    fresh = Mount(mount.root)
    fresh.free_bytes, fresh.log, fresh.watch = mount.free_bytes, mount.log, mount.watch
    for path in left.folders:
        real.mkdir(mount.root + path, left.modes[path])
        _enter(fresh, path, Folder(mode=left.modes[path]))
    for path, data in left.files.items():
        descriptor = real.open(mount.root + path, os.O_WRONLY | os.O_CREAT, left.modes[path])
        real.write(descriptor, data)
        real.close(descriptor)
        _enter(fresh, path, File(bytearray(data), mode=left.modes[path]))
    for path, target in left.links.items():
        real.symlink(target, mount.root + path)
        _enter(fresh, path, Link(target))
    calls.mounts.append(fresh)
    mount.let_go()
    return fresh


def _enter(mount: Mount, path: str, node: Node) -> None:
    folder, name = mount.parent(mount.root + path)
    folder.durable[name] = node
    folder.live[name] = node
