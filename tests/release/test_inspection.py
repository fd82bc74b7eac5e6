"""What ``verify`` finds."""

from __future__ import annotations

import pytest

from release import lifetimes
from release.errors import ReleaseToolError
from release.package_files import AddedTarget
from release.repository import Repository
from tests.release.ceremony import Ceremony


def test_verify_finds_what_a_machine_from_a_drawer_would_refuse(ceremony: Ceremony) -> None:
    """Only the newest state is valid; the chain to it, or a file's version, is not."""
    online, folder = ceremony.of("online"), ceremony.server.root / "metadata"
    ceremony.add("1.1.0", "ann", "ben")
    online.change_keys("timestamp", 1, None)
    for holder in ("ann", "ben"):
        ceremony.of(holder).sign()
    online.publish()
    assert online.verify()["valid"]
    first, second = (folder / "1.root.json").read_bytes(), (folder / "2.root.json").read_bytes()
    (folder / "1.root.json").unlink()
    with pytest.raises(ReleaseToolError, match=r"1\.root\.json: not there"):
        online.verify()
    (folder / "1.root.json").write_bytes(second)
    with pytest.raises(ReleaseToolError, match=r"1\.root\.json: is version 2"):
        online.verify()
    (folder / "1.root.json").write_bytes(first.replace(b'"threshold":2', b'"threshold":1'))
    with pytest.raises(ReleaseToolError, match=r"1\.root\.json: root was signed by 0/1 keys"):
        online.verify()
    (folder / "1.root.json").write_bytes(first)
    (folder / "2.targets.json").write_bytes((folder / "1.targets.json").read_bytes())
    with pytest.raises(ReleaseToolError, match="targets: is version 1, expected 2"):
        online.verify()


def test_verify_finds_a_changed_package_and_an_expired_role(
    repository: Repository, added: AddedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repository.folder / added.path
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(ReleaseToolError, match=r"1\.1\.0"):
        repository.verify()
    path.write_bytes(data)
    lifetime = dict.fromkeys(lifetimes.LIFETIME, -lifetimes.LIFETIME["timestamp"])
    monkeypatch.setattr("release.lifetimes.LIFETIME", lifetime)
    repository.refresh()
    with pytest.raises(ReleaseToolError, match="timestamp: expired"):
        repository.verify()
