"""Adding packages: crash safety, repetition, and what is not signed; their terms afterwards."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError
from ota.trust.client import TrustSettings, find_target
from ota.trust.terms import Terms
from release.errors import ReleaseToolError
from release.package_files import AddedTarget
from release.repository import Repository
from tests.release.ceremony import PRODUCT, Ceremony
from tests.release.tool import ROOT
from wire.errors import WireError


class Death(BaseException):
    """Stands for the kill of the tool."""


def finds(repo: Repository, url: str, added: AddedTarget, folder: Path, helpers: Any) -> bool:
    """Whether a new device accepts the repository and finds the package."""
    settings = TrustSettings(added.product, url, repo.root_file, folder)
    find_target(settings, helpers.order_for(added, url), "1.0.0", threading.Event())
    return True


def test_a_crash_at_any_write_of_add_leaves_a_repository_that_clients_accept(
    repository: Repository,
    added: AddedTarget,
    server: Any,
    tmp_path: Path,
    helpers: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = helpers.make_package(tmp_path / "q.tar.gz", "1.2.0")
    real = Path.replace
    for point in range(10):
        seen = 0

        def replace(self: Path, target: Path, point: int = point) -> Path:
            nonlocal seen
            seen += 1
            if seen > point:
                raise Death
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        try:
            second = repository.add(package, helpers.PRODUCT, "1.2.0")[0]
        except Death:
            monkeypatch.setattr(Path, "replace", real)
            assert finds(repository, server.url, added, tmp_path / f"m{point}", helpers)
            assert Repository(repository.folder).verify()["valid"]
            assert not list(repository.folder.rglob("*.tmp"))
        else:
            break
    monkeypatch.setattr(Path, "replace", real)
    # Package, targets, snapshot, timestamp: the `add` after the crashes wrote all four.
    assert point == 4
    assert finds(repository, server.url, second, tmp_path / "last", helpers)
    assert finds(repository, server.url, added, tmp_path / "last", helpers)


def test_the_same_bytes_again_change_nothing_and_other_bytes_are_refused(
    repository: Repository, added: AddedTarget, tmp_path: Path, helpers: Any
) -> None:
    package = tmp_path / "p.tar.gz"
    before = {p: p.read_bytes() for p in repository.metadata_dir.iterdir()}
    (repository.folder / added.path).unlink()
    assert repository.add(package, helpers.PRODUCT, "1.1.0")[0] == added
    assert {p: p.read_bytes() for p in repository.metadata_dir.iterdir()} == before
    package.write_bytes(b"other")
    with pytest.raises(ReleaseToolError, match="already there with other bytes"):
        repository.add(package, helpers.PRODUCT, "1.1.0")
    assert repository.verify()["targets"] == 1


def test_the_same_package_again_tells_what_it_waits_for_and_the_terms_that_stand(
    ceremony: Ceremony,
) -> None:
    online, package = ceremony.of("online"), ceremony.package("1.1.0")
    hold = Terms(PRODUCT, "1.1.0", channels=())
    online.add(package, PRODUCT, "1.1.0", hold)
    outcome = online.add(package, PRODUCT, "1.1.0", hold)[1]
    assert outcome.staged == {"targets": "targets was signed by 0/2 keys"}
    assert outcome.kept == {}
    outcome = online.add(package, PRODUCT, "1.1.0", replace(hold, data_budget=5))[1]
    assert outcome.kept == hold.to_json()


def test_adds_at_the_same_time_do_not_interleave(
    repository: Repository, tmp_path: Path, helpers: Any
) -> None:
    running = []
    for number in range(4):
        version = f"2.0.{number}"
        helpers.make_package(tmp_path / version, version)
        command = [sys.executable, "-m", "release.cli", "add", str(tmp_path / version)]
        command += ["--repo", str(repository.folder), "--keys", str(tmp_path / "keys")]
        command += ["--product", helpers.PRODUCT, "--version", version]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL))
    for process in running:
        assert process.wait(30) == 0
    assert repository.verify()["targets"] == 4


BAD_TERMS: dict[str, tuple[dict[str, Any], str]] = {
    "budget below zero": ({"data_budget": -5}, "custom.data_budget: got -5, expected an integer"),
    "budget of nothing": ({"data_budget": 0}, "custom.data_budget: got 0"),
    "budget without end": ({"data_budget": 10**30}, "custom.data_budget: got 1000"),
    "board without a name": ({"hardware": ("",)}, "custom.compatible.hardware: got"),
    "channel without a name": ({"channels": ("",)}, "custom.channels: got"),
    "no reason": ({"revoked": ""}, 'custom.revoked: got "", expected a string'),
    "half of a character": ({"revoked": "\udcff"}, "custom: not UTF-8 text"),
}


@pytest.mark.parametrize("name", BAD_TERMS, ids=str)
def test_terms_that_no_machine_could_read_are_not_signed(
    repository: Repository, added: AddedTarget, tmp_path: Path, helpers: Any, name: str
) -> None:
    """Once signed, they could be neither changed nor verified."""
    changes, reason = BAD_TERMS[name]
    before = {path for path in repository.folder.rglob("*") if path.is_file()}
    package = helpers.make_package(tmp_path / "q.tar.gz", "1.2.0")
    for act in (
        lambda: repository.add(package, added.product, "1.2.0", Terms("", "", **changes)),
        lambda: repository.edit_terms(added.product, "1.1.0", lambda t: replace(t, **changes)),
    ):
        with pytest.raises(WireError, match=re.escape(reason)):
            act()
    assert {path for path in repository.folder.rglob("*") if path.is_file()} == before
    assert repository.verify()["targets"] == 1


def test_hold_promote_and_revoke(ceremony: Ceremony) -> None:
    def edit(change: Callable[[Terms], Terms]) -> None:
        online = ceremony.of("online")
        online.edit_terms(PRODUCT, "1.1.0", change)
        for holder in ("ann", "ben"):
            ceremony.of(holder).sign()
        online.publish()

    added = ceremony.add("1.1.0", "ann", "ben")
    edit(lambda terms: replace(terms, channels=()))
    with pytest.raises(ContentError, match="not offered"):
        ceremony.device(added)
    edit(lambda terms: replace(terms, channels=("stable",)))
    assert ceremony.device(added).version == "1.1.0"
    edit(lambda terms: replace(terms, revoked="deletes songs"))
    with pytest.raises(ContentError, match=r'revoked: version 1\.1\.0: "deletes songs"'):
        ceremony.device(added)
    with pytest.raises(ReleaseToolError, match="not in the repository"):
        ceremony.of("online").edit_terms(PRODUCT, "9.9", lambda terms: terms)


def test_init_writes_over_no_repository_that_lost_its_root(
    repository: Repository, added: AddedTarget
) -> None:
    repository.root_file.unlink()
    before = {p: p.read_bytes() for p in repository.metadata_dir.iterdir()}
    with pytest.raises(ReleaseToolError, match="already a repository"):
        repository.create()
    assert {p: p.read_bytes() for p in repository.metadata_dir.iterdir()} == before
    assert added.version == "1.1.0"
