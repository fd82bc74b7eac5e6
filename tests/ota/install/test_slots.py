"""The slots installer: attacks on unpacking, unfit releases, the switch, and its confirmation or undoing."""

from __future__ import annotations

import dataclasses
import errno
import tarfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from base.files import fsync_tree
from ota.errors import ContentError, NoSpaceError, StoppedError
from ota.install.installer import Standing, UnpackLimits
from ota.install.package import ReleaseInfo
from ota.install.slots import SlotInstaller
from ota.install.unpack import _Unpacker, inspect_package
from ota.launch import boot
from tests.ota.install.package_rig import (
    INFO,
    Member,
    file,
    install,
    pack,
    target_of,
    tree,
)
from wire.ota import OtaEvent


def test_a_package_becomes_a_release(tmp_path: Path) -> None:
    members = [file("lib/agent/__init__.py", b"v = 2\n"), file("lib/run", b"#!", mode=0o755)]
    package = pack(tmp_path / "p", *members)
    seen: list[tuple[int, int]] = []
    install(tmp_path, package, seen=lambda *step: seen.append(step))
    folder = boot.release_folder(tmp_path, "1.1.0")
    assert (folder / "lib/agent/__init__.py").read_bytes() == b"v = 2\n"
    assert (folder / "lib/run").stat().st_mode & 0o777 == 0o755
    assert tree(folder.parent) == {
        "1.1.0",
        *(f"1.1.0/{name}" for name in ("release.json", "package.json", "lib", "lib/run")),
        "1.1.0/lib/agent",
        "1.1.0/lib/agent/__init__.py",
        "1.1.0/signed",
        "1.1.0/signed/package.tar.gz",
    }
    assert seen[-1] == (package.stat().st_size, package.stat().st_size)
    assert boot.load(tmp_path) == boot.BootRecord()


