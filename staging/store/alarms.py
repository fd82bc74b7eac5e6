"""Alarms in the store: what is not right now, what becomes of the alarms, and who is to be told.

A battery is watched on machines of the staff alone: under development, bound to nobody or to a tester or operator. What a
family's machine reports is the family's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from staging.alarm_rules import Key, Kind, Seen, Settings, Sight, check_setting, step
from staging.errors import NotFoundError
from staging.identity.rights import IN_DEVELOPMENT, STAFF, Viewer
from staging.store import health
from staging.store.alarm_models import Alarm, AlarmSetting, Delivery, Webhook
from staging.store.device_list import among
from staging.store.models import ACTIVATED, Account, Binding, Device
from staging.times import iso, iso_or_none

DAY_MS = 86_400_000
# How long an alarm that has ended is shown.
KEPT_MS = 90 * DAY_MS
# Of one kind: more than may be open.
SEEN_LIMIT = 2000
BATTERY_BETWEEN = 10


def settings(session: Session) -> Settings:
    """Return the settings."""
    kept = {row.name: row.value for row in session.scalars(select(AlarmSetting))}
    return Settings(**{name: kept.get(name, value) for name, value in asdict(Settings()).items()})


def set_setting(session: Session, name: str, value: int) -> Settings:
    """Set one setting; raises FieldError."""
    check_setting(name, value)
    session.merge(AlarmSetting(name=name, value=value))
    session.flush()
    return settings(session)


def look(session: Session, online: Sequence[int], twins: Collection[str], now: int) -> list[Seen]:
    """Return everything that is not right."""
    wanted = settings(session)
    return [
        *_offline(session, wanted, online, now),
        *_versions(session, wanted, now),
        *_batteries(session, wanted),
        *(_clones(session, twins) if wanted.clone else ()),
    ]


def _offline(session: Session, wanted: Settings, online: Sequence[int], now: int) -> Iterator[Seen]:
    if not wanted.offline_minutes:
        return
    bound = (
        select(Binding.device_id).where(Binding.device_id == Device.id).correlate(Device).exists()
    )
    silent = (
        select(Device.id, Device.uuid, Device.last_heartbeat_time)
        .where(Device.status == ACTIVATED, or_(bound, Device.version == IN_DEVELOPMENT))
        .where(Device.last_heartbeat_time < now - wanted.offline_minutes * 60_000)
        .where(Device.id.not_in(among(session, online)))
        .order_by(_is_open(Kind.OFFLINE).desc(), Device.last_heartbeat_time.desc())
        .limit(SEEN_LIMIT)
    )
    for number, uuid, heard in session.execute(silent):
        yield Seen(Kind.OFFLINE, uuid, Sight.BAD, {"since": iso_or_none(heard)}, number)


def _is_open(kind: Kind) -> ColumnElement[bool]:
    """Return whether a device has an open alarm: what is seen of those may not be cut off, or they would end."""
    opened = select(Alarm.device_id).where(Alarm.kind == kind.value, Alarm.end_time.is_(None))
    return Device.id.in_(opened)


def _versions(session: Session, wanted: Settings, now: int) -> Iterator[Seen]:
    if not wanted.failing_percent:
        return
    for named in health.by_version(session, now - DAY_MS):
        failed, ended = named.health.failed, named.health.failed + named.health.succeeded
        if ended < wanted.failing_updates or not failed:
            continue
        percent = round(100 * failed / ended)
        if percent * 2 >= wanted.failing_percent:
            sight = Sight.BAD if percent >= wanted.failing_percent else Sight.BETWEEN
            detail = {"percent": percent, "failed": failed, "updates": ended}
            yield Seen(Kind.VERSION, f"{named.product} {named.name}", sight, detail)


def _batteries(session: Session, wanted: Settings) -> Iterator[Seen]:
    if not wanted.battery_percent:
        return
    staff = Account.role.in_([role.value for role in STAFF])
    low = (
        select(Device.id, Device.uuid, Device.battery)
        .outerjoin(Binding, Binding.device_id == Device.id)
        .outerjoin(Account, Account.id == Binding.account_id)
        .where(Device.battery < wanted.battery_percent + BATTERY_BETWEEN)
        .where(or_(Binding.device_id.is_(None), staff))
        .order_by(_is_open(Kind.BATTERY).desc(), Device.battery)
        .limit(SEEN_LIMIT)
    )
    for number, uuid, battery in session.execute(low):
        is_low = battery is not None and battery <= wanted.battery_percent
        sight = Sight.BAD if is_low else Sight.BETWEEN
        yield Seen(Kind.BATTERY, uuid, sight, {"percent": battery}, number)


def _clones(session: Session, twins: Collection[str]) -> Iterator[Seen]:
    found = select(Device.id, Device.uuid).where(Device.uuid.in_(list(twins)[:SEEN_LIMIT]))
    for number, uuid in session.execute(found) if twins else ():
        yield Seen(Kind.CLONE, uuid, Sight.BAD, {}, number)


def apply(session: Session, seen: Sequence[Seen], now: int) -> list[Alarm]:
    """Let alarms begin and end by what was seen; return those that did, and have webhooks told."""
    opened = {
        (alarm.kind, alarm.subject): alarm
        for alarm in session.scalars(select(Alarm).where(Alarm.end_time.is_(None)))
    }
    changes = step({key: alarm.clear_time for key, alarm in opened.items()}, seen, now)
    looks: dict[Key, Seen] = {each.key: each for each in seen}
    for key in changes.clear:
        opened[key].clear_time = now
    for key in changes.again:
        opened[key].clear_time = None
    for key, alarm in opened.items():
        if key in looks:
            alarm.detail = dict(looks[key].detail)
    changed = [_begin(session, each, now) for each in changes.begin]
    for key in changes.end:
        opened[key].end_time = now
        changed.append(opened[key])
    session.flush()
    _tell(session, changed, now)
    return changed


def _begin(session: Session, seen: Seen, now: int) -> Alarm:
    alarm = Alarm(
        kind=seen.kind.value, subject=seen.subject, device_id=seen.device_id, detail=dict(seen.detail),
        open_time=now,
    )  # fmt: skip
    session.add(alarm)
    return alarm


def _tell(session: Session, changed: Sequence[Alarm], now: int) -> None:
    hooks = session.scalars(select(Webhook.id).where(Webhook.is_on)).all()
    for alarm in changed if hooks else ():
        event = "alarm.ended" if alarm.end_time else "alarm.opened"
        body = json.dumps({"event": event, "alarm": to_json(alarm)}, ensure_ascii=False)
        for number in hooks:
            session.add(
                Delivery(
                    webhook_id=number, body=body, state="WAITING", next_time=now, create_time=now
                )
            )


def state_of(alarm: Alarm) -> str:
    """Return an alarm's state: open, acknowledged or ended."""
    if alarm.end_time is not None:
        return "ended"
    return "open" if alarm.ack_time is None else "acknowledged"


