"""Whether a simulated machine and all of its cloud say the same of the link, and since when not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.sim.broker_faults import CLOUD
from wire.abilities import PING

if TYPE_CHECKING:
    from tools.sim.world import World


class LinkLook:
    """What is seen of one machine's link at each look."""

    def __init__(self, world: World) -> None:
        """Look at the machine of ``world``."""
        self._world = world
        self.came = 0
        """How often the machine was let in."""
        self.since: float | None = None
        """Since when machine and cloud do not agree, at the last look."""
        self._way = ("", False, 0)
        self._worked_at = 0.0
        """Until when the broker was away or stood still: it noticed nothing."""

    def look(self) -> float | None:
        """Return since when machine and cloud do not agree in one way; who comes or goes meanwhile is to be noticed anew.

        So is who came and went between two looks at which it was away.
        """
        is_there = self.says_online()
        way = (self._fault(), is_there, 0 if is_there else self.came)
        if way != self._way or not way[0]:
            self.since = None
        self._way = way
        if way[0] and self.since is None:
            self.since = self._world.loop.time()
        return self.since

    def says_online(self) -> bool:
        """Return whether the machine says that its link is there."""
        machine = self._world.machine
        link = getattr(machine.agent, "_link", None)
        return link is not None and link.registered.is_set() and machine.life is not None

    def dead_since(self) -> float | None:
        """Return since when a connection carries nothing that somebody has to notice."""
        world = self._world
        if self._is_unknown_peer():
            return None
        times = [world.net.dead_since(name) for name in (world.machine.name, CLOUD)]
        since = min((time for time in times if time is not None), default=None)
        if world.broker is not None and not world.broker.works:
            self._worked_at = world.loop.time()
        return None if since is None else max(since, self._worked_at)

    def _fault(self) -> str:
        """Return who does not agree with the machine, "" if all do or cannot know."""
        world, cloud, name = self._world, self._world.cloud, self._world.machine.name
        if cloud.gateway is None or not world.net.path(name).up or self._is_unknown_peer():
            return ""
        broker = world.broker
        if broker is not None:
            if not broker.works or not world.net.path(CLOUD).up:
                return ""
            if cloud.worker is None or not cloud.worker.ready.is_set():
                return "a worker that takes no part"
            if self._second_is_unlike():
                return "the second worker"
        return "" if cloud.gateway.is_online(name) == self.says_online() else "the cloud"

    def _second_is_unlike(self) -> bool:
        """Return whether the cloud's processes know nothing of each other, or show another one of the link."""
        second, others = self._world.cloud.second, set(self._world.cloud.members.others)
        if second is None or second.gateway is None or second.worker is None:
            return bool(others)
        if not second.worker.ready.is_set() or not others or not second.members.others:
            return True
        return second.gateway.is_online(self._world.machine.name) != self.says_online()

    def _is_unknown_peer(self) -> bool:
        """Return whether a proxy hides a machine that has not said yet that it reads pings: that takes minutes."""
        gateway, name = self._world.cloud.gateway, self._world.machine.name
        if self._world.broker is not None:
            return False
        if gateway is None or not self._world.net.path(name).proxied:
            return False
        session = gateway.sessions.find(name)
        return session is not None and PING not in session.abilities