ATTACKS: dict[str, tuple[list[Member], str]] = {
    "path escape": ([file("lib/../../evil")], "a way out"),
    "deep path escape": ([file("lib/a/../../../evil")], "a way out"),
    "absolute name": ([file("/tmp/evil")], "an absolute name"),
    "outside lib": ([file("evil")], "outside lib/"),
    "a second release.json": ([file("release.json", b"{}")], "outside lib/"),
    "symbolic link outside": (
        [file("lib/a", b"", type=tarfile.SYMTYPE, linkname="/etc"), file("lib/a/passwd")],
        "a link",
    ),
    "hard link outside": (
        [file("lib/a", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
        "a link",
    ),
    "character device": ([file("lib/a", b"", type=tarfile.CHRTYPE)], "neither file nor folder"),
    "block device": ([file("lib/a", b"", type=tarfile.BLKTYPE)], "neither file nor folder"),
    "named pipe": ([file("lib/a", b"", type=tarfile.FIFOTYPE)], "neither file nor folder"),
    "the same name twice": ([file("lib/a"), file("lib/a")], "taken already"),
}


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_attack_is_refused_and_leaves_nothing(tmp_path: Path, attack: str) -> None:
    members, reason = ATTACKS[attack]
    package = pack(tmp_path / "p", *members)
    for refuse in (lambda: install(tmp_path / "state", package), lambda: inspect_package(package)):
        with pytest.raises(ContentError, match=reason) as caught:
            refuse()
        assert caught.value.event is OtaEvent.UNPACK_FAIL
    assert tree(tmp_path / "state") == {"slots", "slots/releases"}
    assert not (tmp_path / "evil").exists()


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    package = pack(tmp_path / "p", file("lib/a"), file("lib/a/b"))
    with pytest.raises(ContentError, match="taken already"):
        install(tmp_path / "state", package)


@pytest.mark.parametrize(
    "limits", [UnpackLimits(files=2), UnpackLimits(bytes=20)], ids=["files", "bytes"]
)
def test_bombs(tmp_path: Path, limits: UnpackLimits) -> None:
    package = pack(tmp_path / "p", *[file(f"lib/{n}", b"0123456789") for n in range(3)])
    with pytest.raises(ContentError, match="package too big"):
        install(tmp_path / "state", package, limits)
    assert tree(tmp_path / "state") == {"slots", "slots/releases"}


@pytest.mark.parametrize(
    ("info", "named"),
    [
        (None, "first member"),
        (b"{", "not JSON"),
        (b"{}", "release.format"),
        (dataclasses.replace(INFO, product="toaster"), "release.product"),
        (dataclasses.replace(INFO, version="1.1.1"), "release.version"),
        (dataclasses.replace(INFO, version="../.."), "release.version"),
        (dataclasses.replace(INFO, requires_python=">=3.99"), "needs Python >=3.99"),
        (dataclasses.replace(INFO, requires=("nosuch==1.0",)), "nosuch==1.0"),
        (dataclasses.replace(INFO, requires=("urllib3==99.0",)), "urllib3==99.0"),
        (dataclasses.replace(INFO, requires=("a b",)), "release.requires"),
    ],
)
def test_a_release_that_is_not_the_signed_one_or_does_not_fit(
    tmp_path: Path, info: ReleaseInfo | bytes | None, named: str
) -> None:
    package = pack(tmp_path / "p", file("lib/a"), info=info)
    with pytest.raises(ContentError, match=named) as caught:
        install(tmp_path / "state", package)
    assert caught.value.event is OtaEvent.IMAGE_INVALID
    assert tree(tmp_path / "state") == {"slots", "slots/releases"}


def test_a_size_that_release_json_does_not_say(tmp_path: Path) -> None:
    package = pack(tmp_path / "p", file("lib/a"), info=INFO.to_bytes())
    with pytest.raises(ContentError, match=r"holds 1 bytes, release\.json says 0"):
        install(tmp_path / "state", package)


def test_too_little_space_is_said_before_unpacking(tmp_path: Path) -> None:
    package = pack(tmp_path / "p", file("lib/a", b"x" * 5000))
    with pytest.raises(NoSpaceError, match=r"needs \d+ bytes, has 7"):
        install(tmp_path / "state", package, free=7)


def test_a_disk_that_fills_up_frees_what_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_Unpacker, "_copy", full)
    package = pack(tmp_path / "p", file("lib/a", b"x" * 5000))
    with pytest.raises(NoSpaceError, match="no space: needs"):
        install(tmp_path / "state", package)
    assert tree(tmp_path / "state") == {"slots", "slots/releases"}


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    package = pack(tmp_path / "p", file("lib/a"))
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        SlotInstaller(tmp_path / "s").install(package, target_of(package), stop, lambda *_: None)
    assert tree(tmp_path / "s") == {"slots", "slots/releases"}


def test_an_installation_waits_for_one_that_was_stopped_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fsyncs of a slow card take longer than a cancelled order waits."""
    syncing, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> None:
        if not syncing.is_set():
            syncing.set()
            go_on.wait(60)
        fsync_tree(folder)

    monkeypatch.setattr("ota.install.slots.fsync_tree", slow)
    installer = SlotInstaller(tmp_path)
    outcome: dict[str, str] = {}

    def run(version: str, stop: threading.Event) -> None:
        info = dataclasses.replace(INFO, version=version)
        package = pack(tmp_path / version, file("lib/a", version.encode()), info=info)
        try:
            installer.install(package, target_of(package, version), stop, lambda *_: None)
            outcome[version] = "installed"
        except StoppedError:
            outcome[version] = "stopped"

    stop = threading.Event()
    first = threading.Thread(target=run, args=("1.1.0", stop))
    first.start()
    assert syncing.wait(60)
    stop.set()
    second = threading.Thread(target=run, args=("1.2.0", threading.Event()))
    second.start()
    second.join(0.3)  # a conflicting step would have begun by then
    go_on.set()
    first.join(60)
    second.join(60)
    assert outcome == {"1.1.0": "stopped", "1.2.0": "installed"}
    releases = tmp_path / "slots/releases"
    assert [path.name for path in releases.iterdir()] == ["1.2.0"]
    assert (releases / "1.2.0/lib/a").read_text() == "1.2.0"


def test_installing_again_does_nothing_but_another_build_replaces(tmp_path: Path) -> None:
    package = pack(tmp_path / "p", file("lib/a", b"first"))
    install(tmp_path, package)
    module = boot.release_folder(tmp_path, "1.1.0") / "lib/a"
    before = module.stat().st_ino
    install(tmp_path, package)
    assert module.stat().st_ino == before
    second = pack(tmp_path / "q", file("lib/a", b"second"))
    install(tmp_path, second, target={"sha256": "b" * 64})
    assert module.read_bytes() == b"second"


def test_what_a_crash_left_is_cleared(tmp_path: Path) -> None:
    releases = tmp_path / "slots/releases"
    for name in (".unpack/lib/old", ".removed/lib/old"):
        (releases / name).mkdir(parents=True)
    install(tmp_path, pack(tmp_path / "p", file("lib/a")))
    assert not (releases / ".unpack").exists()
    assert not (releases / "1.1.0/lib/old").exists()


def test_switch_confirm_and_collect_keep_active_and_previous(tmp_path: Path) -> None:
    installer = SlotInstaller(tmp_path)
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        package = pack(
            tmp_path / "p", file("lib/a"), info=dataclasses.replace(INFO, version=version)
        )
        target = target_of(package, version)
        installer.install(package, target, threading.Event(), lambda *_: None)
        installer.activate(version, f"T{version}")
        trial = installer.standing().trial
        assert trial is not None
        assert (trial.version, trial.transaction) == (version, f"T{version}")
        installer.confirm()
        assert installer.standing().trial is None
        installer.collect(running=version)
    releases = tmp_path / "slots/releases"
    assert {path.name for path in releases.iterdir()} == {"1.2.0", "1.3.0"}
    assert (tmp_path / "slots/current").readlink() == Path("releases/1.3.0")


def test_roll_back_goes_to_the_previous_and_then_to_the_base(tmp_path: Path) -> None:
    installer = SlotInstaller(tmp_path)
    installer.activate("1.1.0", "76")
    installer.confirm()
    installer.activate("1.2.0", "77")
    installer.roll_back("no link")
    assert boot.load(tmp_path).active == "1.1.0"
    assert installer.standing().last_rollback == boot.Rollback("1.2.0", "no link", "77")
    installer.roll_back("nothing is on trial")
    assert boot.load(tmp_path).active == "1.1.0"
    installer.activate("1.2.0", "78")
    assert installer.standing().last_rollback is None


def test_a_damaged_record_never_costs_a_release(tmp_path: Path) -> None:
    installer = install(tmp_path, pack(tmp_path / "p", file("lib/a")))
    (tmp_path / "slots/boot.json").write_text("{")
    installer.collect(running="1.0.0")
    assert boot.release_folder(tmp_path, "1.1.0").is_dir()
    assert installer.standing() == Standing(record_lost=True)


def test_a_damaged_record_is_not_confirmed_as_the_base(tmp_path: Path) -> None:
    """A valid record that names no version would be the base for good; what is damaged is found, and repaired."""
    installer = SlotInstaller(tmp_path)
    installer.activate("1.1.0", "76")
    (tmp_path / "slots/boot.json").write_text("{")
    installer.confirm()
    assert installer.standing() == Standing(record_lost=True)
    installer.activate("1.1.0", "77")
    installer.confirm()
    assert boot.load(tmp_path) == boot.BootRecord("1.1.0")


def test_a_record_that_is_not_there_is_not_lost(tmp_path: Path) -> None:
    assert SlotInstaller(tmp_path).standing() == Standing()


def test_a_disk_without_inodes_is_told_before_the_clean_up_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = tmp_path / "state/slots/releases/.unpack"

    def statvfs(_path: object) -> Any:
        return SimpleNamespace(f_files=300, f_favail=0 if unpacked.exists() else 300)

    def full(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ota.space.os.statvfs", statvfs)
    monkeypatch.setattr(_Unpacker, "_copy", full)
    package = pack(tmp_path / "p", file("lib/a", b"x" * 5000))
    with pytest.raises(NoSpaceError, match="takes no more files"):
        install(tmp_path / "state", package)


@pytest.mark.parametrize("damage", [b"", b"y" * 5000])
def test_a_release_that_was_damaged_is_unpacked_again(tmp_path: Path, damage: bytes) -> None:
    state, digest = tmp_path / "state", "b" * 64
    (state / "ota" / "metadata").mkdir(parents=True)
    package = pack(tmp_path / "p", file("lib/a", b"x" * 5000))
    install(state, package, target={"sha256": digest})
    path = state / "slots/releases/1.1.0/lib/a"
    inode = path.stat().st_ino
    install(state, package, target={"sha256": digest})
    assert path.stat().st_ino == inode  # what is whole stays
    path.write_bytes(damage)
    install(state, package, target={"sha256": digest})
    assert path.read_bytes() == b"x" * 5000
