"""STATE/slots/boot.json: which release is active, which one was before, which one is on trial.

The record alone decides what runs, so that renaming one file is the whole switch; the ``current``
link only follows it. Only `load`, `store` and `follow` do I/O. Standard library only: `launch`
imports this module before anything else may load.
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from base.files import make_folder, replace_symlink, write_atomically

# The same form as wire.ota.VERSION_PATTERN; strict, because a version is used as a folder name.
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,7}")


class BootRecordError(ValueError):
    """boot.json is damaged."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A version that is not confirmed yet; ``attempts`` counts its starts."""

    version: str
    attempts: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """The last version rolled back, why, and the update that had installed it (if on trial).

    ``damaged``: its files were not those of its package, so that fetching it again may help.
    """

    version: str
    reason: str
    transaction: str | None = None
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class BootRecord:
    """The content of boot.json; a version of None is the base install.

    ``base``: the version of the base install when the last trial began; None: unknown.
    """

    active: str | None = None
    previous: str | None = None
    trial: Trial | None = None
    last_rollback: Rollback | None = None
    base: str | None = None

    def activated(self, version: str, transaction: str) -> BootRecord:
        """Return the record with ``version`` active, on trial for ``transaction``; idempotent.

        A version still on trial for another update was never confirmed: it does not become
        ``previous``.
        """
        trial = self.trial
        if trial is not None and (trial.version, trial.transaction) == (version, transaction):
            return self
        before = self.active if trial is None else self.previous
        return BootRecord(version, before, Trial(version, 0, transaction), base=self.base)

    def attempted(self, base: str | None = None) -> BootRecord:
        """Count one start of the version on trial; ``base``: the base install that starts it."""
        if self.trial is None:
            return self
        began_over = self.base if self.trial.attempts else base
        trial = replace(self.trial, attempts=self.trial.attempts + 1)
        return replace(self, trial=trial, base=began_over)

    def confirmed(self) -> BootRecord:
        """End the trial and keep the active version."""
        return replace(self, trial=None)

    def rolled_back(self, reason: str, *, damaged: bool = False) -> BootRecord:
        """Return to the previous version, or to the base install if there is none."""
        gone, transaction = self.active, self.trial.transaction if self.trial else None
        rollback = None if gone is None else Rollback(gone, reason, transaction, damaged)
        return BootRecord(self.previous, None, None, rollback, self.base)

    def is_displaced_by(self, base: str | None) -> bool:
        """Return whether a base install that came after the active release is newer than it.

        False during a trial. The base that a release was installed over may be newer than it: that
        was a permitted downgrade.
        """
        if base is None or self.active is None or self.trial is not None or base == self.base:
            return False
        return version_order(base) > version_order(self.active)

    def displaced(self, base: str | None) -> BootRecord:
        """Make the base install active; no release stays active."""
        return BootRecord(None, None, None, self.last_rollback, base)


def version_order(version: str) -> tuple[int, ...]:
    """Return a sort key for a version, as `wire.ota.version_key` does; raises ValueError."""
    parts = [int(part) for part in version.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def is_version(text: str) -> bool:
    """Return whether a text is a version: numbers joined by dots."""
    return _VERSION.fullmatch(text) is not None


def parse_boot(text: str) -> BootRecord:
    """Parse boot.json strictly.

    Raises:
        BootRecordError: names the fault.
    """
    try:
        source = json.loads(text)
        record = BootRecord(
            active=_version(source["active"]),
            previous=_version(source["previous"]),
            trial=_trial(source["trial"]),
            last_rollback=_rollback(source["last_rollback"]),
            base=_version(source.get("base")),
        )
        # Of all members, as a later version may have more: those are for it alone, and are no damage.
        found = _sum({name: value for name, value in source.items() if name != "sum"})
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BootRecordError(f"boot.json: {type(error).__name__}: {error}") from error
    if record.trial is not None and record.trial.version != record.active:
        raise BootRecordError("boot.json: the version on trial is not the active one")
    if "sum" in source and source["sum"] != found:
        raise BootRecordError("boot.json: its members are not those that were written")
    return record


def _sum(members: dict[str, Any]) -> int:
    """Return the CRC-32 of the members: a flipped bit may make another version of one, which was never installed."""
    return zlib.crc32(json.dumps(members, ensure_ascii=False).encode(errors="replace"))


def _version(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and is_version(value)):
        raise ValueError(f"{value!r} is not a version")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _trial(value: dict[str, object] | None) -> Trial | None:
    if value is None:
        return None
    attempts = value["attempts"]
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 0:
        raise ValueError(f"{attempts!r} is not a count of attempts")
    version = _version(_text(value["version"])) or ""
    return Trial(version, attempts, _text(value["transaction"]))


def _rollback(value: dict[str, object] | None) -> Rollback | None:
    if value is None:
        return None
    transaction = value["transaction"]
    return Rollback(
        version=_version(_text(value["version"])) or "",
        reason=_text(value["reason"]),
        transaction=None if transaction is None else _text(transaction),
        damaged=value.get("damaged") is True,  # older versions do not write it
    )


def slots_folder(state_dir: Path) -> Path:
    """Return the folder of the releases and boot.json."""
    return state_dir / "slots"


def release_folder(state_dir: Path, version: str) -> Path:
    """Return the folder of one release."""
    return slots_folder(state_dir) / "releases" / version


def load(state_dir: Path) -> BootRecord:
    """Read boot.json; without the file, the base install is active.

    Raises:
        BootRecordError: the file is damaged.
        OSError: the file cannot be read.
    """
    path = slots_folder(state_dir) / "boot.json"
    try:
        return parse_boot(path.read_text("utf-8"))
    except FileNotFoundError:
        return BootRecord()


def store(state_dir: Path, record: BootRecord) -> None:
    """Write boot.json, then update ``current``; raises OSError if boot.json is not written."""
    folder = slots_folder(state_dir)
    make_folder(folder)
    members = _members(record)
    members["sum"] = _sum(members)
    text = json.dumps(members, ensure_ascii=False, indent=1)
    # A reason may quote a file name, which need not be valid Unicode.
    write_atomically(folder / "boot.json", text.encode(errors="replace"))
    follow(state_dir, record)


def _members(record: BootRecord) -> dict[str, Any]:
    """Return the record's members, without what a version of before would not know where it says nothing."""
    members = asdict(record)
    if record.last_rollback is not None and not record.last_rollback.damaged:
        del members["last_rollback"]["damaged"]
    return members


def follow(state_dir: Path, record: BootRecord) -> None:
    """Point ``current`` at the active release; a crash may have left it one switch behind.

    No code reads the link, so a failing disk or a folder in its place is ignored.
    """
    link = slots_folder(state_dir) / "current"
    target = None if record.active is None else f"releases/{record.active}"
    with contextlib.suppress(OSError):
        if (link.readlink().as_posix() if link.is_symlink() else None) != target:
            replace_symlink(link, target)
