"""Files and links that are replaced atomically."""

from __future__ import annotations

import errno
import gc
import os
import re
import stat
from pathlib import Path

import pytest

from base.files import (
    Replacement,
    fsync_tree,
    make_folder,
    read_given,
    read_record,
    replace_symlink,
    write_atomically,
)
from tests.base.recorded import LINK, REMOVE, RENAME, SYNC, Recorder


def test_a_failed_replacement_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old", mode=0o600)
    with pytest.raises(TypeError), Replacement(path) as file:
        file.write(b"half" + bytes(None))  # type: ignore[call-overload]
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_person_names_may_be_a_pipe_and_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    os.mkfifo(tmp_path / "nobody-writes")
    reading, writing = os.pipe()
    os.write(writing, b"123")
    os.close(writing)
    assert read_given(tmp_path / "file", 5) == b"12345"
    assert read_given(Path(f"/dev/fd/{reading}"), 5) == b"123"
    assert read_given(tmp_path / "nobody-writes", 5) == b""
    os.close(reading)
    for path, said in (
        (tmp_path / "file", "more than 4 bytes"), (Path("/dev/zero"), "no regular file"),
        (tmp_path, "Is a directory"), (tmp_path / "none", "No such file"),
    ):  # fmt: skip
        with pytest.raises(OSError, match=said):
            read_given(path, 4)


def test_a_device_or_a_link_to_one_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, target in (("null", "/dev/null"), ("piped", "pipe"), ("folder", ".")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(OSError, match=f"no regular file.*{name}"):
            write_atomically(tmp_path / name, b"")
    assert (tmp_path / "null").is_symlink()


def test_a_file_that_cannot_be_begun_is_named_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        write_atomically(tmp_path / "missing" / "file", b"")
    assert raised.value.filename == str(tmp_path / "missing" / "file")


def test_a_stale_temp_file_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".file.tmp").write_bytes(b"of a crash")
    write_atomically(tmp_path / "file", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_the_next_writer_has_begun_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def replaced(temp: Path, target: Path) -> Path:
        done = real(temp, target)
        temp.write_bytes(b"the next")
        return done

    monkeypatch.setattr(Path, "replace", replaced)
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / ".file.tmp").read_bytes() == b"the next"


def test_a_link_to_a_file_is_replaced_and_the_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"old")
    (tmp_path / "link").symlink_to("other")
    write_atomically(tmp_path / "link", b"new")
    assert not (tmp_path / "link").is_symlink()
    assert [(tmp_path / name).read_bytes() for name in ("link", "other")] == [b"new", b"old"]


def test_nobody_else_may_write_into_a_new_folder_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_folder(tmp_path / "above" / "folder")
        make_folder(tmp_path / "shared", mode=0o770)
    finally:
        os.umask(before)
    modes = [
        (tmp_path / name).stat().st_mode & 0o777 for name in ("above", "above/folder", "shared")
    ]
    assert modes == [0o755, 0o755, 0o770]


def test_permissions_are_those_that_were_asked_for_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "open", b"1")
        write_atomically(tmp_path / "shared", b"1", mode=0o660)
        with Replacement(tmp_path / "plain") as file:
            file.write(b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "open").stat().st_mode & 0o7777 == 0o644
    assert (tmp_path / "plain").stat().st_mode & 0o7777 == 0o644
    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o660


def test_a_file_has_its_owner_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []

    def give(_descriptor: int, user: int, group: int) -> None:
        assert not (tmp_path / "theirs").exists()
        given.append((user, group))

    monkeypatch.setattr(os, "fchown", give)
    write_atomically(tmp_path / "ours", b"1")
    write_atomically(tmp_path / "theirs", b"1", owner=(998, 997))
    assert given == [(998, 997)]
    assert (tmp_path / "theirs").read_bytes() == b"1"


def descriptors() -> int:
    """Return how many files this process has open and still uses."""
    gc.collect()  # a test before may have left some to the collector, which comes at any time
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a Path's own would be counted


