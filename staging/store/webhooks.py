"""Webhooks and what is sent to them: each message is tried again after longer and longer pauses, and then given up."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.store.alarm_models import Delivery, Webhook
from staging.times import iso_or_none
from wire.errors import FieldError
from wire.text import is_printable

URL_LIMIT = 1000
HOOKS_LIMIT = 10
WAITING, DONE, GIVEN_UP = "WAITING", "DONE", "GIVEN_UP"
# Pauses after each failure, in seconds; after the last one the message is given up: 14 hours in all.
PAUSES = (15, 60, 300, 900, 1800, 3600, 3600, 7200, 14400, 18000)
KEPT_MS = 7 * 86_400_000
PROBLEM_LIMIT = 200
# Messages that wait for one receiver that is away; the oldest are given up beyond it.
WAITING_LIMIT = 1000
# Messages of one webhook that are shown.
SHOWN = 5
SWITCHED_OFF = "switched off before it was sent"


def check_url(url: str) -> str:
    """Return an address that a webhook may have; raises FieldError."""
    expected = f"https://HOST/… of at most {URL_LIMIT} characters, without user, password and #"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FieldError("url", url, expected) from None
    good = parts.scheme == "https" and parts.hostname and port != 0
    bad = parts.username is not None or parts.password is not None or parts.fragment
    if not good or bad or len(url) > URL_LIMIT or not is_printable(url) or " " in url:
        raise FieldError("url", "an address with a user or password" if bad else url, expected)
    return url


def add(session: Session, url: str, now: int) -> Webhook:
    """Add a webhook with a new secret; raises FieldError, StagingError."""
    check_url(url)
    every = session.scalars(select(Webhook)).all()
    if any(each.url == url for each in every):
        raise StagingError(f"webhook {url}: there is one already")
    if len(every) >= HOOKS_LIMIT:
        raise StagingError(f"there are {HOOKS_LIMIT} webhooks already, expected at most so many")
    made = Webhook(url=url, secret=secrets.token_hex(32), create_time=now)
    session.add(made)
    session.flush()
    return made


@dataclass(frozen=True, slots=True)
class Told:
    """A webhook, its newest messages (the newest first), the one that was tried last, and how many wait."""

    hook: Webhook
    newest: Sequence[Delivery]
    tried: Delivery | None
    waiting: int


def listing(session: Session) -> list[Told]:
    """Return the webhooks, oldest first."""
    found = []
    for hook in session.scalars(select(Webhook).order_by(Webhook.id)).all():
        of_hook = Delivery.webhook_id == hook.id
        newest = select(Delivery).where(of_hook).order_by(Delivery.id.desc()).limit(SHOWN)
        # Messages go in their order, so what was tried last may be older than all of these.
        tried = select(Delivery).where(of_hook, Delivery.try_time.is_not(None))
        last = tried.order_by(Delivery.try_time.desc(), Delivery.id.desc()).limit(1)
        waits = select(func.count()).where(of_hook, Delivery.state == WAITING)
        found.append(
            Told(
                hook,
                session.scalars(newest).all(),
                session.scalar(last),
                session.scalar(waits) or 0,
            )
        )
    return found


def to_json(told: Told) -> dict[str, Any]:
    """Return a webhook as page and command show it: without its secret; ``last…`` are of its newest message."""
    last = told.newest[0] if told.newest else None
    return {
        "id": told.hook.id,
        "url": told.hook.url,
        "on": told.hook.is_on,
        "waiting": told.waiting,
        "lastState": None if last is None else last.state,
        "lastTries": 0 if last is None else last.tries,
        "lastProblem": "" if last is None else last.problem,
        "nextTry": None if last is None else _next_try(last),
    }


def message_to_json(message: Delivery) -> dict[str, Any]:
    """Return a message as the page shows it: of its body the event, and what the alarm is about."""
    body = json.loads(message.body)
    alarm = body.get("alarm", {})
    return {
        "id": message.id,
        "event": body["event"],
        "kind": alarm.get("kind"),
        "subject": alarm.get("subject"),
        "state": message.state,
        "tries": message.tries,
        "problem": message.problem,
        "created": iso_or_none(message.create_time),
        "tried": iso_or_none(message.try_time),
        "nextTry": _next_try(message),
    }


def _next_try(message: Delivery) -> str | None:
    return iso_or_none(message.next_time) if message.state == WAITING else None


def switch(session: Session, number: int, *, on: bool) -> Webhook:
    """Switch a webhook on or off; what waits when it is switched off is given up. Raises NotFoundError."""
    hook = _find(session, number)
    hook.is_on = on
    waiting = (Delivery.webhook_id == number, Delivery.state == WAITING)
    for message in () if on else session.scalars(select(Delivery).where(*waiting)).all():
        message.state, message.problem = GIVEN_UP, SWITCHED_OFF
    session.flush()
    return hook


def _find(session: Session, number: int) -> Webhook:
    hook = session.get(Webhook, number)
    if hook is None:
        raise NotFoundError(f"webhook {number}: there is none")
    return hook


def remove(session: Session, number: int) -> Webhook:
    """Remove a webhook with what waits for it; raises NotFoundError."""
    hook = _find(session, number)
    session.execute(delete(Delivery).where(Delivery.webhook_id == number))
    session.delete(hook)
    session.flush()
    return hook


def test(session: Session, number: int, now: int) -> Delivery:
    """Have a message sent that says only that it is a test; raises NotFoundError, StagingError: it is off."""
    if not _find(session, number).is_on:
        raise StagingError(f"webhook {number}: it is off, expected one that is on")
    made = Delivery(
        webhook_id=number, body='{"event": "test"}', state=WAITING, next_time=now, create_time=now
    )
    session.add(made)
    session.flush()
    return made


@dataclass(frozen=True, slots=True)
class Due:
    """A message that is to be sent now."""

    id: int
    hook_id: int
    url: str
    secret: str
    body: str


def due(session: Session, now: int, limit: int) -> list[Due]:
    """Return messages whose time has come, oldest first, one for each webhook: they arrive in their order."""
    wanted = (
        select(Delivery, Webhook)
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.state == WAITING)
        .order_by(Delivery.id)
    )
    first: dict[int, Due] = {}
    for delivery, hook in session.execute(wanted):
        if hook.id not in first:
            is_due = delivery.next_time <= now
            first[hook.id] = Due(
                delivery.id if is_due else 0, hook.id, hook.url, hook.secret, delivery.body
            )
    return [each for each in first.values() if each.id][:limit]


def note(session: Session, delivery_id: int, problem: str | None, now: int, jitter: float) -> None:
    """Note what came of a try; ``problem``: None if it was taken. ``jitter``: 0..1, spreads the next try."""
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.state != WAITING:
        return
    delivery.tries += 1
    delivery.try_time = now
    delivery.problem = "" if problem is None else problem[:PROBLEM_LIMIT]
    if problem is None:
        delivery.state = DONE
    elif delivery.tries > len(PAUSES):
        delivery.state = GIVEN_UP
    else:
        pause = PAUSES[delivery.tries - 1]
        delivery.next_time = now + round(pause * (1 + jitter * 0.2) * 1000)


def forget_old(session: Session, now: int) -> None:
    """Delete old messages, and give up the oldest of too many that wait."""
    session.execute(delete(Delivery).where(Delivery.create_time < now - KEPT_MS))
    for hook in session.scalars(select(Webhook)):
        of_hook = (Delivery.webhook_id == hook.id, Delivery.state == WAITING)
        waiting: Sequence[Delivery] = session.scalars(
            select(Delivery).where(*of_hook).order_by(Delivery.id)
        ).all()
        for surplus in waiting[:-WAITING_LIMIT]:
            surplus.state, surplus.problem = GIVEN_UP, "too many wait for this address"
