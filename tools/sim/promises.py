"""What orders were answered, and what follows from it: settings that stay, a volume that is in force, a sleep timer, updates that were cancelled.

An order that is under way beside another one of its name, or that nobody was answered, promises nothing by itself; once
the last of several for a setting that stays is answered, that stays as it is then.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ota.updater import Updater
from resources.dispatch import Dispatch
from resources.loudness.limits import Limits, parse_limits
from resources.loudness.steps import level_of, step_of
from tools.sim.life import CURRENT
from tools.sim.machine import CURRENT_MACHINE, Machine
from wire.codes import Code
from wire.datapoints import Method

if TYPE_CHECKING:
    from tools.sim.watching import Watched

# Data points whose value nothing but an order changes.
KEPT = ("play_mode", "child_lock", "rules", "volume_limits", "night", "microphone")
# In which files they are, by a part of the paths: one that is damaged takes no other along.
FILES = {
    "play_mode": "playing", "child_lock": "child_lock", "rules": "rules", "volume_limits": "loudness",
    "night": "loudness", "microphone": "microphone-off",
}  # fmt: skip
# Seconds before the sleep timer's end from which on an order moves it, with the clock's rounding.
TAPPED_SECONDS = 65.0
# Seconds by which what remains of a sleep timer may be another: it counts whole minutes, and an answer takes its time.
TIMER_SECONDS = 62.0
# Seconds for a data point's value: a machine that loses its power meanwhile says nothing any more.
TOLD_SECONDS = 5.0
# Seconds from a start until what was kept is looked at: the files are read by then.
START_SECONDS = 30.0


@dataclass(slots=True)
class Order:
    """One order that is under way.

    Attributes:
        name: the data point's.
        number: of those for it.
        before: what was promised before.
        turns: how often the knob had been turned then.
        process: the orders under way in the same process.
    """

    name: str
    number: int
    before: str | None
    turns: int
    process: Counter[str]


class Promises:
    """Of one world; `watch_orders` tells it of orders."""

    def __init__(self, machine: Machine, now: Callable[[], float]) -> None:
        """Remember what ``machine`` answers; ``now`` is the true time."""
        self._machine, self._now = machine, now
        self._on_card: dict[str, str] = {}
        self._in_memory: dict[str, str] = {}
        self.broken: list[str] = []
        self.set_on_card: set[str] = set()
        """Data points that were set by an order that was answered as done, of a machine that has its card."""
        self.failed: list[str] = []
        """Errors that nobody expected: of orders' handlers, and those in the log with their traceback."""
        self.cancelled: set[str] = set()
        self.answers: Counter[str] = Counter()
        """How often each data point's orders were answered with which code."""
        self._numbers: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._timer_ends: float | None = None
        self._timer_start: int | None = None
        """In which start of the agent the sleep timer was ordered alone; None: nobody knows which order is in force."""
        self._has_no_timer = True
        self.are_rules_untouched = True
        """Whether nobody has ordered any rules yet."""
        self._boots = 0
        self._is_off_for_now = False
        """Whether the microphone may have been turned off until a restart, of the orders that are under way."""

    @property
    def kept(self) -> dict[str, str]:
        """What was promised, by the data point's name: without its card a machine knows of nothing that it keeps there."""
        return self._in_memory if self._machine.in_memory else self._on_card

    # Orders.

    def begin(self, name: str) -> Order:
        """Note that an order comes."""
        self.touch()
        if name == "microphone" and not self._under_way[name]:
            self._is_off_for_now = False
        self._numbers[name] += 1
        self._under_way[name] += 1
        self.are_rules_untouched &= name != "rules"
        if name == "sleep_timer":
            self._has_no_timer, self._timer_start = False, None
        before = self.kept.pop(name, None)
        turns = self._machine.sounds.turns
        return Order(name, self._numbers[name], before, turns, self._under_way)

    @staticmethod
    def end(order: Order) -> None:
        """Note that nothing more is done for an order."""
        order.process[order.name] -= 1

    def is_alone(self, order: Order) -> bool:
        """Return whether no other order of its name, or for the volume's limits, was under way beside it."""
        names = {order.name, "volume_limits"} if order.name == "volume" else {order.name}
        others = sum(self._under_way[name] for name in names)
        return others == 1 and order.number == self._numbers[order.name]

    def _is_last(self, order: Order) -> bool:
        """Return whether all other orders of its name that came are answered: what it finds in force is what stays."""
        return self._under_way[order.name] == 1 and order.process is self._under_way

    async def answered(self, order: Order, points: Any, text: str, code: int) -> None:
        """Note an order's answer, before whoever asked has it."""
        name, is_done = order.name, code == Code.CHANGED
        self.answers[f"{name} {'done' if is_done else 'not done'}"] += 1
        if is_done and not self._machine.in_memory:
            self.set_on_card.add(name)
        if code == Code.INTERNAL_SERVER_ERROR:
            self.failed.append(f"{name} {text}")
        # Off is in force then, also for one beside it that was done, and is not on the card.
        self._is_off_for_now |= name == "microphone" and not is_done
        if name in KEPT and self._is_last(order):
            # A microphone that was turned off is off, whatever the card says; until when, the answer says.
            is_newest = order.number == self._numbers[name]
            before = order.before if is_newest and name != "microphone" else None
            is_kept = is_done and not (name == "microphone" and self._is_off_for_now)
            value = await _told(points[name]) if is_kept else before
            if value is not None and self._is_last(order):
                self.kept[name] = value
                if name == "volume_limits" and is_done and self.is_alone(order):
                    self._judge_limits(order, value)
        elif name == "sleep_timer":
            self._note_timer(order, text, is_done=is_done)
        elif name == "volume" and is_done and self.is_alone(order):
            self._judge_volume(order, text)

    def _judge_volume(self, order: Order, text: str) -> None:
        sounds = self._machine.sounds
        is_so = sounds.is_at(level_of(int(text)))
        if sounds.device and sounds.turns == order.turns and not is_so:
            found = step_of(sounds.level)
            self.broken.append(f"volume {text} was answered as done, and {found} is in force")

    def _judge_limits(self, order: Order, value: str) -> None:
        """Find a level that a lower limit has not brought down by its answer: later the mixer is looked at anyway."""
        sounds, loudest = self._machine.sounds, level_of(parse_limits(value, Limits()).max)
        is_judged = sounds.device and not sounds.stuck and sounds.turns == order.turns
        if is_judged and sounds.level > loudest and not sounds.is_at(loudest):
            found = step_of(sounds.level)
            self.broken.append(f"volume_limits {value} was answered, and {found} is in force")

    # The sleep timer.

    def touch(self) -> None:
        """Note that somebody does something: near its end that moves a timer, and then nothing is known of it."""
        if self._timer_ends is not None and self._now() > self._timer_ends - TAPPED_SECONDS:
            self._timer_ends = None

    def _note_timer(self, order: Order, text: str, *, is_done: bool) -> None:
        if is_done:
            self._timer_ends = self._now() + 60.0 * int(text) if text.isdigit() else None
            self._boots = self._machine.boots
            self._has_no_timer = text == "off" and self._under_way["sleep_timer"] == 1
            is_known = text == "off" or text.isdigit()
            self._timer_start = self._machine.starts if is_known and self.is_alone(order) else None

    async def look_at_timer(self, points: Any) -> None:
        """Find a sleep timer that is another one than was ordered, before anybody's order can have moved it."""
        start, ends = self._timer_start, self._timer_ends
        if start is None or start != self._machine.starts or "sleep_timer" not in points:
            return
        left = None if ends is None else ends - self._now()
        if (left is None and not self._has_no_timer) or (
            left is not None and left < TAPPED_SECONDS
        ):
            return
        told = await told_by(self._machine, points["sleep_timer"])
        if told is None or self._timer_start != start:
            return
        is_so = told == "off" if left is None else _is_timer(str(told), left)
        if not is_so:
            wanted = "off" if left is None else f"{left:.0f} s"
            self.broken.append(f"the sleep timer is {told}, and {wanted} is what was ordered")

    @property
    def has_no_timer(self) -> bool:
        """Whether there is no sleep timer for sure: none was ordered in this boot, or the last order was to turn it off."""
        return self._has_no_timer

    @property
    def timer_ends(self) -> float | None:
        """When the sleep timer ends; None: there is none, or nothing is known of it. It ends with the boot."""
        return self._timer_ends if self._boots == self._machine.boots else None

    # What stays.

    async def look(self, points: Any) -> None:
        """Compare what was kept with what the machine says."""
        for name, value in list(self.kept.items()):
            is_damaged = any(FILES[name] in path for path in self._machine.damaged)
            if name in points and not self._under_way[name] and not is_damaged:
                found = str(await told_by(self._machine, points[name]))
                if found != value and self.kept.get(name) == value:
                    self.broken.append(f"{name} was set to {value}, and is {found}")

    def gone(self) -> None:
        """Hear that the process is gone: what was under way will not be answered."""
        self._under_way = Counter()
        self._in_memory = {}


