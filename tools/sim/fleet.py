"""Other machines of a simulated cloud: they have the real link and take orders to update; no package is fetched.

What a rollout needs are several machines; each of the real ones would be as dear as all else. These have no faults of
their own but that an order may be lost on them, and that a version may fail.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from agent.link import CloudBusyError, LinkError, ReportRejectedError
from agent.link.framed import FramedConnector, FramedSession
from agent.settings import LinkSettings
from base.clock import TrustedTime
from tools.sim.life import CURRENT, Life
from tools.sim.machine import BASE_VERSION, Platform
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.ota import ORDER_PATH, OtaEvent, OtaOrder, parse_order
from wire.profile import Profile
from wire.reports import report_payload

# Seconds until the cloud is tried again, and of each step of an update.
AGAIN, STEP = (1.0, 8.0), (0.5, 8.0)
# Of a flood: reports, and bytes of each of their values.
FLOOD, NOTE_BYTES = 20, 3000
# The part of orders that are lost with the connection, and for how long nothing is answered then.
LOST, SILENT_SECONDS = 0.4, 3600.0
# Seconds until such a machine comes back: its rollout may be stopped by then.
AWAY = (20.0, 150.0)


@dataclass(frozen=True, slots=True)
class Received:
    """An order as it came: when (true time), and which."""

    at: float
    transaction: str


class FleetMachine:
    """One of them."""

    def __init__(self, on: Platform, profile: Profile, rng: random.Random) -> None:
        """Be the device of ``profile``."""
        self.on, self.name, self._profile, self._rng = on, profile.uuid, profile, rng
        self.version = BASE_VERSION
        self.bad: Collection[str] = ()
        """Versions that fail on it."""
        self.received: list[Received] = []
        self.ends: dict[str, bool] = {}
        """What has become of each order that it took: whether it runs the version."""
        self.on_taken: Callable[[int], None] = lambda _size: None
        """Is told of the bytes of each report that the cloud took."""
        self.buried: list[object] = []
        self._away = 0.0
        """Seconds for which it stays away when its connection has ended."""
        self._life: Life | None = None
        self._waiting: deque[dict[str, object]] = deque()
        self._filled = asyncio.Event()
        self._update: asyncio.Task[None] | None = None
        self._order: OtaOrder | None = None
        self._cut: Callable[[], None] = lambda: None

    @property
    def next_size(self) -> int:
        """The bytes of the report that is to be sent next; 0: none waits."""
        return len(report_payload(self._waiting[0])) if self._waiting else 0

    def flood(self) -> None:
        """Have far more to report than its share."""
        for number in range(FLOOD):
            self._tell({f"note {each}": "x" * NOTE_BYTES for each in range(number % 4 + 4)})

    def start(self) -> None:
        """Be switched on."""
        if self._life is not None:
            return
        self._life = Life(self.name)
        context = contextvars.Context()
        context.run(CURRENT.set, self._life)
        self._task = self.on.loop.create_task(self._live(), context=context)

    def stop(self) -> None:
        """Be switched off, if nothing is to be done or told."""
        if self._life is not None and self._order is None and not self._waiting:
            self._life.dead = True
            self.on.net.killed(self._life, power=True)
            self.buried += [self._life, self._task]
            self._life = None

    async def _live(self) -> None:
        clock = TrustedTime(None)
        connector = FramedConnector(self._profile, LinkSettings(), self._answer, clock)
        while True:
            try:
                async with connector.connect(lambda _state: None) as session:
                    await self._talk(session)
            except (LinkError, OSError):
                pass
            away, self._away = self._away, 0.0
            await asyncio.sleep(away or self._rng.uniform(*AGAIN))

    async def _talk(self, session: FramedSession) -> None:
        """Say what waits until the connection ends; raises LinkError."""
        running = asyncio.create_task(session.run())
        lost = asyncio.Event()

        def end() -> None:
            lost.set()
            self._filled.set()

        running.add_done_callback(lambda _done: end())
        self._cut = end
        try:
            await session.report({"package_info": {"os": {"version": self.version}}})
            while not lost.is_set():
                while self._waiting and not lost.is_set():
                    await self._say(session)
                self._filled.clear()
                if not lost.is_set():
                    await self._filled.wait()
        finally:
            running.cancel()

    async def _say(self, session: FramedSession) -> None:
        told = report_payload(self._waiting[0])
        try:
            await session.send(told)
            self.on_taken(len(told))
        except CloudBusyError:
            await asyncio.sleep(self._rng.uniform(*AGAIN))
            return
        except ReportRejectedError:
            pass
        self._waiting.popleft()

    def _tell(self, told: dict[str, object]) -> None:
        self._waiting.append(told)
        self._filled.set()

    # What the cloud asks.

    async def _answer(self, request: Request) -> Answer:
        if request.path != ORDER_PATH:
            return Answer(Code.NOT_FOUND)
        if request.method == "DELETE":
            return self._give_up()
        order = parse_order(request.payload)
        is_known = any(each.transaction == order.transaction for each in self.received)
        self.received.append(Received(self.on.loop.time(), order.transaction))
        if order.transaction in self.ends or (self._order is not None and order == self._order):
            return Answer(Code.CHANGED)  # it comes again, as the answer was lost
        if not is_known and self._rng.random() < LOST:
            self._away = self._rng.uniform(*AWAY)
            self._cut()
            await asyncio.sleep(SILENT_SECONDS)
        self._order = order
        self._update = asyncio.create_task(self._install(order))
        return Answer(Code.CHANGED)

    def _give_up(self) -> Answer:
        if self._order is None or self._update is None:
            return Answer(Code.NOT_FOUND)
        self._update.cancel()
        self._end(self._order, well=False, text="cancelled: by an order")
        return Answer(Code.CHANGED)

    async def _install(self, order: OtaOrder) -> None:
        for event in (OtaEvent.BEGIN, OtaEvent.DOWNLOADING, OtaEvent.INSTALLING):
            percent = {"percent": 0.5} if event.has_percent else {}
            self._tell(_event(order, event, percent))
            await asyncio.sleep(self._rng.uniform(*STEP))
        self._end(order, well=order.version not in self.bad, text="not proven within 120 s")

    def _end(self, order: OtaOrder, *, well: bool, text: str) -> None:
        self.ends[order.transaction] = well
        self._order = None
        if not well:
            self._tell(_event(order, OtaEvent.REJECT, {"description": text}))
            return
        self.version = order.version
        self._tell(_event(order, OtaEvent.INSTALLED, {}))
        self._tell({"package_info": {"os": {"version": self.version}}})


def _event(order: OtaOrder, event: OtaEvent, more: dict[str, Any]) -> dict[str, object]:
    return {"ota_event": {"transaction": order.transaction, "event": int(event), **more}}
