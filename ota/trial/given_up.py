"""STATE/ota/given_up.json: which packages failed their trial, how often, and why.

A cloud that keeps ordering the same broken package must not cause a loop of restarts: after
`TRIAL_BUDGET` failed trials a package (identified by its SHA-256) is refused. A newer version or a
fixed package has another hash and is not affected.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from base.files import make_folder, write_atomically
from ota.errors import ContentError
from wire.errors import FieldError, WireError
from wire.fields import get_int, get_string, is_object, parse_object

FORMAT = 1
# Trials that one package gets; each allows several starts (`launch.TRIAL_ATTEMPTS`). The first may
# fail because the cloud is down, the second by bad luck.
TRIAL_BUDGET = 3
# Packages that are remembered; the oldest are dropped first.
KEEP = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A failed package: SHA-256 (hex), version, failed trials; last transaction and reason."""

    sha256: str
    version: str
    times: int
    transaction: str
    reason: str


GivenUpPackages = tuple[GivenUp, ...]


def add_failure(packages: GivenUpPackages, new: GivenUp) -> GivenUpPackages:
    """Return the packages with one more failed trial; a transaction counts once.

    ``new.times`` is ignored.
    """
    old = next((entry for entry in packages if entry.sha256 == new.sha256), None)
    if old is not None and old.transaction == new.transaction:
        return packages
    times = 1 if old is None else old.times + 1
    rest = tuple(entry for entry in packages if entry.sha256 != new.sha256)
    return (*rest, replace(new, times=times))[-KEEP:]


def check_budget(packages: GivenUpPackages, sha256: str) -> None:
    """Refuse a package that has no trials left; raises ContentError."""
    for entry in packages:
        if entry.sha256 == sha256 and entry.times >= TRIAL_BUDGET:
            detail = f"version {entry.version} failed its trial {entry.times} times: {entry.reason}"
            raise ContentError("given up before", detail)


def parse_given_up(data: bytes) -> GivenUpPackages:
    """Read given_up.json strictly; raises WireError naming the member and what was expected."""
    source = parse_object(data, "given_up.json")
    get_int(source, "format", low=FORMAT, high=FORMAT)
    entries = source.get("packages")
    if not isinstance(entries, list) or not all(is_object(entry) for entry in entries):
        raise FieldError("packages", entries, "a list of objects")
    return tuple(_parse_entry(entry) for entry in entries)[-KEEP:]


def _parse_entry(source: Mapping[str, object]) -> GivenUp:
    return GivenUp(
        sha256=get_string(source, "sha256", path="packages."),
        version=get_string(source, "version", path="packages."),
        times=get_int(source, "times", path="packages.", low=1),
        transaction=get_string(source, "transaction", path="packages."),
        reason=get_string(source, "reason", path="packages."),
    )


def given_up_path(state_dir: Path) -> Path:
    """Return the path of given_up.json."""
    return state_dir / "ota" / "given_up.json"


def load_given_up(state_dir: Path) -> GivenUpPackages:
    """Read given_up.json; a damaged file is logged and counts as empty. Raises OSError."""
    try:
        return parse_given_up(given_up_path(state_dir).read_bytes())
    except FileNotFoundError:
        return ()
    except WireError as error:
        _log.error("the record of failed trials is damaged and ignored: %s", error)
        return ()


def save_given_up(state_dir: Path, packages: GivenUpPackages) -> None:
    """Write given_up.json; it is durable when this returns. Raises OSError."""
    path = given_up_path(state_dir)
    make_folder(path.parent)
    record = {"format": FORMAT, "packages": [asdict(entry) for entry in packages]}
    text = json.dumps(record, ensure_ascii=False, indent=1)
    # A reason may quote a file name, which need not be valid Unicode.
    write_atomically(path, text.encode(errors="replace"))


def count_trial(state_dir: Path, failed: GivenUp) -> None:
    """Count a failed trial on disk; it is durable when this returns. Raises OSError."""
    before = load_given_up(state_dir)
    after = add_failure(before, failed)
    if after != before:
        save_given_up(state_dir, after)
