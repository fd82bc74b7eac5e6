"""What always holds of a rollout, by what the store shows of it at one moment after another. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from staging.rollouts.decision import State
from wire.ota import version_key

FINAL = frozenset({"SUCCESS", "FAILED"})
# After so many seconds an act that was begun and has not ended was taken away by a kill.
ACT_SECONDS = 60.0
# What was sent before a pause may be on its way for so long (a machine's link asks again within it).
WAY_SECONDS = 20.0
MINUTE_MS = 60_000
# Until what a machine has told is stored, with the time at which it came.
STORED_MS = 3000
# How the reason of a machine that took no order begins (docs/rollouts.md: it says nothing of the version).
REFUSED = "the device refused the order: "


@dataclass(frozen=True, slots=True)
class Plan:
    """How a rollout was planned: its phases as texts, on how many machines, and who has the phases' tag."""

    phases: Sequence[str]
    machines: int
    tagged: frozenset[str] = frozenset()
    soak: int = 0
    per_minute: int = 60


@dataclass(frozen=True, slots=True)
class Order:
    """One order of it in the store; times in ms."""

    id: int
    uuid: str
    status: str
    begun: int
    ended: int | None = None
    is_evidence: bool = True
    """Whether it says anything of the version: what a machine refused, or was cancelled, does not."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A rollout in the store: its state, how many phases are open and since when, why it was halted, its orders."""

    status: str
    opened: int
    phase_time: int | None
    halt_time: int | None = None
    since: int = 0
    orders: Sequence[Order] = ()


