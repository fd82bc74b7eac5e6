"""What an update acts on is on the disk before it acts: seen in the system calls of a whole update."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ota.fetch.source import WebSettings
from ota.trust.client import TrustSettings, find_target
from release.package_files import AddedTarget
from release.repository import Repository
from tests.base.recorded import RENAME, SYNC, Recorder
from tests.ota.updater_rig import UpdaterRig, live


@pytest.fixture
async def recorded(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> Recorder:
    """Record an update from the order to the restart into the new version."""
    recorder = Recorder(rig.settings.state_dir, monkeypatch)
    await live(rig, order())
    return recorder


def places(recorder: Recorder, kind: str, name: str) -> list[int]:
    return [
        at for at, call in enumerate(recorder.calls) if call[0] == kind and name in str(call[1])
    ]


async def test_every_record_is_whole_before_it_has_its_name(recorded: Recorder) -> None:
    assert len([call for call in recorded.calls if call[0] == RENAME]) > 5
    # python-tuf syncs nothing; what is done about that is below.
    assert [fault for fault in recorded.faults() if "metadata" not in fault] == []


async def test_a_package_is_on_the_disk_before_it_counts_as_fetched_and_is_unpacked(
    recorded: Recorder, rig: UpdaterRig
) -> None:
    assert rig.task.target is not None
    # By its name while it is fetched: the release has a copy of the same length.
    whole = (SYNC, f"ota/download/{rig.task.target.sha256}.part", rig.task.target.length)
    synced = [at for at, call in enumerate(recorded.calls) if call == whole]
    unpacked = [
        at
        for at, call in enumerate(recorded.calls)
        if call[0] == RENAME and "1.1.0" in str(call[2])
    ]
    assert synced
    assert unpacked
    assert min(synced) < min(unpacked)


async def test_a_release_is_on_the_disk_before_the_boot_record_names_it(
    recorded: Recorder, rig: UpdaterRig
) -> None:
    named = [
        at for at, call in enumerate(recorded.calls) if call[0] == RENAME and "boot" in str(call[2])
    ]
    release = [
        at
        for at, call in enumerate(recorded.calls)
        if call[0] == RENAME and str(call[2]).endswith("1.1.0")
    ]
    folder = [
        at
        for at in places(recorded, SYNC, "releases")
        if recorded.calls[at][1] in {"releases", "slots/releases"}
    ]
    assert named
    assert release
    assert any(release[0] < at < named[-1] for at in folder), recorded.calls
    before = recorded.calls[: release[0]]
    unpacked, final = (str(name) for name in recorded.calls[release[0]][1:3])
    folder_of_it = rig.settings.state_dir / final
    files = [path for path in folder_of_it.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        name = f"{unpacked}/{path.relative_to(folder_of_it)}"
        assert (SYNC, name, path.stat().st_size) in before, name
    for inner in (path for path in (folder_of_it, *folder_of_it.rglob("*")) if path.is_dir()):
        name = str(Path(unpacked, inner.relative_to(folder_of_it)))
        assert (SYNC, name, None) in before, name


def test_what_was_learnt_of_the_repository_is_on_the_disk_before_it_is_trusted(
    server: Any, repository: Repository, added: AddedTarget, tmp_path: Path, helpers: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Else a cut lets an attacker show older metadata than what was acted on."""
    root = tmp_path / "shipped-root.json"
    root.write_bytes(repository.root_file.read_bytes())
    settings = TrustSettings(
        helpers.PRODUCT, server.url, root, tmp_path / "state/metadata", web=WebSettings(connect_timeout=60, read_timeout=60)
    )  # fmt: skip
    recorder = Recorder(tmp_path / "state", monkeypatch)
    find_target(settings, helpers.order_for(added, server.url), "1.0.0", threading.Event())
    last = max(at for at, call in enumerate(recorder.calls) if call[0] == RENAME)
    after = recorder.calls[last:]
    for path in [path for path in settings.metadata_dir.rglob("*.json") if not path.is_symlink()]:
        name = str(path.relative_to(tmp_path / "state"))
        assert (SYNC, name, path.stat().st_size) in after, name
    assert (SYNC, "metadata", None) in after