def _is_timer(told: str, left: float) -> bool:
    """Return whether a sleep timer of so many seconds may be told so."""
    return told.isdigit() and abs(60.0 * int(told) - left) <= TIMER_SECONDS


async def told_by(machine: Machine, point: Any) -> Any:
    """Return a data point's value, asked as the machine's own code: its clock is another one. None: it is gone meanwhile."""
    context = contextvars.Context()
    context.run(CURRENT.set, machine.life)
    context.run(CURRENT_MACHINE.set, machine)
    asked = machine.on.loop.create_task(point.get(), context=context)
    machine.buried.append(asked)
    await asyncio.wait([asked], timeout=TOLD_SECONDS)
    return asked.result() if asked.done() else None


async def _told(point: Any) -> str:
    return str(await point.get())


def watch_orders(watched: Watched) -> None:
    """Tell the observer's promises of all orders for data points, and of cancellations, for the rest of the process."""
    request, cancel = Dispatch.request, Updater.cancel

    async def noted_request(
        self: Dispatch, method: str, name: str, text: str = "", *, local: bool = False
    ) -> Any:
        promises = _of(watched)
        if promises is None or method != Method.PUT:
            return await request(self, method, name, text, local=local)
        was_locked = promises.kept.get("child_lock") == "True"
        order = promises.begin(name)
        with _ended(promises, order):
            answer = await request(self, method, name, text, local=local)
            if local and answer.code == Code.CHANGED and watched.observer is not None:
                watched.observer.forbidden.note_by_hand(name, was_locked=was_locked)
            await promises.answered(order, self.points, text, answer.code)
        return answer

    async def noted_cancel(self: Updater, transaction: str) -> Any:
        status, promises = self.status(), _of(watched)
        runs = status["transaction"] == transaction and status["state"] in {"CREATED", "RUNNING"}
        answer = await cancel(self, transaction)
        if promises is not None and runs and answer.code == Code.CHANGED:
            promises.cancelled.add(transaction)
        return answer

    Dispatch.request = noted_request  # type: ignore[method-assign]
    Updater.cancel = noted_cancel  # type: ignore[method-assign]


@contextlib.contextmanager
def _ended(promises: Promises, order: Order) -> Iterator[None]:
    try:
        yield
    finally:
        promises.end(order)


def _of(watched: Watched) -> Promises | None:
    machine = CURRENT_MACHINE.get()
    if watched.observer is None or machine is None or machine.life is None:
        return None
    return watched.observer.promises
