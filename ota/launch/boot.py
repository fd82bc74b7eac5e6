"""STATE/slots/boot.json: which release is active, which came before, which one is on trial.

The record decides what runs and the ``current`` link follows it, so that one rename of one file is
the whole switch. Changes are pure; `load` and `store` are the only I/O. Standard library only:
`launch` reads this before anything else may load.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from base.files import make_folder, replace_symlink, write_atomically

# The same form as wire.ota.VERSION_PATTERN; a version names a folder here, nothing else may pass.
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,7}")


class BootRecordError(ValueError):
    """boot.json is not a record that this module wrote."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A version that has not proved itself yet; ``attempts`` counts its starts."""

    version: str
    attempts: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """The version that was last given up, why, and the update that had brought it (if on trial)."""

    version: str
    reason: str
    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class BootRecord:
    """What boot.json holds; a version of None is the base install.

    ``base``: the base install that the last trial began over; None: not known.
    """

    active: str | None = None
    previous: str | None = None
    trial: Trial | None = None
    last_rollback: Rollback | None = None
    base: str | None = None

    def activated(self, version: str, transaction: str) -> BootRecord:
        """Make ``version`` active, on trial for ``transaction``; the same again changes nothing.

        What still is on trial for another update never proved itself: it is no way back.
        """
        trial = self.trial
        if trial is not None and (trial.version, trial.transaction) == (version, transaction):
            return self
        before = self.active if trial is None else self.previous
        return BootRecord(version, before, Trial(version, 0, transaction), base=self.base)

    def attempted(self, base: str | None = None) -> BootRecord:
        """Count one start of the version on trial; ``base`` is the base install that starts it."""
        if self.trial is None:
            return self
        began_over = self.base if self.trial.attempts else base
        trial = replace(self.trial, attempts=self.trial.attempts + 1)
        return replace(self, trial=trial, base=began_over)

    def confirmed(self) -> BootRecord:
        """End the trial: the active version stays."""
        return replace(self, trial=None)

    def rolled_back(self, reason: str) -> BootRecord:
        """Give the active version up and go back to the previous one, in the end to the base."""
        gone, transaction = self.active, self.trial.transaction if self.trial else None
        rollback = None if gone is None else Rollback(gone, reason, transaction)
        return BootRecord(self.previous, None, None, rollback, self.base)

    def is_displaced_by(self, base: str | None) -> bool:
        """Whether a base install that came after the active release is newer than it.

        Never during a trial. The base that a release was installed over may be newer than it: that
        was a permitted downgrade.
        """
        if base is None or self.active is None or self.trial is not None or base == self.base:
            return False
        return version_order(base) > version_order(self.active)

    def displaced(self, base: str | None) -> BootRecord:
        """Give way to the base install; no release stays active."""
        return BootRecord(None, None, None, self.last_rollback, base)


def version_order(version: str) -> tuple[int, ...]:
    """Return what orders versions as `wire.ota.version_key` does; raises ValueError."""
    parts = [int(part) for part in version.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def is_version(text: str) -> bool:
    """Whether a text is numbers joined by dots."""
    return _VERSION.fullmatch(text) is not None


def parse_boot(text: str) -> BootRecord:
    """Read boot.json strictly.

    Raises:
        BootRecordError: says what is wrong with it.
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
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BootRecordError(f"boot.json: {type(error).__name__}: {error}") from error
    if record.trial is not None and record.trial.version != record.active:
        raise BootRecordError("boot.json: the version on trial is not the active one")
    return record


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
    )


def slots_folder(state_dir: Path) -> Path:
    """Return where the releases and boot.json live."""
    return state_dir / "slots"


def release_folder(state_dir: Path, version: str) -> Path:
    """Return the folder of one release."""
    return slots_folder(state_dir) / "releases" / version


def load(state_dir: Path) -> BootRecord:
    """Read boot.json; a machine without one runs the base.

    Raises:
        BootRecordError: the file is damaged.
        OSError: it cannot be read.
    """
    path = slots_folder(state_dir) / "boot.json"
    try:
        return parse_boot(path.read_text("utf-8"))
    except FileNotFoundError:
        return BootRecord()


def store(state_dir: Path, record: BootRecord) -> None:
    """Write boot.json, then let ``current`` follow; raises OSError when boot.json is not written."""
    folder = slots_folder(state_dir)
    make_folder(folder)
    text = json.dumps(asdict(record), ensure_ascii=False, indent=1)
    # A reason may quote a file's name, which need not be Unicode.
    write_atomically(folder / "boot.json", text.encode(errors="replace"))
    follow(state_dir, record)


def follow(state_dir: Path, record: BootRecord) -> None:
    """Point ``current`` at the active release; a crash may have left it one switch behind.

    Nothing that runs reads it. A disk that does not take it, or a folder in its place, undoes no switch.
    """
    link = slots_folder(state_dir) / "current"
    target = None if record.active is None else f"releases/{record.active}"
    with contextlib.suppress(OSError):
        if (link.readlink().as_posix() if link.is_symlink() else None) != target:
            replace_symlink(link, target)
