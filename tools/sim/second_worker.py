"""A second process of a simulated cloud: a worker as ``story-cloud work`` starts it, at the same broker and on the same disk.

It has a gateway and an open API of its own, no port for devices, and shares the store. It is killed and started again by
itself, and loses its power with the cloud's.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from typing import TYPE_CHECKING, Any

from staging.broker.gate import BrokerGate
from staging.broker.members import Members
from staging.broker.worker import Worker
from staging.gateway.gateway import Gateway, Limits
from staging.store import Database
from staging.store.key_file import FILE_NAME
from staging.store.voice_keys import VoiceKeys
from tools.sim.calls import bury
from tools.sim.cloud_files import STORE
from tools.sim.life import CURRENT, Life
from tools.sim.logs import LogCount
from tools.sim.open_api import OpenApi
from tools.sim.scenario import DAY_HOURS
from tools.sim.voice_days import eraser_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.cloud import Cloud

NAME = "worker 2"
PART, PART_OF_DAYS = 0.4, 0.2
RESTART_SECONDS = 3.0


def has_second(seed: int, hours: float) -> bool:
    """Return whether the cloud of a seed with a broker has a second worker."""
    rng = random.Random(f"second worker {seed}")  # noqa: S311  # a simulation
    return rng.random() < (PART if hours < DAY_HOURS else PART_OF_DAYS)


class SecondWorker:
    """One such process after another."""

    def __init__(self, cloud: Cloud, compile_with: Callable[[Database], None]) -> None:
        """Work beside ``cloud``, which has a broker; ``compile_with`` lets a store use what others have compiled."""
        self._cloud, self._compile = cloud, compile_with
        self.life: Life | None = None
        self.gateway: Gateway | None = None
        self.api: OpenApi | None = None
        self.worker: Worker | None = None
        self.members = Members("second")
        """What the present one knows of others."""
        self.ended: list[str] = []
        self.log = LogCount(cloud.on.loop.time)
        self.buried: list[Any] = []
        self.on_start: Callable[[Gateway], None] = lambda _gateway: None

    def start(self) -> None:
        """Start it, if its machine has power and it does not run."""
        if self.life is not None or self._cloud.mount.dead or self._cloud.life is None:
            return
        self.life = Life(NAME)
        self.life.handlers.append(self.log)
        self.context = contextvars.Context()
        self.context.run(CURRENT.set, self.life)
        self._task = self._cloud.on.loop.create_task(self._live(self.life), context=self.context)

    async def _live(self, life: Life) -> None:
        cloud = self._cloud
        try:
            assert cloud.broker is not None  # noqa: S101  # only such clouds have one
            database = Database(cloud.folder / STORE)
            database.voice_keys = VoiceKeys(cloud.folder / FILE_NAME)
            self._compile(database)
            self.members = members = Members("second")
            limits = Limits() if cloud.terms is None else cloud.terms.limits
            self.gateway = gateway = Gateway(
                database, api_url=lambda: "http://repository.test", pace=cloud.pace, owns=members.owns, limits=limits,
            )  # fmt: skip
            gateway.start_work()
            eraser = eraser_of(cloud.voice, database, gateway, cloud.folder)
            api = OpenApi(
                database, gateway, cloud.folder, lambda: cloud.mount.full, "second", eraser
            )
            await api.restore()
            self._upkeep = [asyncio.create_task(work) for work in api.upkeep()]
            api.begin = self._begin
            self.api = api
            cloud.on.note("worker 2: starts")
            self.on_start(gateway)
            gate = BrokerGate(database, gateway, members)
            self.worker = Worker(gate, members.who, cloud.broker.address)
            await self.worker.run()
        except Exception as error:  # noqa: BLE001  # judged by the invariants
            if not life.dead:
                self.ended.append(f"worker 2: {type(error).__name__}: {error}")
                self._gone(life, power=False)
                self._later()

    def _begin(self, work: Any) -> asyncio.Task[Any] | None:
        """Begin work of this process; None while there is none."""
        if self.life is None or self.gateway is None:
            work.close()
            return None
        return self._cloud.on.loop.create_task(work, context=self.context.copy())

    def kill(self, seconds: float) -> None:
        """Kill it, and start it again after so many seconds."""
        if self.life is not None:
            self._cloud.on.note("worker 2: kill -9")
            self._gone(self.life, power=False)
            self._later(seconds)

    def lose_power(self) -> None:
        """End with its machine."""
        if self.life is not None:
            self._gone(self.life, power=True)

    def _later(self, seconds: float = RESTART_SECONDS) -> None:
        self._cloud.on.loop.call_later(seconds, self.start, context=contextvars.Context())

    def _gone(self, life: Life, *, power: bool) -> None:
        life.dead = True
        on, mount = self._cloud.on, self._cloud.mount
        on.net.killed(life, power=power)
        on.sqlite.forget(mount, life)
        on.loop.call_soon(bury, on.calls, mount, life, context=contextvars.Context())
        self.buried += [self.gateway, self.api, self.worker, self._task, life]
        self.life = self.gateway = self.api = self.worker = None
