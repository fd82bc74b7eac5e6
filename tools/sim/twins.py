"""Two machines with one identity in a simulated world: a card was copied, and both have the real link and nothing else.

They are of a device that is none of the others'. Once they have taken the connection from each other three times the one that is
there stays, and the other one is told (docs/link.md); who of them is there is heard from their links, and from the cloud.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from agent.link.build import build_link
from agent.settings import LinkSettings
from base.clock import TrustedTime
from staging.store import twins
from staging.times import now_ms
from tools.sim.life import CURRENT, Life
from tools.sim.twin_orders import TwinOrders, give_at_end
from wire.exchange import Answer, Request

if TYPE_CHECKING:
    from tools.sim.machine import Platform
    from tools.sim.world import World
    from wire.profile import Profile

# The device that they are, of the template's.
NUMBER = 3
# Changes of who is there after which it is certain that there are two (docs/link.md), and how many there may be.
CERTAIN, MOST = 3, 5
# And how many there may be where the cloud knows it from before: one that was under way.
MOST_KNOWN = 1
# Seconds after the last of these in which another one may be under way, and those until both must know it.
UNDER_WAY_SECONDS, TOLD_SECONDS = 40.0, 420.0
# Seconds in which the one that stays has heard of the other; and those for which one of them is away, at least and more.
HEARD_SECONDS, AWAY_SECONDS = 150.0, (20.0, 400.0)
# How old the last sign in the store may be: the one that is refused gives the next one within 300 s, and each counts for 600.
STORED_MS = 200_000
# What the one that is refused shows, and the one that stays.
TOLD = "another machine"


class Twin:
    """One of the two."""

    def __init__(
        self,
        on: Platform,
        profile: Profile,
        name: str,
        told: Callable[[Twin, bool], None],
        orders: TwinOrders,
    ) -> None:
        """Be a machine of ``profile``; ``told`` is called when it registers, and when its link ends; ``orders`` are done."""
        self._orders = orders
        self._on, self._profile, self.name, self._told = on, profile, name, told
        self.life: Life | None = None
        self.link: Any = None
        self.is_registered = False
        self.since = 0.0
        self.buried: list[object] = []

    def start(self) -> None:
        """Be switched on."""
        if self.life is None:
            self.life = Life(self.name)
            context = contextvars.Context()
            context.run(CURRENT.set, self.life)
            self._task = self._on.loop.create_task(self._live(), context=context)

    def stop(self) -> None:
        """Lose the power."""
        if self.life is not None:
            self.life.dead = True
            self._on.net.killed(self.life, power=True)
            self.buried += [self.life, self._task, self.link]
            self.life = self.link = None
            self.is_registered = False

    async def _live(self) -> None:
        self.link = build_link(self._profile, LinkSettings(), self._do, TrustedTime(None))
        self.link.on_change = self._note
        await self.link.run()

    async def _do(self, request: Request) -> Answer:
        return await self._orders.carry_out(self.name, self._on.loop.time(), request)

    def _note(self, *, is_up: bool, phase: str) -> None:
        del phase
        self.is_registered, self.since = is_up, self._on.loop.time()
        self._told(self, is_up)


class Holding:
    """Who of two has the place, and how often it was taken from whom was there. Pure.

    Attributes:
        broken: what may not be.
    """

    def __init__(self) -> None:
        """Have seen nobody there."""
        self.broken: list[str] = []
        self.changes: list[float] = []
        self._certain_at: float | None = None
        self._most = MOST
        self._last = ""

    def forget(self, certain_at: float | None = None) -> None:
        """Note that nobody knows any more who was there: the cloud is another process, or one of the two was away for long.

        ``certain_at``: the cloud still knows, then, that there are two.
        """
        self.changes.clear()
        self._certain_at = certain_at
        self._most = MOST if certain_at is None else MOST_KNOWN
        self._last = ""

    def note_certain(self, now: float) -> None:
        """Note that the cloud says that there are two."""
        if self._certain_at is None:
            self._certain_at = now

    def registered(self, name: str, now: float) -> None:
        """Note that one of them is let in."""
        last, self._last = self._last, name
        if last in {"", name}:
            return
        self.changes.append(now)
        since = now if self._certain_at is None else self._certain_at
        if len(self.changes) >= CERTAIN:
            self.note_certain(now)
        if now - since > UNDER_WAY_SECONDS:
            told = f"{now - since:.0f} s after it was certain that there are two"
            self.broken.append(f"{name} took the place of {last} {told}")
        elif len(self.changes) > self._most:
            seconds = now - self.changes[0]
            self.broken.append(
                f"two machines took turns {len(self.changes)} times in {seconds:.0f} s"
            )


class Twins:
    """The two of one world."""

    def __init__(self, world: World) -> None:
        """Have none; nothing is made before they begin."""
        self._world = world
        self.holding = Holding()
        self.is_allowed = False
        """Whether nobody else is the device that they are."""
        self.orders = TwinOrders()
        self.moves = 0
        """How often one of them came or went; behind a broker the one that is refused takes the other's place there for a moment."""
        self._both: list[Twin] = []
        self._since = 0.0
        """Since when both are there, and one process of the cloud knows them."""
        self._gateway: object = None
        self._away: Twin | None = None

    @property
    def broken(self) -> list[str]:
        """What may not be."""
        return [*self.holding.broken, *self.orders.broken]

    @property
    def are_there(self) -> bool:
        """Whether there are two."""
        return bool(self._both)

    @property
    def uuid(self) -> str:
        """The device that they are."""
        return str(self._world.cloud.template.uuids[NUMBER][0])

    def begin(self) -> None:
        """Let the card be copied, and both be switched on."""
        world = self._world
        if not self.is_allowed or self._both:
            return
        self.orders.is_by_broker = world.broker is not None
        profile = world.cloud.template.profile(NUMBER, by_mqtt=world.broker is not None)
        for letter in "ab":
            made = Twin(
                world.machine.on, profile, f"{profile.uuid}-{letter}", self._hear, self.orders
            )
            self._both.append(made)
            made.start()
        self._begin_anew()
        world.observer.count("twins")

    def leave(self, chance: float) -> None:
        """Let one of them be without power for a while."""
        if self._both and self._away is None:
            twin = self._both[int(chance * 2)]
            self._away = twin
            twin.stop()
            self.holding.forget()
            seconds = AWAY_SECONDS[0] + AWAY_SECONDS[1] * (chance * 2 % 1)
            self._world.later(seconds, functools.partial(self._come_back, twin))

    def _come_back(self, twin: Twin) -> None:
        self._away = None
        twin.start()
        self._begin_anew()

    def heal(self) -> None:
        """Let both be there."""
        for twin in self._both:
            twin.start()
        self._away = None
        self._begin_anew()
        give_at_end(self._world)

    def _begin_anew(self) -> None:
        self._since = self._world.loop.time()
        self.holding.forget(self._since if self._is_stored() else None)
        self._gateway = self._world.cloud.gateway

    def _is_stored(self) -> bool:
        """Return whether each process of the cloud knows the two by the store until the next sign."""
        cloud, now = self._world.cloud, now_ms()
        database: Any = cloud.database

        def read() -> list[tuple[str, int]]:
            with database._session() as session:  # noqa: SLF001  # beside the cloud's own reads
                return twins.since(session, now - STORED_MS)

        if not self._both or database is None:
            return False
        with contextlib.suppress(SQLAlchemyError):
            uuid = cloud.template.uuids[NUMBER][0]
            return any(each == uuid for each, _ in cloud.context.copy().run(read))
        return False

    def _hear(self, twin: Twin, is_up: bool) -> None:  # noqa: FBT001
        self.moves += 1
        self._look_at_cloud()
        if is_up:
            self._world.observer.count("twins let in")
            self.holding.registered(twin.name, self._world.loop.time())

    def _look_at_cloud(self) -> None:
        """Begin anew where those who knew who was there are gone: a broker that was away lets whoever comes first have the place."""
        broker, cloud = self._world.broker, self._world.cloud
        is_sound = broker is None or self._is_quiet()
        if cloud.gateway is not self._gateway or not is_sound:
            self._begin_anew()

    def _is_quiet(self) -> bool:
        """Return whether all faults are over: until then a broker, or a worker, may be away at any time."""
        return self._world.quiet_since > 0.0

    def look(self) -> None:
        """Judge what is shown, once both are there for so long that both must know it."""
        self._look_at_cloud()
        now, world = self._world.loop.time(), self._world
        gateway = world.cloud.gateway
        if not self._both or self._away is not None or gateway is None:
            return
        is_told = gateway.has_twin(self.uuid)
        if is_told:
            self.holding.note_certain(now)
        if now - self._since < TOLD_SECONDS or len(self.holding.changes) < CERTAIN:
            return
        if not is_told:
            self.holding.broken.append(
                "two machines have one identity, and the cloud does not say so"
            )
        told = [twin.link.status for twin in self._both]
        if not any(TOLD in status.last_error for status in told):
            self.holding.broken.append(
                f"nobody is told that two have one identity: {told[0].last_error!r}, {told[1].last_error!r}"
            )
        here = [
            twin for twin in self._both if twin.is_registered and now - twin.since > HEARD_SECONDS
        ]
        if any(TOLD not in twin.link.status.warning for twin in here):
            self.holding.broken.append("the one that stays is not told that there is another")