@dataclass(slots=True)
class RolloutWatch:
    """Of one rollout; times in ms of the true clock."""

    plan: Plan
    broken: list[str] = field(default_factory=list)
    offered: set[str] = field(default_factory=set)
    """Machines that an app was told of it for."""
    uncovered: set[str] = field(default_factory=set)
    """Machines that had its version or a newer one, and no order of it: shares are of the others, and who goes back joins by its place."""
    stopped_at: int | None = None
    """Since when nothing of it may begin; None: it may, or that is not known."""
    _act_until: int | None = None
    _by_hand: bool = False
    _last: Seen | None = None

    # What an operator does.

    def begin(self, act: str, now: int) -> None:
        """Note that an act begins."""
        self._act_until = now + int(1000 * ACT_SECONDS)
        if act in {"start", "resume"}:
            self.stopped_at = None
        self._by_hand = self._by_hand or act == "open"

    def done(self, act: str, now: int) -> None:
        """Note that an act was answered as done."""
        self._act_until = None
        if act in {"pause", "withdraw"}:
            self.stopped_at = now

    def failed(self) -> None:
        """Note that an act was refused."""
        self._act_until = None

    def is_busy(self, now: int) -> bool:
        """Return whether an act is under way."""
        return self._act_until is not None and now < self._act_until

    # What is seen.

    def note_offer(self, uuid: str, asked: int) -> None:
        """Note that an app that asked at ``asked`` was told of it, and of no order that runs."""
        self.offered.add(uuid)
        if self.stopped_at is not None and asked > self.stopped_at:
            self.broken.append(f"it is offered to {uuid}, and is stopped")

    def note_versions(self, seen: Seen, version: str, running: Mapping[str, str]) -> None:
        """Note which version each machine runs, where the rollout is of ``version``."""
        ordered = {order.uuid for order in seen.orders}
        self.uncovered |= {
            uuid
            for uuid, own in running.items()
            if uuid not in ordered and version_key(own) >= version_key(version)
        }

    def note_order(self, uuid: str, received: int) -> None:
        """Note that a machine was handed an order of it."""
        late = None if self.stopped_at is None else received - self.stopped_at
        if late is not None and late > 1000 * WAY_SECONDS:
            self.broken.append(
                f"{uuid} was handed its order {late / 1000:.0f} s after it was stopped"
            )

    def look(self, seen: Seen, now: int) -> None:
        """Compare with what may be."""
        self._see_stop(seen, now)
        self._check_phases(seen)
        self._check_begun(seen)
        self._check_pace(seen)
        if self._last is not None and seen.opened > self._last.opened >= 1:
            if not self._by_hand:
                self._check_opening(self._last, seen)
            self._by_hand = False
        self._last = seen

    def _see_stop(self, seen: Seen, now: int) -> None:
        if self.is_busy(now):
            return
        if seen.halt_time is not None:
            self.stopped_at = self.stopped_at or seen.halt_time
        elif seen.status in {State.PAUSED, State.WITHDRAWN} and self.stopped_at is None:
            self.stopped_at = now

    def _check_phases(self, seen: Seen) -> None:
        reached = {order.uuid for order in seen.orders} | self.offered
        most, tagged = self._admitted(seen.opened)
        beyond = reached - tagged - self.uncovered
        if len(beyond) > most:
            phases = ", ".join(self.plan.phases[: seen.opened])
            self.broken.append(f"{len(reached)} machines were reached in the phases {phases}")

    def _admitted(self, opened: int) -> tuple[int, frozenset[str]]:
        """Return how many machines the open shares have at most, and those of open tags."""
        share, tagged = 0.0, frozenset[str]()
        for phase in self.plan.phases[:opened]:
            if phase.endswith("%"):
                share = max(share, float(phase.removesuffix("%")))
            else:
                tagged = self.plan.tagged
        return math.ceil(round(share * self.plan.machines / 100, 6)), tagged

    def _check_begun(self, seen: Seen) -> None:
        if self.stopped_at is None:
            return
        for order in seen.orders:
            late = order.begun - self.stopped_at
            if late > 1:
                self.broken.append(f"order {order.id} was begun {late} ms after it was stopped")

    def _check_pace(self, seen: Seen) -> None:
        begun = sorted(order.begun for order in seen.orders)
        for at, first in enumerate(begun):
            within = sum(time < first + MINUTE_MS for time in begun[at:])
            if within > self.plan.per_minute:
                self.broken.append(f"{within} orders were begun in a minute")
                return

    def _check_opening(self, before: Seen, seen: Seen) -> None:
        if seen.phase_time is None or before.phase_time is None:
            return
        opened = seen.phase_time
        watched = opened - before.phase_time
        if seen.opened == before.opened + 1 and watched < 1000 * self.plan.soak:
            self.broken.append(f"a phase opened {watched / 1000:.0f} s after the one before")
        last: dict[str, Order] = {}
        for order in sorted(seen.orders, key=lambda each: each.id):
            if order.begun < opened and order.begun >= seen.since and order.is_evidence:
                last[order.uuid] = order
        late, early = opened + STORED_MS, opened - STORED_MS
        wells = [o for o in last.values() if o.status == "SUCCESS" and _ended_by(o, late)]
        bad = [o for o in last.values() if o.status == "FAILED" and _ended_by(o, early)]
        if not wells or bad:
            count = f"{len(wells)} were updated and {len(bad)} have failed"
            self.broken.append(f"a phase opened, and {count} before")

    # At the end.

    def judge_end(self, seen: Seen, ends: Mapping[str, Mapping[str, bool]]) -> None:
        """Compare the orders with what became of them; ``ends``: of each machine, by transaction."""
        for order in seen.orders:
            if order.uuid not in ends:
                continue  # a whole machine: its own checks have it
            truth = ends[order.uuid].get(str(order.id))
            if order.status not in FINAL:
                self.broken.append(f"order {order.id} is {order.status} still")
            elif (order.status == "SUCCESS") != (truth is True):
                told = {True: "runs it", False: "failed", None: "never took it"}[truth]
                self.broken.append(f"order {order.id} is {order.status}, and its machine {told}")


def _ended_by(order: Order, time: int) -> bool:
    return order.ended is not None and order.ended <= time
