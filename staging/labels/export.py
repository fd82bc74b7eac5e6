"""Handing out a batch: a profile for each device, a table, and labels, every device marked before its file is made.

The mark comes first, so that no device leaves twice unnoticed; the folder's journal says which mark its files belong
to, so that an export that was killed is ended by the same command. The journal goes when everything is on the disk.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from base.files import make_folder, write_atomically
from staging.data_dir import SECRET_MODE, Endpoints, locked
from staging.errors import StagingError
from staging.identity.profiles import profile_of
from staging.labels.sheet import sheets
from staging.store import Database, issue
from staging.store.label_rows import Label
from staging.store.models import Batch, Device, Product
from staging.times import iso_or_none
from wire.fields import get_int, parse_object
from wire.profile import render_profile

JOURNAL = ".export.json"
COLUMNS = ("number", "uuid", "bindToken", "profile", "sha256")
# Devices between two lines of progress.
PROGRESS_EVERY = 1000

Progress = Callable[[int, int], None]
"""Is told how many profiles of how many are written."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made.

    Attributes:
        profiles: the folder of the profiles, ``UUID.json`` each.
        table: the CSV file; None: none.
        labels: the PDF file; None: none.
        again: whether devices that were issued before are issued once more.
    """

    profiles: Path
    table: Path | None
    labels: Path | None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What was made: how many devices, how many of the batch were left out, whether a broken-off export was ended."""

    issued: int
    left_out: int
    resumed: bool


def export(
    database: Database,
    product: Product,
    batch: Batch,
    wanted: Wanted,
    endpoints: Endpoints,
    authority: str,
    now: int,
    progress: Progress = lambda _done, _all: None,
) -> Done:
    """Hand out a batch's devices.

    Raises:
        StagingError: all were issued before, or the folder has another batch's export that was broken off.
        OSError: a file cannot be written; the same command goes on later.
    """
    _check_places(wanted)
    folder = wanted.profiles
    make_folder(folder, mode=0o700)
    with locked(folder / ".export.lock", "another export writes there", timeout=0):
        journal = _Journal(folder / JOURNAL)
        at, resumed = _begin(database, batch, wanted, journal, now)
        database.call(issue.issue, batch.id, at, again=wanted.again or journal.again)
        devices = database.call(issue.issued_at, batch.id, at)
        rows = _write_profiles(folder, devices, endpoints, authority, progress)
        if wanted.table is not None:
            _write(wanted.table, _table(rows))
        if wanted.labels is not None:
            labels = [
                Label(device.uuid, device.bind_token or "", batch.name, product.name, number)
                for number, device in devices
            ]
            _write(wanted.labels, sheets(labels, f"{product.name} {batch.name}"))
        os.sync()  # one flush for all: a fsync for each of 10,000 files takes minutes on a disk
        journal.end()
    whole, _, _ = database.call(issue.counts, batch.id)
    return Done(len(devices), whole - len(devices), resumed)


def _check_places(wanted: Wanted) -> None:
    """Refuse files that cannot be written before a device is marked; raises StagingError."""
    named = {"--csv": wanted.table, "--labels": wanted.labels}
    files = {option: path for option, path in named.items() if path is not None}
    for option, path in files.items():
        is_folder = os.path.realpath(path) == os.path.realpath(wanted.profiles)
        if is_folder or (path.exists() and not path.is_file()):
            raise StagingError(f"{option} {path}: not a regular file, expected a file's name")
    if len({os.path.realpath(path) for path in files.values()}) < len(files):
        raise StagingError(f"--csv and --labels: both are {wanted.table}, expected two files")


class _Journal:
    """The folder's note on the export that goes on in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.batch_id: int | None = None
        self.at = 0
        self.again = False
        if path.exists():
            source = parse_object(path.read_bytes(), str(path))
            self.batch_id, self.at = get_int(source, "batchId"), get_int(source, "at")
            self.again = source.get("again") is True

    def begin(self, batch_id: int, at: int, *, again: bool) -> None:
        data = {"batchId": batch_id, "at": at, "again": again}
        write_atomically(self._path, json.dumps(data).encode(), mode=SECRET_MODE)

    def end(self) -> None:
        self._path.unlink(missing_ok=True)


def _begin(
    database: Database, batch: Batch, wanted: Wanted, journal: _Journal, now: int
) -> tuple[int, bool]:
    """Return the mark of this export, and whether it was begun before."""
    if journal.batch_id is not None:
        if journal.batch_id != batch.id:
            raise StagingError(
                f"--profiles {wanted.profiles}: an export of another batch was broken off there; end it "
                "first, or name another folder"
            )
        return journal.at, True
    whole, issued, last = database.call(issue.counts, batch.id)
    if whole and issued == whole and not wanted.again:
        raise StagingError(
            f"batch {batch.name}: all {whole} devices were issued, the last on {iso_or_none(last)}; "
            "--again issues them once more"
        )
    journal.begin(batch.id, now, again=wanted.again)
    return now, False


def _write_profiles(
    folder: Path,
    devices: Sequence[tuple[int, Device]],
    endpoints: Endpoints,
    authority: str,
    progress: Progress,
) -> list[tuple[int, str, str, str, str]]:
    rows = []
    for count, (number, device) in enumerate(devices, 1):
        data = render_profile(profile_of(device, endpoints, authority))
        name = f"{device.uuid}.json"
        _put(folder, name, data)
        digest = hashlib.sha256(data).hexdigest()
        rows.append((number, device.uuid, device.bind_token or "", name, digest))
        if count % PROGRESS_EVERY == 0 or count == len(devices):
            progress(count, len(devices))
    return rows


def _put(folder: Path, name: str, data: bytes) -> None:
    """Write a file whole, without waiting for the disk; one that is there already stays."""
    path, temp = folder / name, folder / f".{name}.tmp"
    try:
        if path.read_bytes() == data and path.stat().st_mode & 0o777 == SECRET_MODE:
            return
    except FileNotFoundError:
        pass
    temp.unlink(missing_ok=True)
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, SECRET_MODE)
        file.write(data)
    temp.replace(path)


def _table(rows: Sequence[tuple[int, str, str, str, str]]) -> bytes:
    """Return the CSV; the device's own token is in its profile alone."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()


def _write(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    write_atomically(path, data, mode=SECRET_MODE)
