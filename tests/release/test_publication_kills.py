"""story-release killed at any write to the disk while keys change, then repeated; devices that looked in between."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError
from ota.trust.client import TrustSettings, find_target
from ota.trust.target import Target
from release.errors import ReleaseToolError
from release.package_files import AddedTarget, describe
from release.publication import Outcome
from release.repository import Repository
from release.role_keys import KeyCount

PRODUCT = "story-machine"


# More writes than any command makes.
POINTS = 40


class Death(BaseException):
    """Stands for the kill of the tool."""


@contextmanager
def killed_at(point: int) -> Iterator[list[str]]:
    """Raise instead of the write (or removal) with this number; yields the files written before it."""
    done: list[str] = []
    patch = pytest.MonkeyPatch()

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def act(self: Path, *arguments: Any, **options: Any) -> Any:
            if self.name.endswith(".tmp") and real.__name__ == "unlink":
                return real(self, *arguments, **options)
            if len(done) == point:
                raise Death
            done.append(str(arguments[0]) if real.__name__ == "replace" else f"-{self}")
            return real(self, *arguments, **options)

        return act

    patch.setattr(Path, "replace", deadly(Path.replace))
    patch.setattr(Path, "unlink", deadly(Path.unlink))
    try:
        yield done
    finally:
        patch.undo()


class Bench:
    """A repository, restored to its first state for each kill, and a device that uses it."""

    def __init__(self, server: Any, folder: Path, helpers: Any) -> None:
        self.server, self.folder, self.helpers = server, folder, helpers
        self.repo = Repository(server.root, folder / "keys")
        self.repo.create()
        self.added = self.repo.add(self.package("1.1.0"), PRODUCT, "1.1.0")[0]
        shutil.copytree(server.root, folder / "first")
        shutil.copytree(folder / "keys", folder / "first-keys")

    def reset(self) -> None:
        for name, source in ((self.server.root, "first"), ("keys", "first-keys")):
            shutil.rmtree(self.folder / name)
            shutil.copytree(self.folder / source, self.folder / name)
        shutil.rmtree(self.folder / "device", ignore_errors=True)
        self.repo = Repository(self.server.root, self.folder / "keys")

    def package(self, version: str) -> Path:
        made: Path = self.helpers.make_package(self.folder / f"{version}.tar.gz", version)
        return made

    def device(self, added: AddedTarget | None = None) -> Target:
        """Return the result of an order on a machine with the first root and its earlier metadata."""
        shipped = self.folder / "first/metadata/1.root.json"
        settings = TrustSettings(PRODUCT, self.server.url, shipped, self.folder / "device")
        order = self.helpers.order_for(added or self.added, self.server.url)
        return find_target(settings, order, "1.0.0", threading.Event())

    def describe(self, version: str) -> AddedTarget:
        return describe(self.package(version), PRODUCT, version)


@pytest.fixture
def bench(server: Any, tmp_path: Path, helpers: Any) -> Bench:
    return Bench(server, tmp_path, helpers)


def rotate(repo: Repository, role: str) -> Outcome:
    """Do what `key rotate ROLE` (for a product `key add`) does, with a new key each time."""
    fresh = Repository(repo.folder, repo.keys.folder)
    return fresh.change_keys(role, 1, () if role == PRODUCT else None)


@pytest.mark.long
@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", PRODUCT])
def test_a_kill_at_any_write_of_a_rotation(bench: Bench, role: str) -> None:
    """After the repetition a device that read in between, and one that did not, can update."""
    for point in range(POINTS):
        bench.reset()
        try:
            with killed_at(point) as done:
                rotate(bench.repo, role)
        except Death:
            pass
        else:
            break
        # Between the new root and its keys' signatures a device refuses, but must recover later.
        with contextlib.suppress(ContentError):
            bench.device()
        assert rotate(bench.repo, role).staged == {}, done
        assert bench.repo.verify()["targets"] == 1, done
        bench.device()
        # One more root: a device that follows a different root of the same version would fail here.
        assert rotate(bench.repo, "timestamp").staged == {}, done
        added, _ = Repository(bench.repo.folder, bench.folder / "keys").add(
            bench.package("1.2.0"), PRODUCT, "1.2.0"
        )
        assert bench.device(added).version == "1.2.0", done
        assert bench.device().version == "1.1.0", done
        shutil.rmtree(bench.folder / "device")
        assert bench.device(added).version == "1.2.0", done
        assert not list(bench.repo.folder.glob("staged/*")), done
    assert 4 <= point < POINTS - 1


def test_a_root_that_is_out_before_the_rest_is_told_and_finished(bench: Bench) -> None:
    for point in range(POINTS):
        bench.reset()
        with contextlib.suppress(Death), killed_at(point):
            rotate(bench.repo, "timestamp")
        if (bench.repo.metadata_dir / "2.root.json").exists():
            break
    with pytest.raises(ReleaseToolError, match=r"2\.root\.json: is out before what belongs to it"):
        bench.repo.verify()
    key = next((bench.folder / "keys").glob("timestamp-*.pem"))
    away = key.rename(bench.folder / key.name)
    with pytest.raises(ReleaseToolError, match="interrupted change of keys is to be published"):
        Repository(bench.repo.folder, bench.folder / "keys").refresh()
    away.rename(key)
    assert Repository(bench.repo.folder, bench.folder / "keys").publish().published == ("root",)
    assert bench.repo.verify()["valid"]
    assert bench.device().version == "1.1.0"


def apart(bench: Bench) -> Path:
    """Move the targets key to its holder; returns the holder's folder."""
    holder = bench.folder / "holder"
    shutil.rmtree(holder, ignore_errors=True)
    holder.mkdir()
    (bench.folder / "keys/targets.pem").rename(holder / "targets.pem")
    return holder


