"""A device's life as one list: on and off line, orders and their events, voice, and who did what; newest first.

Each kind has a table of its own; a page is the newest of all of them before a time, and begins where the one before
ended. What is of a family that has gone is in none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.store.models import (
    AuditEntry,
    Device,
    OsVersion,
    OtaEventLine,
    OtaTask,
    Package,
    PresenceChange,
    Report,
    VoiceEntry,
)
from staging.store.ota import TaskView
from staging.store.ota_log import lines_of
from wire.reports import KEY_TROUBLE

PAGE_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened.

    Attributes:
        ts: when, in ms.
        kind: "online", "offline", "order", "event", "voice", "did" or "trouble".
        told: what is known of it, by names of its kind.
    """

    ts: int
    kind: str
    told: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as one object."""
        return {"ts": self.ts, "kind": self.kind, **self.told}


@dataclass(frozen=True, slots=True)
class _Span:
    """Of which device, and between which times: after ``since``, before ``before``."""

    device: Device
    before: int
    limit: int

    @property
    def since(self) -> int:
        return self.device.family_since


def page(
    session: Session, device_id: int, before: int | None, limit: int
) -> tuple[list[Moment], int | None]:
    """Return what happened last before a time (ms; None: now), newest first, and the ``before`` of the next page.

    What happened in the same millisecond stays together, so that a page may be a little longer than ``limit``.
    """
    span = _Span(session.get_one(Device, device_id), 2**62 if before is None else before, limit + 1)
    found = sorted(
        (moment for source in _SOURCES for moment in source(session, span)),
        key=lambda moment: moment.ts, reverse=True,
    )  # fmt: skip
    if len(found) <= limit:
        return found, None
    last = found[limit - 1].ts
    shown = [moment for moment in found if moment.ts >= last]
    return shown, last if any(moment.ts < last for moment in found) else None


def _presence(session: Session, span: _Span) -> Iterable[Moment]:
    of = PresenceChange
    where = of.device_id == span.device.id, of.ts > span.since, of.ts < span.before
    for row in session.scalars(select(of).where(*where).order_by(of.ts.desc()).limit(span.limit)):
        told = {} if row.online else {"reason": row.reason}
        yield Moment(row.ts, "online" if row.online else "offline", told)


def _orders(session: Session, span: _Span) -> Iterable[Moment]:
    of = OtaTask
    where = (
        of.device_id == span.device.id,
        of.create_time > span.since,
        of.create_time < span.before,
    )
    rows = session.execute(
        select(of.create_time, of.id, OsVersion.version)
        .join(Package, Package.id == of.package_id)
        .join(OsVersion, OsVersion.id == Package.os_version_id)
        .where(*where).order_by(of.create_time.desc()).limit(span.limit)
    )  # fmt: skip
    for ts, number, version in rows:
        yield Moment(ts, "order", {"task": number, "version": version})


def _events(session: Session, span: _Span) -> Iterable[Moment]:
    of = OtaEventLine
    where = OtaTask.device_id == span.device.id, of.ts > span.since, of.ts < span.before
    rows = session.execute(
        select(of.ts, of.event, of.percent, of.text, of.task_id)
        .join(OtaTask, OtaTask.id == of.task_id)
        .where(*where).order_by(of.ts.desc()).limit(span.limit)
    )  # fmt: skip
    for ts, event, percent, text, number in rows:
        yield Moment(
            ts, "event", {"task": number, "event": event, "percent": percent, "text": text}
        )


def _voice(session: Session, span: _Span) -> Iterable[Moment]:
    of = VoiceEntry
    where = of.device_id == span.device.id, of.start > span.since, of.start < span.before
    for row in session.scalars(
        select(of).where(*where).order_by(of.start.desc()).limit(span.limit)
    ):
        told = {
            "id": row.utterance, "segments": row.segments, "complete": row.complete,
            "why": row.why, "result": row.result, "erased": row.erase_time is not None,
        }  # fmt: skip
        yield Moment(row.start, "voice", told)


def _done(session: Session, span: _Span) -> Iterable[Moment]:
    of = AuditEntry
    where = of.device == span.device.uuid, of.ts > span.since, of.ts < span.before
    for row in session.scalars(select(of).where(*where).order_by(of.ts.desc()).limit(span.limit)):
        told = {
            "actor": row.actor, "source": row.source, "app": row.app, "action": row.action,
            "target": row.target, "outcome": row.outcome,
        }  # fmt: skip
        yield Moment(row.ts, "did", told)


def _trouble(session: Session, span: _Span) -> Iterable[Moment]:
    of = Report
    where = (
        of.device_id == span.device.id, of.key == KEY_TROUBLE, of.ts > span.since, of.ts < span.before
    )  # fmt: skip
    for row in session.scalars(select(of).where(*where).order_by(of.ts.desc()).limit(span.limit)):
        yield Moment(row.ts, "trouble", {"value": row.value})


_SOURCES: tuple[Callable[[Session, _Span], Iterable[Moment]], ...] = (
    _presence, _orders, _events, _voice, _done, _trouble,
)  # fmt: skip


def updates(session: Session, device_id: int, before: int | None, limit: int) -> list[TaskView]:
    """Return a device's orders with numbers below ``before``, newest first, with their logs; of its present family."""
    since = session.get_one(Device, device_id).family_since
    wanted = (
        select(OtaTask, OsVersion)
        .join(Package, Package.id == OtaTask.package_id)
        .join(OsVersion, OsVersion.id == Package.os_version_id)
        .where(OtaTask.device_id == device_id, OtaTask.create_time > since)
    )
    if before is not None:
        wanted = wanted.where(OtaTask.id < before)
    found = session.execute(wanted.order_by(OtaTask.id.desc()).limit(limit)).all()
    return [
        TaskView(task, target.id, target.version, lines_of(session, task.id, since))
        for task, target in found
    ]
