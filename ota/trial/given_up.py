"""STATE/ota/given_up.json: which packages failed their trial, how often, and why.

A cloud that keeps ordering the same broken package must not cause a loop of restarts: after
`TRIAL_BUDGET` failed trials a package (identified by its SHA-256) is refused. A newer version or a
fixed package has another hash and is not affected.

A trial that lacked nothing but the cloud is in doubt: the cloud itself may be out. The version that runs next
settles it. If it reaches the cloud, the trial counts; if not, it counts as an outage, of which a
package has more. Older versions do not know the members ``doubt`` and ``outages``, and lose them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from base.files import make_folder, write_atomically
from ota.errors import ContentError
from wire.errors import FieldError, WireError
from wire.fields import get_int, get_object, get_string, is_object, parse_object
from wire.records import dataclass

FORMAT = 1
# Trials that one package gets; each allows several starts (`launch.TRIAL_ATTEMPTS`). The first may
# fail because the cloud is down, the second by bad luck.
TRIAL_BUDGET = 3
# Trials that one package gets during outages of the cloud; each restarts the machine twice.
OUTAGE_BUDGET = 10
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


@dataclass(frozen=True, slots=True)
class FailedTrials:
    """The content of given_up.json.

    Attributes:
        packages: the failed packages.
        outages: packages whose trials ended during outages of the cloud, ``times`` of them.
        doubt: the last trial, while it is not known which of the two it was.
    """

    packages: GivenUpPackages = ()
    outages: GivenUpPackages = ()
    doubt: GivenUp | None = None

    def settled(self, *, outage: bool) -> FailedTrials:
        """Return the record with the doubt counted as an outage, or as a failed trial."""
        if self.doubt is None:
            return self
        if outage:
            return FailedTrials(self.packages, add_failure(self.outages, self.doubt))
        return FailedTrials(add_failure(self.packages, self.doubt), self.outages)


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


def check_budget(trials: FailedTrials, sha256: str) -> None:
    """Refuse a package that has no trials left; raises ContentError."""
    for entry in trials.packages:
        if entry.sha256 == sha256 and entry.times >= TRIAL_BUDGET:
            detail = f"version {entry.version} failed its trial {entry.times} times: {entry.reason}"
            raise ContentError("given up before", detail)
    for entry in trials.outages:
        if entry.sha256 == sha256 and entry.times >= OUTAGE_BUDGET:
            often = f"version {entry.version} ended its trial {entry.times} times without the cloud"
            raise ContentError("given up before", f"{often}, which no version could reach then")


def parse_given_up(data: bytes) -> FailedTrials:
    """Read given_up.json strictly; raises WireError naming the member and what was expected."""
    source = parse_object(data, "given_up.json")
    get_int(source, "format", low=FORMAT, high=FORMAT)
    doubt = source.get("doubt")
    return FailedTrials(
        _parse_entries(source, "packages"),
        _parse_entries(source, "outages") if "outages" in source else (),
        None if doubt is None else _parse_entry(get_object(source, "doubt"), "doubt."),
    )


def _parse_entries(source: Mapping[str, object], name: str) -> GivenUpPackages:
    entries = source.get(name)
    if not isinstance(entries, list) or not all(is_object(entry) for entry in entries):
        raise FieldError(name, entries, "a list of objects")
    return tuple(_parse_entry(entry, f"{name}.") for entry in entries)[-KEEP:]


def _parse_entry(source: Mapping[str, object], path: str) -> GivenUp:
    return GivenUp(
        sha256=get_string(source, "sha256", path=path),
        version=get_string(source, "version", path=path),
        times=get_int(source, "times", path=path, low=1),
        transaction=get_string(source, "transaction", path=path),
        reason=get_string(source, "reason", path=path),
    )


def given_up_path(state_dir: Path) -> Path:
    """Return the path of given_up.json."""
    return state_dir / "ota" / "given_up.json"


def load_given_up(state_dir: Path) -> FailedTrials:
    """Read given_up.json; a damaged file is logged and counts as empty. Raises OSError."""
    try:
        return parse_given_up(given_up_path(state_dir).read_bytes())
    except FileNotFoundError:
        return FailedTrials()
    except WireError as error:
        _log.error("the record of failed trials is damaged and ignored: %s", error)
        return FailedTrials()


def save_given_up(state_dir: Path, trials: FailedTrials) -> None:
    """Write given_up.json; it is durable when this returns. Raises OSError."""
    path = given_up_path(state_dir)
    make_folder(path.parent)
    text = json.dumps({"format": FORMAT, **asdict(trials)}, ensure_ascii=False, indent=1)
    # A reason may quote a file name, which need not be valid Unicode.
    write_atomically(path, text.encode(errors="replace"))


def count_trial(state_dir: Path, failed: GivenUp) -> None:
    """Count a failed trial on disk, unless it is in doubt or was an outage; durable when this returns. Raises OSError.

    It may be asked again when the doubt is settled: where the disk refused what comes after it.
    """
    before = load_given_up(state_dir)
    if before.doubt is not None and before.doubt.transaction == failed.transaction:
        return
    counted = {(entry.sha256, entry.transaction) for entry in before.outages}
    if (failed.sha256, failed.transaction) in counted:
        return
    after = replace(before, packages=add_failure(before.packages, failed))
    if after != before:
        save_given_up(state_dir, after)


def doubt_trial(state_dir: Path, ended: GivenUp) -> None:
    """Store that a trial lacked nothing but the cloud; `settle_doubt` counts it. Raises OSError."""
    before = load_given_up(state_dir)
    if before.doubt is not None and before.doubt.transaction != ended.transaction:
        # Nobody settled it, so it was no outage that was seen.
        before = before.settled(outage=False)
    save_given_up(state_dir, replace(before, doubt=ended))


def drop_doubt(state_dir: Path) -> None:
    """Forget a doubt: the version was confirmed after all. Raises OSError."""
    before = load_given_up(state_dir)
    if before.doubt is not None:
        save_given_up(state_dir, replace(before, doubt=None))


def settle_doubt(state_dir: Path, *, outage: bool) -> GivenUp | None:
    """Count the trial in doubt, and return it; None if there is none. Raises OSError."""
    before = load_given_up(state_dir)
    if before.doubt is not None:
        save_given_up(state_dir, before.settled(outage=outage))
    return before.doubt
