"""Sends update orders and their cancellations to devices, and records the devices' answers.

Whoever makes an order, and each registration, sends it at once. What is not answered is found in the store by a look each some
seconds, whyever that was: no answer, no broker, another worker that is gone. It is sent again after a pause that grows, for as long as
the device is there and the order is to be carried out, and a cancellation for a day (docs/adr/0086).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import (
    CancelRefusedError,
    DeviceOfflineError,
    DeviceRejectedError,
    DeviceSilentError,
    NoUpdateError,
    StagingError,
    level_of,
)
from staging.gateway.session import Session, Sessions
from staging.store import Database, order_rules, ota
from staging.store.models import OtaTask
from staging.store.order_rules import Cancel
from staging.times import Clock, Monotonic
from staging.tries import Allowance, Tries
from wire.codes import Code, dotted
from wire.exchange import Answer
from wire.ota import ORDER_PATH, OtaOrder, cancel_query, order_payload

# How often one order, or one cancellation, goes to a device that does not answer.
UNANSWERED = Allowance(free=2, first=10.0, longest=600.0)
# Devices that one look sends to; the others come with the next ones.
AT_ONCE = 50
# Until then a device that is there is told of a cancellation again: one of 2017 does not know the request, and never answers.
CANCELS_MS = 86_400_000

_log = logging.getLogger(__name__)
_random = random.SystemRandom()


class Orders:
    """The update orders of connected devices; an order is pending until its device accepts it."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        clock: Clock,
        *,
        api_url: Callable[[], str],
        changed: Callable[[str], None],
        owns: Callable[[str], bool],
        look_seconds: float,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            database: the store, which has the orders.
            sessions: the connected devices.
            clock: UTC milliseconds.
            api_url: returns the base URL from which devices fetch packages.
            changed: is called with the uuid of a device whose update changed.
            owns: whether this process sends again what a device has not answered.
            look_seconds: between two looks for that, on average.
            monotonic: seconds, for the pauses.
        """
        self._database = database
        self._sessions = sessions
        self._clock = clock
        self._api_url = api_url
        self._changed = changed
        self._owns = owns
        self._look_seconds = look_seconds
        self._tries = Tries(UNANSWERED, monotonic)

    async def run(self) -> None:
        """Look for what is not answered, until cancelled; processes that started together do not look together."""
        while True:
            await asyncio.sleep(self._look_seconds * _random.uniform(0.8, 1.2))
            try:
                await self.look()
            except (StagingError, SQLAlchemyError) as error:
                _log.log(level_of(error), "unanswered orders are looked for later: %s", error)

    async def look(self) -> None:
        """Send again what devices that are there have not answered, where its pause is over."""
        found = await self._database.read(ota.waiting, self._clock() - CANCELS_MS)
        begun: set[str] = set()
        for task_id, uuid, is_cancel in found:
            session = self._sessions.find(uuid)
            if session is None or uuid in begun or not self._owns(uuid):
                continue
            # One that is being sent to is waited for by whoever sends.
            if session.ordering.locked() or self._tries.wait(_key(task_id, is_cancel=is_cancel)):
                continue
            begun.add(uuid)
            session.spawn(self.send(session))
            if len(begun) == AT_ONCE:
                return

    def send_pending(self, uuid: str) -> None:
        """Start to send a device's pending order; it stays pending while the device is offline."""
        session = self._sessions.find(uuid)
        if session is not None:
            session.spawn(self.send(session))

    async def send(self, session: Session) -> None:
        """Send a device's pending order, if there is one, after the cancellations it missed; neither in its pause.

        Raises:
            GatewayError: the device did not answer; the order stays pending.
        """
        identity = session.identity
        async with session.ordering:
            url = self._api_url()
            cancels, order = await self._database.read(ota.outstanding, identity.id, url)
            if cancels:  # meanwhile another order may have come
                await self._send_missed_cancels(session, cancels)
                order = await self._database.read(ota.unsent, identity.id, url)
            key = "" if order is None else _key(int(order.transaction))
            if order is None or self._tries.wait(key):
                return
            self._changed(identity.uuid)
            sent = self._clock()
            self._tries.count(key)
            refusal = await self._order(identity.uuid, order)
            _log.info(
                "device %s: order %s %s", identity.uuid, order.transaction, refusal or "taken"
            )
            await self._database.write(ota.note_answer, int(order.transaction), refusal, sent)
            self._tries.forget(key)
            self._changed(identity.uuid)

    async def cancel(self, uuid: str, only: int | None = None) -> OtaTask:
        """Cancel a device's update; its answer decides how the task ends (docs/adr/0013).

        ``only``: not another update than this task.

        Returns:
            The task: ended, or still active because the device ends it with its own report.

        Raises:
            NotFoundError, NoUpdateError: there is nothing to cancel.
            CancelRefusedError: the device refuses to cancel it.
            GatewayError: the device is connected and did not answer; retry.
        """
        session = self._sessions.find(uuid)
        # While an order is being sent, it is unknown whether the device has it.
        async with session.ordering if session else contextlib.nullcontext():
            task = await self._database.read(ota.under_way, uuid)
            if only not in {None, task.id}:
                raise NoUpdateError(f"device {uuid}: update {only} is over")
            code = await _send_cancel(session, task.id) if session else None
            reason = order_rules.ends_by_cancel(code, answered=task.cancel == Cancel.ANSWERED)
            answered, now = code is not None, self._clock()
            done = await self._database.write(ota.cancel, task.id, reason, now, answered=answered)
        _log.info("device %s: update %d cancelled: %s", uuid, task.id, reason or "device ends it")
        self._changed(uuid)
        return done

    async def _order(self, uuid: str, order: OtaOrder) -> str | None:
        """Send an order; returns None if the device accepts it, else its refusal as text."""
        answer = await self._sessions.get(uuid).request("PUT", ORDER_PATH, order_payload(order))
        return None if answer.code >> 5 == 2 else _shown(answer)

    async def _send_missed_cancels(self, session: Session, task_ids: Sequence[int]) -> None:
        """Send cancellations that a device missed; a device still busy would refuse a new order."""
        answered: list[int] = []
        for task_id in task_ids:
            key = _key(task_id, is_cancel=True)
            if self._tries.wait(key):
                continue
            self._tries.count(key)
            try:
                if await _send_cancel(session, task_id) is None:
                    break
            except DeviceSilentError as error:  # retried later; its order need not wait for that
                _log.warning("%s", error)
                break
            except (CancelRefusedError, DeviceRejectedError) as error:  # it reports its end itself
                _log.info("%s", error)
            answered.append(task_id)
        if answered:
            await self._database.write(ota.note_cancels_answered, answered)
            for task_id in answered:
                self._tries.forget(_key(task_id, is_cancel=True))


async def _send_cancel(session: Session, task_id: int) -> int | None:
    """Send a cancellation; returns the answer, 2.04 or 4.04, or None if the device went offline."""
    try:
        answer = await session.request("DELETE", ORDER_PATH, query=cancel_query(str(task_id)))
    except DeviceOfflineError:
        return None
    if answer.code in {Code.CHANGED, Code.NOT_FOUND}:
        return answer.code
    uuid = session.identity.uuid
    raise CancelRefusedError(f"device {uuid} does not give it up: {_shown(answer)}")


def _key(task_id: int, *, is_cancel: bool = False) -> str:
    """Return under which name the tries of an order, or of its cancellation, are counted."""
    return f"cancel {task_id}" if is_cancel else str(task_id)


def _shown(answer: Answer) -> str:
    """Render a device's answer as text for people."""
    return f"{dotted(answer.code)} {answer.text}".strip()
