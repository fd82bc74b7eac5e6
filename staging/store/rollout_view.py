"""A strategy's page as data: plan, state, numbers, and the devices on which it fails; the console and commands show it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from staging.identity import rights
from staging.identity.rights import Standing
from staging.rollouts import decision, settings
from staging.rollouts.decision import Health, State
from staging.rollouts.settings import FIELDS, Settings
from staging.store import coverage, history, rollout_acts, rollout_health, rollouts
from staging.store.coverage import FAILED, KIND, REFUSED_WORD
from staging.store.models import Binding, Device, OsVersion, OtaTask, Product, Strategy
from staging.store.rollout_models import Rollout

# Devices that are listed with why they failed, the latest first, and the last lines of their logs.
FAILING_LIMIT = 50
LOG_LINES = 20


def view(
    session: Session, strategy_id: int, now: int, account_id: int | None = None
) -> dict[str, Any]:
    """Return all that is known of a strategy; times in ms. Raises NotFoundError.

    ``account_id``: who looks; of a device in a family's hands no log is shown to anybody else.
    """
    strategy = rollouts.strategy_of(session, strategy_id)
    package, version = coverage.target_of(session, strategy)
    row = rollouts.row_of(session, strategy_id)
    progress = coverage.progress(session, strategy_id)
    return {
        "strategyId": strategy.id,
        "packageId": package.id,
        "version": version,
        "product": session.get_one(Product, package.product_id).name,
        "type": strategy.type,
        "status": strategy.status,
        "from": strategy.from_versions,
        "batches": strategy.batches,
        "forced": strategy.forced,
        "createTime": strategy.create_time,
        **_plan(row),
        **_state(session, strategy, row, now),
        "running": rollout_acts.running(session, strategy_id),
        "versions": [asdict(each) for each in progress.versions],
        "total": asdict(progress.total),
        "failing": _failing(session, strategy_id, account_id),
        "failingTotal": _failing_total(session, strategy_id),
    }


def preview(session: Session, strategy_id: int, now: int) -> dict[str, Any]:
    """Return whom publishing a strategy reaches, and whom it leaves out and why. Raises NotFoundError."""
    found = coverage.preview(session, strategy_id, now)
    row = rollouts.row_of(session, strategy_id)
    return {
        **asdict(found),
        "phases": [str(phase) for phase in rollouts.phases_of(row)],
        "running": rollout_acts.running(session, strategy_id),
    }


def _plan(row: Rollout | None) -> dict[str, Any]:
    opened = 0 if row is None else len(row.cuts or [])
    stored = {} if row is None else row.settings or {}
    return {
        "phases": [
            {"phase": str(phase), "open": number < opened}
            for number, phase in enumerate(rollouts.phases_of(row))
        ],
        "open": opened,
        "settings": {name: settings.value_of(stored, name) for name in FIELDS},
    }


def _state(session: Session, strategy: Strategy, row: Rollout | None, now: int) -> dict[str, Any]:
    """Return where a rollout stands: its health, what the next phase waits for, and why it was halted."""
    health = rollout_health.whole(session, strategy.id, now)
    wanted = settings.settings_of({} if row is None else row.settings or {})
    soaked = 0 if row is None else row.soaked
    is_gated = row is not None and 0 < len(row.cuts or []) < len(row.phases)
    return {
        "phaseTime": None if row is None else row.phase_time,
        "soaked": soaked // 1000,
        "waits": [wait.to_json() for wait in decision.waits(wanted, health, soaked / 1000)]
        if is_gated and strategy.status == State.PUBLISHED
        else [],
        "reason": {} if row is None else row.reason or {},
        "recall": row is not None and row.recall,
        "health": _health(health, wanted),
    }


def _health(health: Health, wanted: Settings) -> dict[str, Any]:
    counts = health.counts
    return {
        **asdict(counts),
        "updated": health.updated,
        "linked": health.linked,
        "hours": round(health.hours, 1),
        "crashing": health.crashing,
        "played": health.played,
        "heard": health.heard,
        "waiting": health.waiting,
        "retrying": health.retrying,
        "success": health.success,
        "wantedSuccess": wanted.success,
    }


def _failing(session: Session, strategy_id: int, account_id: int | None) -> list[dict[str, Any]]:
    rows = session.execute(
        select(OtaTask, Device, OsVersion.version, Binding.account_id)
        .join(Device, Device.id == OtaTask.device_id)
        .outerjoin(OsVersion, OsVersion.id == OtaTask.from_version_id)
        .outerjoin(Binding, Binding.device_id == Device.id)
        .where(coverage.last_orders(strategy_id), KIND.in_([FAILED, REFUSED_WORD]))
        .order_by(func.coalesce(OtaTask.end_time, OtaTask.update_time).desc(), OtaTask.id.desc())
        .limit(FAILING_LIMIT)
    ).all()
    tries = _tries(session, strategy_id, [device.id for _, device, _, _ in rows])
    return [
        {
            "uuid": device.uuid,
            "from": version or "",
            "failure": task.failure or "",
            "time": task.end_time or task.update_time,
            "orders": tries[device.id],
            "log": _log(session, device, task, owner, account_id),
        }
        for task, device, version, owner in rows
    ]


def _tries(session: Session, strategy_id: int, device_ids: list[int]) -> dict[int, int]:
    counted = (
        select(OtaTask.device_id, func.count())
        .where(OtaTask.strategy_id == strategy_id, OtaTask.device_id.in_(device_ids))
        .group_by(OtaTask.device_id)
    )
    return {int(number): int(count) for number, count in session.execute(counted)}


def _log(
    session: Session, device: Device, task: OtaTask, owner: int | None, account_id: int | None
) -> list[str] | None:
    """Return the last lines that the version logged; None: they are a family's."""
    # A log names what was played: it is of the family, as all that a machine tells (docs/accounts.md).
    if rights.standing(device.version, owner, account_id or 0) is Standing.FAMILY:
        return None
    return history.trial_log(session, device.id, task.id)[-LOG_LINES:]


def _failing_total(session: Session, strategy_id: int) -> int:
    counted = select(func.count()).select_from(OtaTask)
    wanted = (coverage.last_orders(strategy_id), KIND.in_([FAILED, REFUSED_WORD]))
    return session.scalar(counted.where(*wanted)) or 0