def test_a_file_that_cannot_be_given_to_its_owner_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError("not the root")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fchown", refuse)
    before = descriptors()
    with pytest.raises(PermissionError, match="not the root") as refused:
        write_atomically(tmp_path / "file", b"new", owner=(998, 997))
    assert descriptors() == before
    assert refused.tb  # its frames would keep the file open
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_a_stale_link_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".current.tmp").symlink_to("of a crash")
    replace_symlink(tmp_path / "current", "a")
    assert {path.name: path.readlink() for path in tmp_path.iterdir()} == {"current": Path("a")}
    replace_symlink(tmp_path / "never there", None)


def test_a_link_is_switched_and_removed(tmp_path: Path) -> None:
    link = tmp_path / "current"
    for target in ("a", "b"):
        replace_symlink(link, target)
        assert link.readlink() == Path(target)
    replace_symlink(link, None)
    assert not link.is_symlink()


def test_a_file_is_on_the_disk_whole_before_it_has_its_name_and_the_name_is_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path, monkeypatch)
    write_atomically(tmp_path / "record", b"12345")
    assert recorder.calls == [
        (SYNC, ".record.tmp", 5), (RENAME, ".record.tmp", "record", 5), (SYNC, ".", None)
    ]  # fmt: skip


def test_a_link_is_durable_in_its_folder_and_so_is_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path, monkeypatch)
    replace_symlink(tmp_path / "current", "a")
    assert recorder.calls == [
        (LINK, ".current.tmp"), (RENAME, ".current.tmp", "current", None), (SYNC, ".", None)
    ]  # fmt: skip
    recorder.calls.clear()
    replace_symlink(tmp_path / "current", None)
    assert recorder.calls == [(REMOVE, "current"), (SYNC, ".", None)]


def test_a_tree_is_on_the_disk_file_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_bytes(b"123")
    recorder = Recorder(tmp_path, monkeypatch)
    fsync_tree(tmp_path)
    assert recorder.calls == [(SYNC, "a/file", 3), (SYNC, "a", None), (SYNC, ".", None)]


def test_a_record_that_was_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "record").write_bytes(b"1")
    before = descriptors()
    read_record(tmp_path / "record")
    with pytest.raises(OSError, match="more than 0 bytes"):
        read_record(tmp_path / "record", 0)
    assert descriptors() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_no_file_to_replace(tmp_path: Path) -> None:
    device = tmp_path / "null"
    os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    with pytest.raises(OSError, match="no regular file"):
        write_atomically(device, b"1")
    assert stat.S_ISCHR(device.stat().st_mode)