def to_json(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as page, command and webhook show it."""
    return {
        "id": alarm.id,
        "kind": alarm.kind,
        "subject": alarm.subject,
        "state": state_of(alarm),
        "detail": alarm.detail,
        "opened": iso(alarm.open_time),
        "acknowledgedBy": alarm.ack_by or None,
        "ended": None if alarm.end_time is None else iso(alarm.end_time),
    }


def listing(
    session: Session, *, ended: bool, limit: int, viewer: Viewer | None = None
) -> list[Alarm]:
    """Return alarms, newest first: the open ones, or with ``ended`` all.

    ``viewer``: without the batteries of machines that are somebody else's; None: with all.
    """
    wanted = select(Alarm) if ended else select(Alarm).where(Alarm.end_time.is_(None))
    if viewer is not None:
        others = select(Binding.device_id).where(Binding.account_id != viewer.account_id)
        hidden = and_(Alarm.kind == Kind.BATTERY.value, Alarm.device_id.in_(others))
        wanted = wanted.where(~hidden)
    return list(session.scalars(wanted.order_by(Alarm.id.desc()).limit(limit)))


def acknowledge(session: Session, number: int, who: str, now: int) -> Alarm:
    """Note that somebody has seen an alarm; again is no error. Raises NotFoundError."""
    alarm = session.get(Alarm, number)
    if alarm is None:
        raise NotFoundError(f"alarm {number}: there is none")
    if alarm.ack_time is None and alarm.end_time is None:
        alarm.ack_time, alarm.ack_by = now, who
    return alarm


def counts(session: Session) -> dict[str, int]:
    """Return how many alarms of each kind are open."""
    counted = select(Alarm.kind, func.count()).where(Alarm.end_time.is_(None)).group_by(Alarm.kind)
    return {kind: number for kind, number in session.execute(counted)}  # noqa: C416  # rows are no pairs to a type checker


def forget_old(session: Session, now: int) -> None:
    """Delete alarms that ended long ago."""
    session.execute(delete(Alarm).where(Alarm.end_time < now - KEPT_MS))
