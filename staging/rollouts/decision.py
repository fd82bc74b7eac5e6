"""What a rollout does next: its states, and the gate before each phase. No I/O, no clock.

```
DRAFT --start--> PUBLISHED --pause--> PAUSED --resume--> PUBLISHED
                 PUBLISHED --halt---> HALTED --resume--> PUBLISHED
any --withdraw--> WITHDRAWN --start--> PUBLISHED
```

PUBLISHED is the only state in which anything is offered or ordered. The cloud itself does two things: it opens the
next phase when nothing of `waits` is left, and it halts. Everything else is done by people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from staging.rollouts.evidence import Counts, shows_failing
from staging.rollouts.settings import Settings
from wire.errors import FieldError


class State(StrEnum):
    """The state of a strategy; stored in ``strategies.status``."""

    DRAFT = "DRAFT"
    """Planned; nothing is offered."""
    PUBLISHED = "PUBLISHED"
    """In effect, for the phases that are open."""
    PAUSED = "PAUSED"
    """A person has stopped it for a while; what devices have taken goes on."""
    HALTED = "HALTED"
    """The cloud has stopped it, for a reason that is kept."""
    WITHDRAWN = "WITHDRAWN"
    """Ended."""


class Act(StrEnum):
    """What people do to a rollout."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    WITHDRAW = "withdraw"
    RETRY = "retry"
    OPEN = "open"


ALLOWED: Mapping[Act, frozenset[State]] = {
    Act.START: frozenset({State.DRAFT, State.WITHDRAWN, State.PUBLISHED}),
    Act.PAUSE: frozenset({State.PUBLISHED, State.PAUSED}),
    Act.RESUME: frozenset({State.PAUSED, State.HALTED, State.PUBLISHED}),
    Act.WITHDRAW: frozenset(State),
    Act.RETRY: frozenset({State.PUBLISHED, State.PAUSED, State.HALTED}),
    Act.OPEN: frozenset({State.PUBLISHED}),
}
"""From which states each act is possible. One that has been done already changes nothing."""

AFTER: Mapping[Act, State] = {
    Act.START: State.PUBLISHED,
    Act.PAUSE: State.PAUSED,
    Act.RESUME: State.PUBLISHED,
    Act.WITHDRAW: State.WITHDRAWN,
}
"""The state that an act leads to; the others keep it."""


def check_act(act: Act, state: State) -> None:
    """Refuse an act that is not possible; raises FieldError that names the states in which it is."""
    if state not in ALLOWED[act]:
        possible = " or ".join(each for each in State if each in ALLOWED[act])
        raise FieldError("state", state.value, f"{possible} to {act.value}")


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a rollout's machines.

    Attributes:
        counts: of those that were ordered, by what came of it.
        running: how many are busy with their first order.
        waiting: how many of the open phases can be reached and were not ordered yet; None: not counted.
        retrying: suspects that are busy with another order, or get one.
        linked: updated ones that were heard of since.
        hours: of updated ones without a crash, all together.
        crashing: updated ones that start over and over.
        played: updated ones that played in the week before.
        heard: of those, how many played since.
    """

    counts: Counts = field(default_factory=Counts)
    running: int = 0
    waiting: int | None = None
    retrying: int = 0
    linked: int = 0
    hours: float = 0.0
    crashing: int = 0
    played: int = 0
    heard: int = 0

    @property
    def updated(self) -> int:
        """How many run the version."""
        return self.counts.well + self.counts.recovered

    @property
    def failed(self) -> int:
        """How many do not, and get no other order by themselves."""
        return self.counts.bad + self.counts.suspect - self.retrying

    @property
    def ended(self) -> int:
        """How many are decided."""
        return self.updated + self.failed

    @property
    def success(self) -> float | None:
        """The share of the decided ones that run the version; None: none is decided."""
        return self.updated / self.ended if self.ended else None


class Want(StrEnum):
    """What a phase waits for."""

    SAMPLE = "sample"
    RETRIES = "retries"
    SUCCESS = "success"
    LINK = "link"
    HOURS = "hours"
    SOUND = "sound"
    SOAK = "soak"


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing that is not as it must be: what it is now, and what is wanted."""

    want: Want
    got: float
    wanted: float

    def to_json(self) -> dict[str, object]:
        """Return it for console and commands."""
        return {"want": self.want.value, "got": round(self.got, 4), "wanted": round(self.wanted, 4)}


class Why(StrEnum):
    """Why the cloud halted a rollout."""

    FAILING = "failing"
    """The test shows that the version fails."""
    SUCCESS = "success"
    """A phase is over, and fewer machines than wanted have the version."""


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next: nothing (``waits`` says why), the next phase, or a halt."""

    waits: tuple[Wait, ...] = ()
    opens: bool = False
    halts: Why | None = None


def needs_waiting(settings: Settings, health: Health) -> bool:
    """Return whether the decision needs `Health.waiting`, which takes a look at every machine."""
    return health.ended < settings.sample or _success_lacks(settings, health)


def decide(settings: Settings, health: Health, soaked: float, *, last: bool) -> Step:
    """Return what comes next for a rollout that is in effect.

    Args:
        settings: what it waits for.
        health: of its machines.
        soaked: seconds for which the present phase has been watched.
        last: whether no phase follows.
    """
    if shows_failing(health.counts, settings.odds):
        return Step(halts=Why.FAILING)
    found = tuple(waits(settings, health, soaked))
    if _is_over(health) and _success_lacks(settings, health):
        return Step(found, halts=Why.SUCCESS)
    return Step(found, opens=not found and not last)


def waits(settings: Settings, health: Health, soaked: float) -> Sequence[Wait]:
    """Return all that the next phase waits for."""
    found = []
    sample, updated = _sample(settings, health), health.updated
    if health.ended < sample:
        found.append(Wait(Want.SAMPLE, health.ended, sample))
    if health.retrying:
        found.append(Wait(Want.RETRIES, health.retrying, 0))
    if _success_lacks(settings, health):
        found.append(Wait(Want.SUCCESS, health.success or 0.0, settings.success))
    if updated and health.linked < settings.link * updated:
        found.append(Wait(Want.LINK, health.linked / updated, settings.link))
    if health.hours < settings.hours:
        found.append(Wait(Want.HOURS, health.hours, settings.hours))
    sound = min(settings.sound, health.played)
    if health.heard < sound:
        found.append(Wait(Want.SOUND, health.heard, sound))
    if soaked < settings.soak:
        found.append(Wait(Want.SOAK, soaked, settings.soak))
    return found


def _sample(settings: Settings, health: Health) -> int:
    """Return how many machines must have ended: the sample, or all that can be reached if those are fewer."""
    if health.waiting is None:
        return settings.sample
    reached = health.ended + health.running + health.retrying + health.waiting
    return max(1, min(settings.sample, reached))


def _success_lacks(settings: Settings, health: Health) -> bool:
    return health.success is not None and health.success < settings.success


def _is_over(health: Health) -> bool:
    """Return whether every machine that can be reached has ended."""
    return not (health.waiting is None or health.waiting or health.running or health.retrying)
