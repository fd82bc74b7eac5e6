"""Deletes what is older than it has to be kept, in steps that hold nobody up.

Of every data point the newest value stays, however old it is: it is the present state. The child's voice has
days of its own (`voice_ledger`). Each function is one short transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session, aliased

from staging.store.models import (
    Device,
    OsVersion,
    OtaEventLine,
    OtaTask,
    Package,
    Report,
    ReportEpoch,
)
from wire.reports import KEYS_VOICE
from wire.utterance_times import KEY_UTTERANCE_TIMES

# Rows of one step: some milliseconds of the writer.
STEP_ROWS = 500
# Devices that are looked at in one read.
DEVICES_STEP = 100

REPORT_DAYS = 400
DAY_MS = 86_400_000
# Of the child's voice, which has days of its own (`voice_ledger`).
_VOICE = (*KEYS_VOICE, KEY_UTTERANCE_TIMES)


def with_old_entries(session: Session, after: int, before: int) -> Sequence[int]:
    """Return the next devices (numbers above ``after``) that have an entry before ``before`` (ms)."""
    oldest = select(func.min(Report.ts)).where(Report.device_id == Device.id).scalar_subquery()
    wanted = select(Device.id).where(Device.id > after, oldest < before)
    return session.scalars(wanted.order_by(Device.id).limit(DEVICES_STEP)).all()


def prune_reports(session: Session, device_id: int, before: int) -> int:
    """Delete some of a device's entries before ``before`` (ms); return how many.

    The newest of each key and kind stays.
    """
    newer = aliased(Report)
    is_replaced = exists().where(
        newer.device_id == Report.device_id,
        newer.key == Report.key,
        newer.kind == Report.kind,
        newer.ts > Report.ts,
    )
    old = (
        select(Report.ts)
        .where(Report.device_id == device_id, Report.ts < before)
        .where(Report.key.not_in(_VOICE), is_replaced)
    )
    return _delete(session, device_id, session.scalars(old.limit(STEP_ROWS)).all())


def _delete(session: Session, device_id: int, times: Sequence[int]) -> int:
    if times:
        gone = delete(Report).where(Report.device_id == device_id, Report.ts.in_(times))
        session.connection().execute(gone)
    return len(times)


def prune_rest(session: Session, before: int) -> int:
    """Delete some of what only old reports needed: log lines of updates, numbers of reports; return how many.

    Each device's last update keeps its lines.
    """
    last = select(func.max(OtaTask.id)).group_by(OtaTask.device_id)
    lines = session.scalars(
        select(OtaEventLine.id)
        .where(OtaEventLine.ts < before, OtaEventLine.task_id.not_in(last))
        .limit(STEP_ROWS)
    ).all()
    if lines:
        session.execute(delete(OtaEventLine).where(OtaEventLine.id.in_(lines)))
    epochs = session.execute(
        select(ReportEpoch.device_id, ReportEpoch.epoch)
        .where(ReportEpoch.use_time < before)
        .limit(STEP_ROWS)
    ).all()
    for device_id, epoch in epochs:
        session.execute(
            delete(ReportEpoch).where(
                ReportEpoch.device_id == device_id, ReportEpoch.epoch == epoch
            )
        )
    return len(lines) + len(epochs)


def prune_versions(session: Session) -> int:
    """Delete some versions that no device runs or was updated from, and no package brings; return how many."""
    left = select(OtaTask.from_version_id).where(OtaTask.from_version_id.is_not(None))
    unused = (
        select(OsVersion.id)
        .where(OsVersion.id.not_in(select(Device.os_version_id)))
        .where(OsVersion.id.not_in(left))
        .where(OsVersion.id.not_in(select(Package.os_version_id)))
    )
    # The first version stays: new devices begin with it.
    first = select(func.min(OsVersion.id)).group_by(OsVersion.product_id)
    found = session.scalars(unused.where(OsVersion.id.not_in(first)).limit(STEP_ROWS)).all()
    if found:
        session.execute(delete(OsVersion).where(OsVersion.id.in_(found)))
    return len(found)
