"""What is known of the machines that a rollout has ordered (`staging.rollouts.decision.Health`), from the store.

An order that its device refused, or that was cancelled, says nothing of the version and is not counted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Subquery, Text, and_, case, cast, exists, func, or_, select
from sqlalchemy.orm import Session

from staging.rollouts.decision import Health
from staging.rollouts.evidence import Counts
from staging.store import coverage, rollouts, silent_orders
from staging.store.coverage import FAILED, KIND, RUNNING, SUCCESS
from staging.store.models import (
    KIND_REPORT,
    Device,
    OtaTask,
    Report,
    ReportEpoch,
    Strategy,
)
from staging.store.order_rules import Status
from staging.store.releases import StrategyType
from staging.store.rollout_models import Rollout

# A machine that was heard of this long after its update has its link: it told the success itself, over the first one.
LINK_MS = 60_000
# A machine that restarted into the version and says nothing for this long may be dead: the trial takes two minutes.
STUCK_MS = 1_800_000
# Agents that start more often than so are taken to crash; a child switches its machine on and off.
STARTS_ALLOWED, STARTS_A_DAY = 3, 6
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
# How long before its update a machine must have played to be asked whether it plays since.
PLAYED_MS = 7 * DAY_MS
# Machines that are asked that, at most: a handful is enough.
PLAYERS_LIMIT = 500
PLAYER = "player"
# How the value of `player` says so: agents report it as a text of JSON; others may leave out the blank, or send the object.
_PLAYING = (
    r"\"state\": \"playing\"",
    r"\"state\":\"playing\"",
    '"state": "playing"',
    '"state":"playing"',
)


def measure(session: Session, strategy: Strategy, row: Rollout, now: int) -> Health:
    """Return what is known at ``now`` (ms), without `Health.waiting`."""
    orders = _orders(strategy.id, row.since, now)
    lower = coverage.lower_versions(session, strategy)
    marks = _marks(strategy, row, orders, lower, now)
    found = session.execute(
        select(*(value.label(name) for name, value in marks.items()))
        .select_from(orders)
        .join(Device, Device.id == orders.c.device)
    ).one()
    numbers = {name: int(value or 0) for name, value in found._mapping.items()}  # noqa: SLF001  # the row's mapping
    played, heard = _players(session, orders, lower)
    return Health(
        Counts(numbers["well"], numbers["recovered"], numbers["suspect"], numbers["bad"]),
        running=numbers["running"],
        retrying=numbers["retrying"],
        linked=numbers["linked"],
        hours=numbers["ms"] / HOUR_MS,
        crashing=numbers["crashing"],
        played=played,
        heard=heard,
    )


def _orders(strategy_id: int, since: int, now: int) -> Subquery:
    """Return, for each device, its orders since then: how many failed, run, are stuck, and when it succeeded."""

    def count(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((and_(*conditions), 1), else_=0))

    stuck = and_(OtaTask.status == Status.INSTALLED.value, OtaTask.update_time < now - STUCK_MS)
    ended = func.coalesce(OtaTask.end_time, OtaTask.update_time)
    return (
        select(
            OtaTask.device_id.label("device"),
            count(KIND == FAILED).label("fails"),
            count(KIND == RUNNING, ~stuck).label("runs"),
            count(stuck).label("stuck"),
            count(KIND.in_([FAILED, RUNNING, SUCCESS])).label("tries"),
            func.max(case((KIND == SUCCESS, ended))).label("done"),
            func.max(case((KIND == FAILED, ended))).label("failed"),
        )
        .where(OtaTask.strategy_id == strategy_id, OtaTask.create_time >= since)
        .group_by(OtaTask.device_id)
        .subquery()
    )


def _marks(
    strategy: Strategy, row: Rollout, orders: Subquery, lower: Collection[int], now: int
) -> dict[str, ColumnElement[Any]]:
    """Return what is summed up over the devices, by its name in `measure`."""
    of = orders.c
    went_back = and_(of.done.is_not(None), Device.os_version_id.in_(list(lower)))
    has_it = and_(of.done.is_not(None), ~went_back)
    once = and_(of.done.is_(None), or_(of.fails == 1, and_(of.fails == 0, of.stuck > 0)))
    starts = (
        select(func.count())
        .where(ReportEpoch.device_id == Device.id, ReportEpoch.use_time > of.done)
        .correlate(Device, orders)
        .scalar_subquery()
    )
    since_done = case(
        (Device.last_heartbeat_time > of.done, Device.last_heartbeat_time - of.done), else_=0
    )
    crashes = and_(has_it, starts > STARTS_ALLOWED + STARTS_A_DAY * (since_done // DAY_MS))
    # What is off for longer is waited for by nobody: it may be in a drawer.
    reached = Device.last_heartbeat_time.between(now - coverage.REACH_MS, now + coverage.REACH_MS)
    again = and_(reached, or_(of.runs > 0, _gets_another(strategy, row, orders)))
    sums = {
        "well": and_(has_it, of.fails == 0),
        "recovered": and_(has_it, of.fails > 0),
        "suspect": once,
        "bad": or_(went_back, and_(of.done.is_(None), of.fails >= 2)),
        "running": and_(of.done.is_(None), of.fails == 0, of.runs > 0, reached),
        "retrying": and_(once, again),
        "linked": and_(has_it, Device.last_heartbeat_time >= of.done + LINK_MS),
        "crashing": crashes,
    }
    return {
        **{name: func.sum(case((condition, 1), else_=0)) for name, condition in sums.items()},
        "ms": func.sum(case((and_(has_it, ~crashes), since_done), else_=0)),
    }


def _gets_another(strategy: Strategy, row: Rollout, orders: Subquery) -> ColumnElement[bool]:
    """Return the condition for devices that the cloud orders the same once more by itself."""
    of = orders.c
    silent = strategy.type == StrategyType.SILENT.value
    tries = silent_orders.tries_of(row) if silent else 0
    return and_(of.stuck == 0, of.fails > 0, of.tries < tries)


def _players(session: Session, orders: Subquery, lower: Collection[int]) -> tuple[int, int]:
    """Return how many updated machines played in the week before, and how many of those since."""
    of = orders.c
    some = (
        select(of.device, of.done)
        .join(Device, Device.id == of.device)
        .where(of.done.is_not(None), Device.os_version_id.not_in(list(lower)))
        .order_by(of.device)
        .limit(PLAYERS_LIMIT)
        .subquery()
    )
    before = _played(some, Report.ts.between(some.c.done - PLAYED_MS, some.c.done))
    since = _played(some, Report.ts > some.c.done)
    counted = select(func.count(), func.sum(case((since, 1), else_=0))).select_from(some)
    played, heard = session.execute(counted.where(before)).one()
    return int(played or 0), int(heard or 0)


def _played(some: Subquery, when: ColumnElement[bool]) -> ColumnElement[bool]:
    text = cast(Report.value, Text)
    said = or_(*(text.contains(words, autoescape=True, escape="#") for words in _PLAYING))
    return exists().where(
        Report.device_id == some.c.device,
        Report.key == PLAYER,
        Report.kind == KIND_REPORT,
        when,
        said,
    )


def whole(session: Session, strategy_id: int, now: int) -> Health:
    """Return what is known, with `Health.waiting`; raises NotFoundError."""
    strategy = rollouts.strategy_of(session, strategy_id)
    row = rollouts.row_of(session, strategy_id) or rollouts.new_row(strategy_id)
    found = measure(session, strategy, row, now)
    return replace(found, waiting=coverage.waiting(session, strategy, row, now))
