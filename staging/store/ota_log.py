"""The log of an OTA task: what its device answered to the order, and the events that it reported."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.store import order_rules
from staging.store.models import OtaEventLine, OtaTask
from wire.ota import OtaEventReport

# A device's answer or description can be long; an event log must stay readable.
TEXT_LIMIT = 500


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line of a task's log: ``ts`` in ms, ``event`` is None for the device's answer to the order."""

    ts: int
    event: int | None
    percent: float | None
    text: str
    """As the ``eventLog`` has it: an event's report as JSON, or the answer."""


def lines_of(session: Session, task_id: int, since: int) -> list[EventLine]:
    """Return a task's lines after ``since``, ms."""
    found = session.execute(
        select(OtaEventLine.ts, OtaEventLine.event, OtaEventLine.percent, OtaEventLine.text)
        .where(OtaEventLine.task_id == task_id, OtaEventLine.ts > since)
        # The answer to the order comes first, even if the device's first event overtook it.
        .order_by(OtaEventLine.event.is_not(None), OtaEventLine.id)
    )
    return [EventLine(*line) for line in found]


def add_event(session: Session, task: OtaTask, report: OtaEventReport, now: int) -> None:
    """Add a reported event, unless it is the line before again or too close to it (`order_rules.keeps_line`)."""
    event, percent, text = int(report.event), report.percent, _event_text(report)
    lines = list(
        session.scalars(
            select(OtaEventLine).where(OtaEventLine.task_id == task.id).order_by(OtaEventLine.id)
        )
    )
    if lines and lines[-1].text == text:
        return  # reports arrive at least once; a repeated line is the same event
    previous = [line.percent for line in lines if line.event == event]
    if order_rules.keeps_line(previous[-1] if previous else None, percent, len(lines)):
        add_line(session, task, text, now, event, percent)


def _event_text(report: OtaEventReport) -> str:
    value = report.to_json()
    if report.percent is not None and report.percent.is_integer():
        value["percent"] = int(report.percent)  # the document's log has 0, not 0.0
    if report.description:
        value["description"] = report.description[:TEXT_LIMIT]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def add_line(
    session: Session,
    task: OtaTask,
    text: str,
    now: int,
    event: int | None = None,
    percent: float | None = None,
) -> None:
    """Add a line at ``now``, ms; without ``event`` it is the device's answer to the order."""
    session.add(OtaEventLine(task_id=task.id, ts=now, event=event, percent=percent, text=text))
    session.flush()
