"""The broker of a simulated world: a process that is killed, ends in order, stands still, loses its power, and starts again.

It is beside the cloud, as ``story-cloud serve --mqtt-port`` starts it, and goes with it; or it is another's, on a machine
of its own, and the cloud reaches it over a network. It writes its state to a disk or does not, as mosquitto's
``persistence`` says: what it has is written at an end in order alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from staging.broker.settings import CLOUD_USER
from staging.broker.worker import BrokerAddress
from tools.sim.broker import Broker, Kept
from tools.sim.life import CURRENT, Life
from tools.sim.machine import Platform
from tools.sim.sockets import SimSocket

HOST, ADDRESS = "broker.test", "10.0.0.1"
DEVICES_PORT, WORKERS_PORT = 8883, 8884
# Seconds until a service manager, or the cloud, starts it again.
RESTART_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Kind:
    """Where it runs, and whether it writes its state to a disk."""

    is_beside: bool
    persists: bool

    @classmethod
    def of(cls, seed: int) -> Kind:
        """Return a seed's: the product's own broker never writes."""
        rng = random.Random(f"broker's kind {seed}")  # noqa: S311  # a simulation
        is_beside = rng.random() < 0.5
        return cls(is_beside, not is_beside and rng.random() < 0.5)


class BrokerProcess:
    """One broker."""

    def __init__(self, on: Platform, kind: Kind, devices: Mapping[str, str], ca: Path) -> None:
        """Let ``devices`` in by their tokens; ``ca``: what its workers trust."""
        self.on, self.kind = on, kind
        self._devices, self._ca = devices, ca
        self.life: Life | None = None
        self.core: Broker | None = None
        self.buried: list[Any] = []
        self._kept: Kept | None = None
        self._password = "the workers' password"  # noqa: S105  # of a simulation
        self._starts = 0
        self._away: asyncio.TimerHandle | None = None
        self.is_wanted: Callable[[], bool] = lambda: True
        """Whether what starts it is there itself."""
        on.net.hosts[HOST] = [ADDRESS]

    @property
    def works(self) -> bool:
        """Whether it runs and does not stand still."""
        return self.core is not None and not self.core.stands_still

    def address(self) -> BrokerAddress:
        """Return how the cloud's workers reach it."""
        return BrokerAddress(HOST, WORKERS_PORT, self._ca, self._password)

    def start(self) -> None:
        """Start it."""
        if self.life is not None or not self.is_wanted():
            return
        self._starts += 1
        if self.kind.is_beside:
            self._password = f"the workers' password {self._starts}"
        self.life = Life("broker")
        self.core = core = Broker(self.on.loop.time, {CLOUD_USER: self._password, **self._devices})
        if self._kept is not None:
            core.restore(self._kept)
            self._kept = None
        self.on.note("broker: starts")
        context = contextvars.Context()
        context.run(CURRENT.set, self.life)
        for port in (DEVICES_PORT, WORKERS_PORT):
            context.run(self._listen, core, port)

    def _listen(self, core: Broker, port: int) -> None:
        listener: Any = SimSocket()
        listener.name = (ADDRESS, port)
        self.on.net.listeners[ADDRESS, port] = listener
        self.on.net.watch(listener, self._accept, (core, listener))

    def _accept(self, core: Broker, listener: Any) -> None:
        while listener.queue and not core.stands_still:
            sock, _ = listener.accept()
            self.buried.append(self.on.loop.create_task(self._welcome(core, listener, sock)))

    async def _welcome(self, core: Broker, listener: Any, sock: Any) -> None:
        is_device = listener.name[1] == DEVICES_PORT
        with contextlib.suppress(OSError):
            await self.on.loop.connect_accepted_socket(
                lambda: core.welcome(is_device=is_device), sock, ssl=_TLS
            )

    # Its ends.

    def kill(self) -> None:
        """Kill it; what starts it does so again."""
        if self.life is not None:
            self.on.note("broker: kill -9")
            self._gone(self.life, power=False)
            self._later(RESTART_SECONDS, self.start)

    def stop(self, *, for_good: bool = False) -> None:
        """End it in order, as SIGTERM does; it is started again, but ``for_good``."""
        if self.life is None or self.core is None:
            return
        self.on.note("broker: ends in order")
        self.core.say_goodbye()
        if self.kind.persists:
            self._kept = self.core.keep()
        self._gone(self.life, power=False)
        if not for_good:
            self._later(RESTART_SECONDS, self.start)

    def lose_power(self, seconds: float | None = None) -> None:
        """Take its power away, for so many seconds; None: until somebody starts it."""
        if self.life is not None:
            self.on.note("broker: power cut")
            self._gone(self.life, power=True)
            if seconds is not None:
                self._away = self._later(seconds, self.come_back)

    def come_back(self) -> None:
        """Give it its power back now, if that is away."""
        if self._away is not None:
            self._away.cancel()
            self._away = None
            self.start()

    def stand_still(self, *, still: bool) -> None:
        """Stop it as SIGSTOP does, or let it go on."""
        if self.core is None or self.life is None:
            return
        self.on.note(f"broker: {'stands still' if still else 'goes on'}")
        context = contextvars.Context()
        context.run(CURRENT.set, self.life)
        context.run(self.core.stand_still, still=still)
        for port in (DEVICES_PORT, WORKERS_PORT):
            listener = self.on.net.listeners.get((ADDRESS, port))
            if listener is not None and listener.queue:
                self.on.net.tell(listener)

    def _later(self, seconds: float, work: Any) -> asyncio.TimerHandle:
        return self.on.loop.call_later(seconds, work, context=contextvars.Context())

    def _gone(self, life: Life, *, power: bool) -> None:
        life.dead = True
        for port in (DEVICES_PORT, WORKERS_PORT):
            listener = self.on.net.listeners.pop((ADDRESS, port), None)
            if listener is not None:
                listener.close()
        self.on.net.killed(life, power=power)
        self.buried += [self.core, life]
        self.life = self.core = None


class _Tls:
    """Stands for the broker's certificate, which is not looked at."""


_TLS: Any = _Tls()
