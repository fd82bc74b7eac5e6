"""The trust client as a command, with the interface of the TUF project's client conformance suite.

``python -m tools.tuf_conformance --metadata-dir DIR init ROOT``, then ``refresh`` and ``download``: they
run the same `ota.trust.client.TrustClient` and `ota.fetch.whole` as an update, without an order and the
update state machine. Exit code 0: done, 1: refused (one line on stderr). The suite sets the time
with libfaketime, so trusted time stores nothing on disk here and accepts the process's clock.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from base.clock import TrustedTime
from base.files import Replacement, make_folder, write_atomically
from ota.errors import ContentError, MachineError, OtaError
from ota.fetch.folder import discard
from ota.fetch.retry import RetryPolicy
from ota.fetch.source import DownloadSettings, Source, WebSettings
from ota.fetch.whole import download
from ota.trust.client import TrustClient, TrustSettings

if TYPE_CHECKING:
    from tuf.api._payload import TargetFile

COPY_SIZE = 2**20
# Seconds. The test server is local, so a slower answer means that there will be none.
TIMEOUT = 10.0
ONCE = RetryPolicy(attempts=1, total=1)


class PlainTime(TrustedTime):
    """The process's clock without plausibility checks: libfaketime may set any year."""

    def now(self) -> float:
        """Return the process's time, in Unix seconds."""
        return time()

    def disbelief(self) -> str | None:
        """Return None: the clock is always accepted."""
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "init":
            _init(options.metadata_dir, options.root)
        elif options.command == "refresh":
            _client(options).look_up(None)
        else:
            _download(options)
    except (OtaError, OSError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.tuf_conformance", description=__doc__)
    parser.add_argument("--metadata-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--metadata-url", metavar="URL")
    parser.add_argument("--target-name", metavar="PATH")
    parser.add_argument("--target-base-url", metavar="URL")
    parser.add_argument("--target-dir", type=Path, metavar="DIR")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("init", help="trust a root").add_argument("root", type=Path)
    commands.add_parser("refresh", help="bring the metadata up to date")
    commands.add_parser("download", help="fetch one target")
    return parser


def _init(metadata_dir: Path, root: Path) -> None:
    make_folder(metadata_dir)
    write_atomically(metadata_dir / "root.json", root.read_bytes())


def _client(options: argparse.Namespace) -> TrustClient:
    settings = TrustSettings(
        product="",
        repository="",
        root_file=_first_root(options.metadata_dir),
        metadata_dir=options.metadata_dir,
        web=_web(),
        metadata_url=_needed(options.metadata_url, "--metadata-url"),
    )
    return TrustClient(settings, threading.Event())


def _first_root(metadata_dir: Path) -> Path:
    """Return the root that `init` stored; the client follows later roots from it again."""
    history = metadata_dir / "root_history"
    roots = sorted(history.glob("*.root.json"), key=lambda path: int(path.name.split(".")[0]))
    return roots[0] if roots else metadata_dir / "root.json"


def _web() -> WebSettings:
    return WebSettings(TIMEOUT, TIMEOUT, clock=PlainTime())


def _needed(value: str | None, name: str) -> str:
    if not value:
        raise MachineError(f"{name} is missing")
    return value


def _download(options: argparse.Namespace) -> None:
    name = _needed(options.target_name, "--target-name")
    base = _needed(options.target_base_url, "--target-base-url").rstrip("/")
    folder = Path(_needed(str(options.target_dir or ""), "--target-dir"))
    client = _client(options)
    target = client.look_up(name)
    if target is None:
        raise ContentError("unknown target", f"{name} is not in the signed metadata")
    make_folder(folder)
    final = folder / quote(name, safe="")
    if _is_there(final, target):
        return
    path = target.path
    if client.consistent_snapshot:
        head, slash, tail = path.rpartition("/")
        path = f"{head}{slash}{next(iter(target.hashes.values()))}.{tail}"
    _fetch(f"{base}/{quote(path)}", target, final)


def _is_there(path: Path, target: TargetFile) -> bool:
    from tuf.api.exceptions import LengthOrHashMismatchError  # noqa: PLC0415  # loaded late

    try:
        with path.open("rb") as file:
            target.verify_length_and_hashes(file)
    except (FileNotFoundError, LengthOrHashMismatchError):
        return False
    return True


def _fetch(url: str, target: TargetFile, final: Path) -> None:
    """Download as an update does, and verify every signed hash.

    Only the complete, verified file stays in the folder.
    """
    sha256 = target.hashes.get("sha256")
    if sha256 is None:
        raise ContentError("bad target", "no sha256 in the signed hashes")
    source = Source(url, target.length, sha256)
    settings = DownloadSettings(web=_web(), retry=ONCE)
    work = final.with_name(f".{hashlib.sha256(final.name.encode()).hexdigest()}")
    try:
        done = download(source, work, settings, threading.Event(), lambda _done, _total: None)
        if not _is_there(done.path, target):
            raise ContentError("wrong hash", "another of the signed hashes does not fit")
        with Replacement(final) as copy, done.path.open("rb") as file:
            while chunk := file.read(COPY_SIZE):
                copy.write(chunk)
    finally:
        # Each command starts anew. An update would resume from these files and count their bytes
        # against its budget, which a server that sent wrong bytes would have used up.
        discard(work)


if __name__ == "__main__":
    sys.exit(main())
