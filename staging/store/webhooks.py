"""Webhooks and what is sent to them: each message is tried again after longer and longer pauses, and then given up."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.store.alarm_models import Delivery, Webhook
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


def listing(session: Session) -> list[tuple[Webhook, Delivery | None, int]]:
    """Return the webhooks, the last message to each, and how many wait."""
    found = []
    for hook in session.scalars(select(Webhook).order_by(Webhook.id)):
        of_hook = select(Delivery).where(Delivery.webhook_id == hook.id)
        last = session.scalar(of_hook.order_by(Delivery.id.desc()).limit(1))
        waiting = session.scalars(of_hook.where(Delivery.state == WAITING)).all()
        found.append((hook, last, len(waiting)))
    return found


def remove(session: Session, number: int) -> Webhook:
    """Remove a webhook with what waits for it; raises NotFoundError."""
    hook = session.get(Webhook, number)
    if hook is None:
        raise NotFoundError(f"webhook {number}: there is none")
    session.execute(delete(Delivery).where(Delivery.webhook_id == number))
    session.delete(hook)
    session.flush()
    return hook


def test(session: Session, number: int, now: int) -> Delivery:
    """Have a message sent that says only that it is a test; raises NotFoundError."""
    if session.get(Webhook, number) is None:
        raise NotFoundError(f"webhook {number}: there is none")
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
