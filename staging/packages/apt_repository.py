"""A folder that any web server serves, and apt reads: packages, indexes, signatures, key, and install.sh.

Machines may read while it is written: packages are there before an index names them, indexes are also
below by-hash/ under their hashes, and InRelease, which names those, is replaced last.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from string import Template

from base.files import fsync_path, make_folder, write_atomically
from staging.errors import StagingError
from staging.packages.deb_file import DebFile, read_deb
from staging.packages.index import index_files, release_text, sha256
from staging.packages.signer import Signer
from wire.errors import FieldError

SUITE = "stable"
KEY_NAME = "story-machine.asc"
INSTALLER = "install.sh"
_MODE = 0o644
_SUITE = re.compile(r"[a-z][a-z0-9.-]{0,39}")
# It becomes a line of a shell script and of apt's sources: no quotes, no spaces.
_URL = re.compile(r"(https?://|file:/)[A-Za-z0-9._~:/@\[\]%+-]+")


class AptRepository:
    """The repository in one folder."""

    def __init__(self, folder: Path, suite: str = SUITE) -> None:
        """Use ``folder``, and in it the suite of that name; raises FieldError."""
        if not _SUITE.fullmatch(suite):
            raise FieldError("suite", suite, "small letters, digits, dots, dashes")
        self._folder = folder
        self._suite = suite

    @property
    def _pool(self) -> Path:
        return self._folder / "pool"

    def add(self, files: Iterable[Path]) -> list[DebFile]:
        """Copy packages into the pool, and return them.

        Raises:
            StagingError: no package, or the pool has this version with other bytes.
            OSError: a file cannot be read, or the disk.
        """
        make_folder(self._pool)
        added = []
        for file in files:
            deb = read_deb(file)
            place = self._pool / deb.name
            if place.exists() and read_deb(place).sha256 != deb.sha256:
                reason = "machines that have it would not notice the change; raise the version"
                raise StagingError(f"{deb.name} is there with other bytes: {reason}")
            if not place.exists():
                _copy(file, place)
            added.append(deb)
        return added

    def publish(
        self,
        signer: Signer,
        url: str,
        *,
        now: datetime | None = None,
        valid_days: int | None = None,
    ) -> list[DebFile]:
        """Write indexes, signatures, the public key and install.sh; return all packages.

        Args:
            signer: signs the release.
            url: where machines find the folder, ``http:``, ``https:`` or ``file:``.
            now: the time of the release; None: now.
            valid_days: after how many days apt takes it no longer; None: never.

        Raises:
            StagingError: there is no package, or gpg fails.
            FieldError: ``url`` is none.
            OSError: the disk.
        """
        if not _URL.fullmatch(url):
            raise FieldError("url", url, "http://…, https://… or file:/…")
        found = [read_deb(path) for path in sorted(self._pool.glob("*.deb"))]
        if not found:
            raise StagingError(
                f"{self._pool}: no packages; name some: story-cloud apt-repo DIR FILE.deb"
            )
        files = index_files(found)
        text = release_text(files, self._suite, now or datetime.now(UTC), valid_days).encode()
        inside, beside = signer.sign_inside(text), signer.sign_beside(text)
        key = signer.public_key()
        self._write_indexes(files)
        folder = self._folder / "dists" / self._suite
        for name, data in (("Release", text), ("Release.gpg", beside), ("InRelease", inside)):
            _write(folder / name, data)
        _write(self._folder / KEY_NAME, key)
        _write(self._folder / INSTALLER, installer(url, self._suite, key).encode())
        return found

    def _write_indexes(self, files: dict[str, bytes]) -> None:
        """Write each index under its name and its hash, and drop hashes that no release since the last names."""
        suite = self._folder / "dists" / self._suite
        last = suite / "InRelease"
        known = last.read_text("utf-8", "replace") if last.exists() else ""
        for name, data in files.items():
            hashed = (suite / name).parent / "by-hash" / "SHA256"
            _write(hashed / sha256(data), data)
            _write(suite / name, data)
        kept = {sha256(data) for data in files.values()}
        for path in suite.glob("*/*/by-hash/SHA256/*"):
            if path.name not in kept and path.name not in known:
                path.unlink()


def installer(url: str, suite: str, key: bytes) -> str:
    """Return the shell script that sets a machine up and installs the agent."""
    text = resources.files("staging.packages").joinpath("install.sh.in").read_text("utf-8")
    values = {"URL": url.rstrip("/"), "SUITE": suite, "KEY": key.decode("ascii").strip()}
    return Template(text.replace("$", "$$").replace("@@", "$")).substitute(values)


def _copy(source: Path, place: Path) -> None:
    """Copy a file whole, or not at all."""
    temp = place.with_name(f".{place.name}.tmp")
    try:
        shutil.copyfile(source, temp)
        temp.chmod(_MODE)
        fsync_path(temp)
        temp.replace(place)
        fsync_path(place.parent)
    finally:
        temp.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    write_atomically(path, data, mode=_MODE)
