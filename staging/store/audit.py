"""The audit log: who did what to which device or account, when, and from where.

An entry has no content: no value that was set, no title, no sound and no secret. ``subject_id`` is the account
whose device or account it was done to, at that time, so that a family sees what was done to theirs and the next
owner of a machine sees nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from staging.store.models import AuditEntry, Binding, Device
from wire.profile import UUID_PATTERN

# Entries that are kept: at 300 bytes each they take some 300 MB; the oldest go first.
ENTRIES_LIMIT = 1_000_000
# How long an entry is kept: 400 days, so that a year ago can be compared.
KEPT_MS = 400 * 86_400_000
TEXT_LIMIT = 255
DONE = "done"


class Source(StrEnum):
    """From where something was done."""

    CONSOLE = "console"
    API = "api"
    COMMAND = "command"
    UPGRADE = "upgrade"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done, or refused.

    Attributes:
        ts: when, ms.
        source: from where.
        actor: the user name of who did it; of a command, the system's user.
        action: a name such as ``device.unbind``.
        actor_id: the account that did it; None: a command.
        role: the role of that account.
        app: the name of the app by which it was done.
        device: the device's uuid.
        subject_id: the account that it was done to; None: the device's owner when it is stored.
        target: what it was done to where that is no device.
        outcome: ``done``, or the code of the refusal.
    """

    ts: int
    source: Source
    actor: str
    action: str
    actor_id: int | None = None
    role: str = ""
    app: str = ""
    device: str = ""
    subject_id: int | None = None
    target: str = ""
    outcome: str = DONE


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries; what is None or empty does not matter."""

    device: str = ""
    actor: str = ""
    subject_id: int | None = None
    before: int | None = None
    """Only entries with a smaller id."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions for a statement."""
        wanted: list[ColumnElement[bool]] = []
        if self.device:
            wanted.append(AuditEntry.device == self.device)
        if self.actor:
            wanted.append(AuditEntry.actor == self.actor)
        if self.subject_id is not None:
            wanted.append(AuditEntry.subject_id == self.subject_id)
        if self.before is not None:
            wanted.append(AuditEntry.id < self.before)
        return wanted


def add(session: Session, entries: Iterable[Entry]) -> None:
    """Store entries."""
    for entry in entries:
        device = entry.device if UUID_PATTERN.fullmatch(entry.device) else ""
        subject = entry.subject_id
        if subject is None and device:
            subject = _owner(session, device)
        session.add(
            AuditEntry(
                ts=entry.ts,
                source=entry.source.value,
                actor=_clean(entry.actor),
                actor_id=entry.actor_id,
                role=entry.role,
                app=_clean(entry.app),
                action=entry.action,
                device=device,
                subject_id=subject,
                target=_clean(entry.target),
                outcome=entry.outcome,
            )
        )


def page(session: Session, wanted: Filter, limit: int) -> Sequence[AuditEntry]:
    """Return entries, newest first, at most ``limit``."""
    statement = select(AuditEntry).where(*wanted.conditions())
    return session.scalars(statement.order_by(AuditEntry.id.desc()).limit(limit)).all()


def purge(session: Session, now: int, limit: int = ENTRIES_LIMIT) -> None:
    """Delete entries that are older than `KEPT_MS`, and the oldest beyond ``limit``."""
    session.execute(delete(AuditEntry).where(AuditEntry.ts < now - KEPT_MS))
    surplus = (session.scalar(select(func.count()).select_from(AuditEntry)) or 0) - limit
    if surplus > 0:
        first = select(AuditEntry.id).order_by(AuditEntry.id).offset(surplus).limit(1)
        session.execute(delete(AuditEntry).where(AuditEntry.id < first.scalar_subquery()))


def _clean(text: str) -> str:
    """Return a text that every database takes, and that stays on its line in a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:TEXT_LIMIT])


def _owner(session: Session, uuid: str) -> int | None:
    return session.scalar(
        select(Binding.account_id)
        .join(Device, Device.id == Binding.device_id)
        .where(Device.uuid == uuid)
    )
