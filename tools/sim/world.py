"""One simulated world: a machine, its cloud, the network, and what happens to them, from one seed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import importlib
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import resources.online.upstream
from tools.ending import folders
from tools.sim import broker_process, threads
from tools.sim.aging import NAME as AGED
from tools.sim.aging import Ages, begin_ages
from tools.sim.broker_faults import CLOUD
from tools.sim.broker_process import BrokerProcess
from tools.sim.calls import bury
from tools.sim.clock import START
from tools.sim.cloud import ADDRESS, HOST, Cloud, Template
from tools.sim.drivers import bind_drivers
from tools.sim.ears import bind_microphone
from tools.sim.env import Env
from tools.sim.hands_free import bind_wake_child, leave_listening
from tools.sim.happenings import HAPPENINGS, go_to_bed, heal
from tools.sim.invariants import end_faults, step_faults
from tools.sim.log_ins import LogIns
from tools.sim.loop import SimLoop
from tools.sim.machine import Machine, Platform
from tools.sim.moments import watch_restarts
from tools.sim.net import Network
from tools.sim.observer import Observer
from tools.sim.paces import look_for_twins, slow_down
from tools.sim.pruning import Terms, sign_nothing
from tools.sim.repository import Repository, SimWeb
from tools.sim.rollouts import Rollouts, pace_of, watch_openings
from tools.sim.scenario import DAMAGE, HOUR, ROLLOUT, ROTS, STORE_ROTS, TWINS, VOICE, Event
from tools.sim.second_worker import NAME as SECOND
from tools.sim.second_worker import has_second
from tools.sim.twins import Twins
from tools.sim.voice_days import VoiceTerms, VoiceWatch, set_voice_terms
from tools.sim.voice_home import watch_voice
from tools.sim.watching import WATCHED
from tools.sim.web_keep import bind_names
from tools.sim.web_lists import ListWatch, page_of, watch_lists
from tools.sim.web_server import WebServer

# Seconds between two looks at the invariants: while something happens and for a while afterwards, and else.
LOOK_SECONDS, QUIET_LOOK_SECONDS = 15.0, 60.0
BUSY_SECONDS = 120.0
# At the end, seconds for an update that is under way, also where all else has less, and for what it tells then. Of a damaged
# package the cloud says that it is to be asked again in ten minutes; then it is fetched, and the version proves itself.
UPDATE_SECONDS, TOLD_SECONDS = 900.0, 60.0
# And for what was told in the last moment, which is on its way.
ARRIVE_SECONDS = 20


@dataclass(slots=True)
class Outcome:
    """How a run ended: what was broken first, the trace, and figures."""

    fault: str = ""
    at: float = 0.0
    trace: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    digest: str = ""
    """Of all that happened: the same for the same seed."""


class World:
    """What one run is made of."""

    def __init__(
        self,
        env: Env,
        seed: int,
        repository: Repository,
        template: Template,
        settle: float,
        *,
        by_mqtt: bool = False,
    ) -> None:
        """Make machine and cloud; nothing runs before `run`.

        ``settle``: the quiet seconds at its end; ``by_mqtt``: whether a broker is between the two.
        """
        self._quiet = settle
        self.quiet_since = 0.0
        """Since when all faults are over."""
        env.seed(seed)
        self.env, self.seed = env, seed
        self.rng = random.Random(seed)  # noqa: S311  # a simulation
        self.loop = SimLoop(env.clock)
        asyncio.set_event_loop(self.loop)
        self.net = Network(self.loop, random.Random(seed + 2))  # noqa: S311  # a simulation
        self.loop.net = self.net
        chance = random.Random(seed + 3)  # noqa: S311  # a simulation
        self.loop.executor_seconds = lambda: chance.choice((0.0, 0.001, 0.004, 0.03))
        self.net.hosts[HOST] = [ADDRESS]
        self.net.chain_end = START + 300 * 86400
        self.trace: list[str] = []
        on = Platform(self.loop, self.net, env.calls, env.sqlite, self.rng, self.note)
        self.folder = Path(tempfile.mkdtemp(prefix="sim-", dir="/dev/shm"))  # of our own
        folders.add(str(self.folder))
        (self.folder / "m").mkdir()
        (self.folder / "c").mkdir()
        self.web = SimWeb(repository, self.net, random.Random(seed + 4))  # noqa: S311  # a simulation
        self.web.install()
        self.stories = WebServer(self.net, random.Random(seed + 5))  # noqa: S311  # a simulation
        self.stories.find_page = page_of
        self.repository = repository
        self.broker = self._make_broker(on, template) if by_mqtt else None
        self.cloud = Cloud(on, template, self.folder / "c", self.broker)
        profile = template.profile(0, by_mqtt=by_mqtt)
        self.machine = Machine(on, profile, self.folder / "m", repository)
        self.machine.sounds.mixer_tells = seed % 2 == 0
        self.rollouts = Rollouts(self)
        self.observer = Observer(self)
        self.lists = ListWatch(self.stories, self.observer.count)
        self.machine.sounds.unsaid = self.observer.keep.unsaid = self.stories.unsaid
        # Their nonces were in the store that is no more.
        self.cloud.on_restored = self.observer.apps.heard.clear
        self.twins = Twins(self)
        self.log_ins = LogIns(self.loop.time, self.observer.count)
        self.outcome = Outcome()
        self.cut_at_end = 0
        """After so many calls of the disk the power goes when the machine's next update tells its end; 0: it stays."""
        self.undo: dict[str, Callable[[], None]] = {}
        """What ends each fault that is under way."""
        self.at_rest: dict[str, Callable[[], None]] = {}
        """What is done once all faults are over."""

    def _make_broker(self, on: Platform, template: Template) -> BrokerProcess:
        ca = self.folder / "ca.pem"
        ca.write_text(template.ca_pem)
        kind = broker_process.Kind.of(self.seed)
        tokens = {uuid: token for uuid, token, _ in template.uuids}
        if kind.is_beside:
            self.net.path(CLOUD).latency = (0.0001, 0.0003)
        return BrokerProcess(on, kind, tokens, ca)

    def _keep_voice(self, hours: float, *, is_kept: bool) -> None:
        """Let the cloud keep the child's voice for some days, or for ever."""
        terms = VoiceTerms.of(self.seed, hours) if is_kept else None
        set_voice_terms(terms)
        self.machine.sounds.has_voices = is_kept
        if terms is not None:
            self.cloud.voice = VoiceWatch(
                terms, self.machine.name, self.observer.count, is_answered=self.broker is None
            )
            self.cloud.voice.damaged = self.cloud.files.damaged

    def _work_by_two(self) -> None:
        self.cloud.work_by_two()
        if self.broker is not None and self.broker.kind.is_beside:
            self.net.path(SECOND).latency = (0.0001, 0.0003)
        self.observer.watch_second()

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.loop.time():10.3f} {text}")

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something of nobody's later."""
        self.loop.call_later(seconds, work, context=contextvars.Context())

    def run(self, events: Sequence[Event], hours: float) -> Outcome:
        """Let all happen, then everything settle; return how it ended."""
        leave_listening(self, events, hours)
        self.cloud.looks = any(event.what in {*DAMAGE, *ROTS, *STORE_ROTS} for event in events)
        self._keep_voice(hours, is_kept=any(event.what in VOICE for event in events))
        self.web.files = self.cloud.files if self.cloud.looks else None
        if self.broker is not None and not self.cloud.looks and has_second(self.seed, hours):
            self._work_by_two()
        looks = self.cloud.looks or self.cloud.second is not None
        self.cloud.pace = pace_of(events, hours, is_looked_for=looks)
        has_ages = any(event.what == AGED for event in events)
        ages = Ages.of(self.seed, hours) if has_ages else None
        terms = Terms.of(self.seed, hours, is_wanted=has_ages)
        self.cloud.keep_short(terms, self.observer.count, ages)
        if ages is not None:
            begin_ages(self, ages)
        # Those are others' where there are rollouts, or a machine that reports too much.
        taken = [*ROLLOUT, *(["flood"] if terms is not None else [])]
        self.twins.is_allowed = not any(event.what in taken for event in events)
        look_for_twins(are_there=any(event.what in TWINS for event in events))
        try:
            self.loop.run_until_complete(
                self.loop.create_task(
                    self._run(events, hours * HOUR), context=contextvars.Context()
                )
            )
        finally:
            self._close()
        self.outcome.trace = self.trace
        whole = [*self.trace, self.outcome.figures, self.loop.steps, self.net.rng.random()]
        self.outcome.digest = hashlib.sha256(repr(whole).encode()).hexdigest()[:16]
        return self.outcome

    async def _run(self, events: Sequence[Event], seconds: float) -> None:
        if self.broker is not None and not self.broker.kind.is_beside:
            self.broker.start()
        self.cloud.start()
        self.machine.boot()
        waiting = list(events)
        next_look, busy_until = LOOK_SECONDS, BUSY_SECONDS
        while self.loop.time() < seconds and not self.outcome.fault:
            until = min([next_look, seconds, *(event.at for event in waiting[:1])])
            await asyncio.sleep(max(0.0, until - self.loop.time()))
            while waiting and waiting[0].at <= self.loop.time():
                event = waiting.pop(0)
                self.note(f"-- {event.what} {event.chance}")
                HAPPENINGS[event.what](self, event.chance)
                busy_until = self.loop.time() + BUSY_SECONDS
                next_look = min(next_look, self.loop.time() + LOOK_SECONDS)
            if self.loop.time() >= next_look:
                await self._look()
                is_busy = self.loop.time() < busy_until or self.undo or self.observer.doubts
                next_look = self.loop.time() + (LOOK_SECONDS if is_busy else QUIET_LOOK_SECONDS)
        if not self.outcome.fault:
            await self._settle()

    async def _look(self) -> None:
        view = await self.observer.view()
        self._judge(list(step_faults(view)))

    def _judge(self, faults: Sequence[str]) -> None:
        if faults and not self.outcome.fault:
            self.outcome.fault, self.outcome.at = faults[0], self.loop.time()
            for fault in faults:
                self.note(f"!! {fault}")

    async def _settle(self) -> None:
        self.note("-- all faults are over")
        heal(self)
        for work in self.at_rest.values():
            work()
        go_to_bed(self, self._quiet)
        self.rollouts.end_all()
        begin = self.quiet_since = self.loop.time()
        end, latest = begin + self._quiet, begin + max(self._quiet, UPDATE_SECONDS)
        while self.loop.time() < end and not self.outcome.fault:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()
            if self._is_updating():
                end = max(end, min(self.loop.time() + TOLD_SECONDS, latest))
        for _ in range(ARRIVE_SECONDS):
            if self.outcome.fault or not self.observer.waiting:
                break
            await asyncio.sleep(1.0)
        if not self.outcome.fault:
            self._judge(list(end_faults(await self.observer.ending())))

    def _is_updating(self) -> bool:
        updater = getattr(self.machine.agent, "_updater", None)
        return updater is None or bool(updater.busy)

    def _close(self) -> None:
        self.outcome.figures = self.observer.figures()
        broker = None if self.broker is None else self.broker.life
        for life in (self.machine.life, *self.cloud.lives, broker):
            if life is not None:
                life.dead = True
        for mount in self.env.calls.mounts:
            mount.dead = True
        threads.end_all()
        self.net.close_all()
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001  # they are dead
        with contextlib.suppress(Exception):
            self.loop.close()
        self.loop.let_go()
        WATCHED.observer = None
        for mount in self.env.calls.mounts:
            self.env.sqlite.forget(mount)
            bury(self.env.calls, mount)
            mount.let_go()
        self.env.calls.mounts.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        folders.discard(str(self.folder))


def import_both_links() -> None:
    """Import what an agent imports with its first link: a seed must not be another one for being a process's first."""
    for name in ("agent.link.framed", "agent.link.mqtt", "transport.mqtt"):
        importlib.import_module(name)


def prepare(env: Env) -> tuple[Repository, Template]:
    """Make what all seeds have in common."""
    del env
    import_both_links()
    bind_drivers()
    bind_microphone()
    bind_wake_child()
    bind_names(resources.online.upstream)
    slow_down()
    sign_nothing()
    watch_openings(lambda: None if WATCHED.observer is None else WATCHED.observer.world.rollouts)
    watch_voice(lambda: None if WATCHED.observer is None else WATCHED.observer.world.cloud.voice)
    watch_restarts(lambda: WATCHED.observer)
    watch_lists(lambda: None if WATCHED.observer is None else WATCHED.observer.world.lists)
    repository = Repository()
    return repository, Template(repository)