def test_each_new_folder_is_durable_in_the_one_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr("base.files.fsync_path", flushed.append)
    make_folder(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
    assert flushed == [tmp_path.parent, tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a/b")
    make_folder(tmp_path / "a/c")
    assert flushed[3:] == [tmp_path / "a"]


def test_a_folder_that_whoever_made_it_may_not_have_synced_is_durable_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill comes between the two calls; what the next process puts into the folder must not go with it."""

    def killed(_path: Path) -> None:
        raise KeyboardInterrupt

    make_folder(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("base.files.fsync_path", killed)
        with pytest.raises(KeyboardInterrupt):
            make_folder(tmp_path / "a/b/c")
    assert not (tmp_path / "a/b").exists()  # of those above, none is left without its sync
    flushed: list[Path] = []
    monkeypatch.setattr("base.files.fsync_path", flushed.append)
    make_folder(tmp_path / "a/b/c")
    assert flushed == [tmp_path, tmp_path / "a", tmp_path / "a/b"]
    (tmp_path / "d").mkdir()  # as a service manager or an older version does
    make_folder(tmp_path / "d")
    make_folder(tmp_path / "d")
    assert flushed[3:] == [tmp_path]


def test_folders_that_were_synced_are_remembered_up_to_a_limit_and_synced_again_beyond_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("base.files.SETTLED_MAX", 3)
    monkeypatch.setattr("base.files._settled", known := set[Path]())
    for number in range(8):
        make_folder(tmp_path / str(number))
        assert len(known) <= 3
    flushed: list[Path] = []
    monkeypatch.setattr("base.files.fsync_path", flushed.append)
    make_folder(tmp_path / "0")
    assert flushed == [tmp_path]


def test_a_folder_that_is_there_is_used_though_the_one_above_it_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a").mkdir()
    monkeypatch.setattr("base.files.fsync_path", refuse)
    make_folder(tmp_path / "a")
    with pytest.raises(PermissionError):  # nobody knows whether a new one would stay
        make_folder(tmp_path / "a/b")


def test_a_new_folder_has_the_mode_that_is_asked_for_and_those_above_it_have_the_usual_one(
    tmp_path: Path,
) -> None:
    before = os.umask(0o022)
    try:
        make_folder(tmp_path / "a/b", mode=0o750)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o755, 0o750]  # fmt: skip


def test_a_tree_is_flushed_from_its_leaves_up_without_its_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").touch()
    (tmp_path / "a/link").symlink_to("/nowhere")
    flushed: list[Path] = []
    monkeypatch.setattr("base.files.fsync_path", flushed.append)
    fsync_tree(tmp_path)
    assert flushed == [tmp_path / "a/file", tmp_path / "a", tmp_path]


def test_a_folder_above_that_cannot_be_synced_is_nobodys_fault_and_one_whose_disk_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("base.files._settled", set[Path]())
    faults = [errno.EACCES, errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.EROFS]
    of_disk = [errno.EIO, errno.ENOSPC, errno.EDQUOT]
    left = iter([*faults, *of_disk])

    def sync(path: Path) -> None:
        if path == tmp_path.parent:
            fault = next(left)
            raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr("base.files.fsync_path", sync)
    for _ in faults:
        make_folder(tmp_path)
    for fault in of_disk:
        with pytest.raises(OSError, match=re.escape(os.strerror(fault))):
            make_folder(tmp_path)


def test_a_record_has_8_mib_at_most(tmp_path: Path) -> None:
    (tmp_path / "largest").touch()
    os.truncate(tmp_path / "largest", 8_388_608)
    assert len(read_record(tmp_path / "largest")) == 8_388_608
    os.truncate(tmp_path / "largest", 8_388_609)
    with pytest.raises(OSError, match="more than 8388608 bytes"):
        read_record(tmp_path / "largest")


def test_a_record_is_a_regular_file_of_a_bounded_size(tmp_path: Path) -> None:
    record = tmp_path / "record"
    record.write_bytes(b"12345")
    assert read_record(record, limit=5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_record(record, limit=4)
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="no regular file"):
            read_record(other)


@pytest.mark.parametrize("stands", ["file", "link to nothing"])
def test_what_is_no_folder_is_told_as_that(tmp_path: Path, stands: str) -> None:
    """Of "File exists" nobody learns what was expected."""
    place = tmp_path / "place"
    if stands == "file":
        place.write_bytes(b"x")
    else:
        place.symlink_to("nothing")
    with pytest.raises(NotADirectoryError, match=f"Not a directory: .*{place}"):
        make_folder(place)


def test_a_folder_in_the_place_of_a_file_is_named_and_not_what_was_written_beside_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "record" / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as caught:
        write_atomically(tmp_path / "record", b"x")
    assert caught.value.filename == str(tmp_path / "record")
    assert [path.name for path in tmp_path.iterdir()] == ["record"]


@pytest.mark.parametrize("size", [10, 1_000_000], ids=["at the flush", "at a write"])
def test_a_full_disk_names_the_file_that_has_no_room(tmp_path: Path, size: int) -> None:
    """The system's error of a write has no name: whoever reads it learns of no disk."""
    path = tmp_path / "record"
    path.write_bytes(b"old")

    def write() -> None:
        with Replacement(path) as file:
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, file._file.fileno())
            os.close(full)
            file.write(b"x" * size)

    with pytest.raises(OSError, match="No space left on device") as caught:
        write()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("record", b"old")]
