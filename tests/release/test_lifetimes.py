"""The clock that new signatures are dated by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from release.errors import ReleaseToolError
from release.package_files import AddedTarget
from release.repository import Repository


def test_a_clock_that_cannot_be_right_signs_nothing(
    repository: Repository, added: AddedTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An offline machine that started in 1970 would publish metadata that is expired everywhere."""
    monkeypatch.setattr("release.lifetimes.now", lambda: datetime(1970, 1, 1, tzinfo=UTC))
    before = {p: p.read_bytes() for p in repository.folder.rglob("*") if p.is_file()}
    for act in (
        repository.refresh,
        repository.publish,
        repository.verify,
        lambda: repository.change_keys("timestamp", 1),
        lambda: repository.edit_terms(added.product, "1.1.0", lambda terms: terms),
        lambda: repository.add(tmp_path / "p.tar.gz", added.product, "1.1.0"),
        lambda: Repository(tmp_path / "other", tmp_path / "keys").create(),
    ):
        with pytest.raises(ReleaseToolError, match="clock says 1970-01-01 00:00:00Z, expected 2"):
            act()
    assert {p: p.read_bytes() for p in repository.folder.rglob("*") if p.is_file()} == before
    assert not (tmp_path / "other").exists()
