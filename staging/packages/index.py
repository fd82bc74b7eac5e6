"""The texts of an apt repository: Packages and Release (apt's repository format; no I/O)."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from staging.packages.deb_file import DebFile

COMPONENT = "main"
ALL = "all"


def packages_text(debs: Iterable[DebFile], architecture: str) -> str:
    """Return Packages for one architecture, which includes what runs on all."""
    chosen = [deb for deb in debs if deb.architecture in {architecture, ALL}]
    chosen.sort(key=lambda deb: (deb.package, deb.version, deb.architecture))
    return "\n".join(
        f"{deb.control}Filename: pool/{deb.name}\nSize: {deb.size}\nSHA256: {deb.sha256}\n"
        for deb in chosen
    )


def index_files(debs: Sequence[DebFile]) -> dict[str, bytes]:
    """Return each index by its name below the suite's folder."""
    files = {}
    for architecture in sorted({deb.architecture for deb in debs} - {ALL}):
        text = packages_text(debs, architecture).encode()
        folder = f"{COMPONENT}/binary-{architecture}"
        files[f"{folder}/Packages"] = text
        files[f"{folder}/Packages.gz"] = gzip.compress(text, mtime=0)
    return files


def release_text(
    files: Mapping[str, bytes], suite: str, now: datetime, valid_days: int | None = None
) -> str:
    """Return Release, which names every index with its hash.

    Args:
        files: the indexes by their names.
        suite: the name that machines ask for.
        now: when it is made, with a time zone.
        valid_days: after how many days apt takes it no longer; None: never.
    """
    architectures = sorted({name.split("/")[1].removeprefix("binary-") for name in files})
    lines = [
        "Origin: story-machine",
        "Label: story-machine",
        f"Suite: {suite}",
        f"Codename: {suite}",
        f"Date: {_date(now)}",
    ]
    if valid_days is not None:
        lines.append(f"Valid-Until: {_date(now + timedelta(days=valid_days))}")
    lines += [
        f"Architectures: {' '.join(architectures)}",
        f"Components: {COMPONENT}",
        "Description: Debian packages for story machines",
        "Acquire-By-Hash: yes",
        "SHA256:",
    ]
    lines += [f" {sha256(data)} {len(data)} {name}" for name, data in sorted(files.items())]
    return "\n".join(lines) + "\n"


def sha256(data: bytes) -> str:
    """Return a digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _date(moment: datetime) -> str:
    """Return a date in the one form that apt reads, whatever the locale is."""
    utc = moment.astimezone(UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[utc.weekday()]
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[utc.month * 3 - 3 : utc.month * 3]
    return f"{day}, {utc.day:02} {month} {utc.year} {utc:%H:%M:%S} UTC"
