"""Metadata that TUF takes and a repository must not."""

from __future__ import annotations

import pytest

from release.errors import ReleaseToolError
from release.repository import Repository


def test_a_version_that_is_no_number(repository: Repository) -> None:
    """TUF's parser accepts it, but canonical JSON cannot represent it."""
    path = repository.metadata_dir / "root.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":1.5'))
    for act in (repository.verify, repository.show, repository.refresh):
        with pytest.raises(ReleaseToolError, match=r"root\.json: not TUF metadata"):
            act()
