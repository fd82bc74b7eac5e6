"""The page that an operator sees first: how many are connected, what is wrong, how versions and batches do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from staging.alarm_rules import OPEN_LIMIT
from staging.console.call import Call, number_of
from staging.identity.rights import Viewer
from staging.store import alarms, health
from staging.store.health import DAY_MS, HOUR_MS, Health, Named
from wire.errors import FieldError

HOURS = (1, 6, 24, 168)
POINTS = 240
ALARMS_SHOWN = 50
LISTENING_SHOWN = 10


async def show(call: Call) -> Response:
    """Return the samples, alarms and health of the last ``hours``."""
    hours = call.query_int("hours") or 24
    if hours not in HOURS:
        raise FieldError("hours", hours, f"one of {', '.join(map(str, HOURS))}")
    now = call.services.clock()
    shown = await call.services.database.read(_dashboard, call.session.viewer, now, hours)
    return JSONResponse(shown | {"online": len(call.services.gateway.sessions.by_uuid)})


async def acknowledge(call: Call) -> Response:
    """Note that the caller has seen an alarm."""
    number, now = number_of(call, "alarm"), call.services.clock()
    call.done.target = f"alarm {number}"
    who = call.session.user_name
    alarm = await call.services.database.write(alarms.acknowledge, number, who, now)
    return JSONResponse(alarms.to_json(alarm))


def _dashboard(session: Session, viewer: Viewer, now: int, hours: int) -> dict[str, Any]:
    since = now - hours * HOUR_MS
    versions, batches = health.by_version(session, since), health.by_batch(session, since)
    found = alarms.listing(session, ended=True, limit=OPEN_LIMIT, viewer=viewer)
    opened = [alarm for alarm in found if alarm.end_time is None]
    recent = [alarm for alarm in found if alarm.end_time and alarm.end_time > now - DAY_MS]
    return {
        "time": now,
        "hours": hours,
        "samples": [
            [each.ts, each.online, each.devices, each.updating]
            for each in health.samples(session, since, POINTS)
        ],
        "alarms": [alarms.to_json(alarm) for alarm in [*opened, *recent][:ALARMS_SHOWN]],
        "devices": sum(each.health.devices for each in versions),
        "updating": health.updating(session),
        "open": sum(alarms.counts(session).values()),
        "versions": [to_json(each) for each in versions],
        "batches": [to_json(each) for each in batches],
        "listening": _badly(versions, "version") + _badly(batches, "batch"),
    }


def _badly(every: Sequence[Named], kind: str) -> list[dict[str, Any]]:
    """Return those that listen badly, the worst first."""
    bad = [each for each in every if each.health.listens_badly > 0]
    bad.sort(key=lambda each: -each.health.listens_badly)
    return [to_json(each) | {"kind": kind} for each in bad[:LISTENING_SHOWN]]


def to_json(named: Named) -> dict[str, Any]:
    """Return a version's or a batch's health as page and command show it."""
    return {"product": named.product, "name": named.name, **figures(named.health)}


def figures(found: Health) -> dict[str, Any]:
    """Return the figures of a health; null where nothing is known."""
    counts = found.counts
    return {
        "devices": found.devices,
        "connectedHours": round(found.hours, 2),
        "linkUp": _rounded(found.link_up),
        "crashes": counts.crashes,
        "crashFreeHours": _rounded(found.crash_free_hours),
        "plays": counts.plays,
        "failedPlays": counts.failed_plays,
        "pressSeconds": _rounded(found.press_seconds),
        "updatesSucceeded": found.succeeded,
        "updatesFailed": found.failed,
        "updateBytes": counts.update_bytes,
        "listened": counts.listened,
        "micFaults": counts.mic_faults,
        "unsent": counts.unsent,
        "sentences": counts.sentences,
        "notUnderstood": counts.not_understood,
    }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)
