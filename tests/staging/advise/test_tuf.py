"""The bench's metadata is taken, and its lies are found, by python-tuf itself, which wrote none of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api import exceptions as tuf
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from staging.advise.tuf import Entry, Lie, Signer, metadata_of, root_of
from tests.staging.advise.twin_points import ROOT_SEED

SIGNER = Signer(ROOT_SEED)
ENTRY = Entry("故事机/9.tar.gz", b"package", {"version": "9", "product": "故事机"})


class Files(FetcherInterface):
    """A repository in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.rpartition("/")[2]
        if name not in self.files:
            raise tuf.DownloadHTTPError("not there", 404)
        yield self.files[name]


def files(version: int, lie: Lie = Lie.NONE) -> dict[str, bytes]:
    return metadata_of(SIGNER, version, ENTRY, int(time.time() * 1000), lie)


def look(folder: Path, shown: dict[str, bytes]) -> object:
    """Return the signed entry of the package, as a machine with this folder finds it."""
    updater = Updater(
        str(folder), "http://x/", fetcher=Files(shown), bootstrap=root_of(SIGNER)
    )  # fmt: skip
    updater.refresh()
    return updater.get_targetinfo(ENTRY.path)


def test_what_is_right_is_taken(tmp_path: Path) -> None:
    found = look(tmp_path, files(7))
    assert getattr(found, "hashes", None) == {"sha256": ENTRY.sha256}
    assert look(tmp_path, metadata_of(SIGNER, 8, None, int(time.time() * 1000))) is None


@pytest.mark.parametrize(
    ("lie", "version", "refusal"),
    [
        (Lie.FROZEN, 8, tuf.ExpiredMetadataError),
        (Lie.ROLLED_BACK, 2, tuf.BadVersionNumberError),
        (Lie.FORGED, 8, tuf.UnsignedMetadataError),
    ],
)
def test_each_lie_is_what_its_name_says(
    tmp_path: Path, lie: Lie, version: int, refusal: type[Exception]
) -> None:
    look(tmp_path, files(7))
    with pytest.raises(refusal):
        look(tmp_path, files(version, lie))
    assert look(tmp_path, files(9)) is not None