@pytest.mark.parametrize("role", ["targets", PRODUCT])
def test_a_kill_at_any_write_of_what_waits_for_signatures(bench: Bench, role: str) -> None:
    """A half-staged change must not lose the other half's content."""
    for point in range(POINTS):
        bench.reset()
        holder = apart(bench)
        try:
            with killed_at(point) as done:
                rotate(bench.repo, role)
                Repository(bench.repo.folder, holder).sign()
                Repository(bench.repo.folder, bench.folder / "keys").publish()
        except Death:
            pass
        else:
            break
        rotate(bench.repo, role)
        assert Repository(bench.repo.folder, holder).sign().published == (), done
        bench.repo = Repository(bench.repo.folder, bench.folder / "keys")
        assert bench.repo.publish().staged == {}, done
        assert bench.repo.verify()["targets"] == 1, done
        assert bench.device().version == "1.1.0", done
        bench.repo.add(bench.package("1.2.0"), PRODUCT, "1.2.0")
        Repository(bench.repo.folder, holder).sign()
        bench.repo.publish()
        assert bench.repo.verify()["targets"] == 2, done
        for version in ("1.1.0", "1.2.0"):  # a device keeps its metadata, so versions must increase
            assert bench.device(bench.describe(version)).version == version, done
    assert 4 <= point < POINTS - 1


def test_a_draft_that_nobody_delegates_to_is_no_hindrance(bench: Bench) -> None:
    """The kill was between the draft of a product and that of targets."""
    holder = apart(bench)
    with contextlib.suppress(Death), killed_at(2):
        rotate(bench.repo, PRODUCT)
    assert [path.name for path in bench.repo.folder.glob("staged/*")] == [f"{PRODUCT}.json"]
    assert bench.repo.show()["staged"] == {}
    assert Repository(bench.repo.folder, holder).sign().staged == {}
    assert not list(bench.repo.folder.glob("staged/*"))


def test_a_kill_at_any_write_of_init(tmp_path: Path) -> None:
    for point in range(POINTS):
        folder, keys = tmp_path / f"repo-{point}", tmp_path / f"keys-{point}"
        counts = {"root": KeyCount(2, 2)}
        try:
            with killed_at(point):
                Repository(folder, keys).create(counts)
        except Death:
            Repository(folder, keys).create(counts)
        else:
            break
        assert Repository(folder).verify()["valid"]
        assert len(list(keys.iterdir())) == 5
    assert 8 <= point < POINTS - 1
