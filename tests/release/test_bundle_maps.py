"""The maps of bundles: made from an image's index, signed, and kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.errors import (
    ContentError,
)
from ota.trust.target import map_file_name
from release.bundle_maps import make_map
from release.errors import ReleaseToolError
from release.repository import Repository
from tests.ota.bundle import (
    TAIL,
    add_bundle,
    index_of,
    make_bundle,
    needs_squashfs,
)
from tests.ota.fetch.site import NEW, OLD

pytestmark = needs_squashfs


def test_an_image_without_an_index_has_none(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="expected an image with a block-hash-index"):
        make_map(make_bundle(tmp_path / "b", NEW, b""))


def test_an_index_of_another_image_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="the index is not the image's"):
        make_map(make_bundle(tmp_path / "b", NEW, index_of(OLD)))


def test_what_is_no_squashfs_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"hsqs", bytes(200), TAIL):
        (tmp_path / "b").write_bytes(data)
        with pytest.raises(ContentError, match="bundle without a map"):
            make_map(tmp_path / "b")


def test_a_bundle_with_an_index_gets_a_signed_map(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "b.raucb", NEW)
    assert add_bundle(repository, bundle, tmp_path / "keys") == 0
    assert f"map: {len(make_map(bundle).to_bytes())} bytes" in capsys.readouterr().out
    shown: Any = repository.show()["targets"]
    assert shown[0]["map"]["md5"] == hashlib.md5(bundle.read_bytes()).hexdigest()
    repository.verify()
    path = repository.folder / "targets/p" / map_file_name("1.1.0", shown[0]["map"]["sha256"])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ReleaseToolError, match="its map has other bytes than signed"):
        repository.verify()
    assert add_bundle(repository, bundle, tmp_path / "keys") == 0  # adding it again repairs it
    repository.verify()
    path.unlink()
    with pytest.raises(ReleaseToolError, match="No such file"):
        repository.verify()


def test_a_promotion_keeps_the_map(repository: Repository, tmp_path: Path) -> None:
    assert add_bundle(repository, make_bundle(tmp_path / "b.raucb", NEW), tmp_path / "keys") == 0
    terms, _outcome = repository.edit_terms("p", "1.1.0", lambda t: replace(t, channels=("x",)))
    assert terms.map is not None
    repository.verify()


def test_a_bundle_without_an_index_is_added_and_comes_whole(
    repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        add_bundle(repository, make_bundle(tmp_path / "b.raucb", NEW, b""), tmp_path / "keys") == 0
    )
    assert "map: none, machines fetch it whole" in capsys.readouterr().out
    shown: Any = repository.show()["targets"]
    assert "map" not in shown[0]
