"""One simulated machine: the real agent on it, its process's lives, its disk, board and clock.

The launcher decides what starts, as on a real machine; what would be another program is the same code under
another version number, with the faults that this version was given. A service manager starts what has ended.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import agent.app
import agent.local.client
import agent.points
import base.local_time
from agent.app import Agent
from agent.settings import LinkSettings, OtaSettings, Settings, SwitchSettings, VoiceSettings
from audio.vad import VadKind
from machine.folder_watch import FolderWatch, MountWatch
from machine.level import KeptLevel
from machine.network import NetworkInfo
from ota.launch.boot import release_folder
from ota.launch.launch import choose_release
from ota.launch.starts import forget
from resources.announce.settings import Kind, SoundsSettings
from tools.sim.board import SimBattery, SimMixer, SimPlayer, SimPowerOff, Sounds
from tools.sim.calls import Calls, Mount, bury, lay_out
from tools.sim.disk import Change, File, Folder, Left, Write, after_cut, flip_bit, split
from tools.sim.invariants import is_of_read_only_card
from tools.sim.life import CURRENT, Life, PowerCut
from tools.sim.logs import LogCount
from tools.sim.net import Network
from tools.sim.sqlite_disk import SqliteDisk
from wire.profile import Profile

BASE_VERSION = "1.0.0"
# Seconds until the service manager starts what has ended, and a machine that lost its power.
RESTART_SECONDS = 2.0
# Seconds of a system's end, of a look at the battery's course, and the percent below which no board starts.
OFF_SECONDS, BATTERY_SECONDS, BOOT_PERCENT = 3.0, 60.0, 6.0
# The head of an MP3 frame, as the media folder looks for.
SOUND = b"\xff\xfb\x90\x64" + bytes(413)
TITLES = [f"story {number:02}" for number in range(8)]

CURRENT_MACHINE: contextvars.ContextVar[Machine | None] = contextvars.ContextVar(
    "machine", default=None
)


@dataclass(slots=True)
class Faulty:
    """What is wrong with a version.

    Attributes:
        crashes: it ends at its start.
        deaf: it never reaches the cloud.
        dies_after: seconds after which it dies; 0: never.
    """

    crashes: bool = False
    deaf: bool = False
    dies_after: float = 0.0


@dataclass
class Platform:
    """What all machines stand on."""

    loop: asyncio.AbstractEventLoop
    net: Network
    calls: Calls
    sqlite: SqliteDisk
    rng: random.Random
    note: Callable[[str], None]


class Machine:
    """One machine."""

    def __init__(self, on: Platform, profile: Profile, folder: Path, repository: Any) -> None:
        """Use the empty ``folder`` as its disk."""
        self.on, self.profile, self.name = on, profile, profile.uuid
        self.repository = repository
        self.rng = random.Random(on.rng.random())  # noqa: S311  # a simulation
        self.sounds = Sounds(self.rng)
        self.battery = SimBattery()
        self.versions: dict[str, Faulty] = {}
        self.log = LogCount(on.loop.time)
        self.wall_offset = 0.0
        self.life: Life | None = None
        self.agent: Agent | None = None
        self.player: SimPlayer | None = None
        self.running = ""
        self.ended: list[str] = []
        """Why its processes ended by themselves, where that is a fault."""
        self.boots = self.starts = 0
        self.tries = 0
        """How often a version that does not start was started in a row."""
        self.started_at = 0.0
        self.torn: list[str] = []
        """Files of versions that were started and were not those of their packages."""
        self.ran_dry: list[float] = []
        """After how many seconds of running an empty battery ended it."""
        self.buried: list[Any] = []
        self.recordings: set[Any] = set()
        """Microphones that are open."""
        self.wake_child: Any = None
        """The process that listens for the wake word."""
        self.words_heard = 0
        """How often it was listened to because of a wake word."""
        self.flip: float | None = None
        """Which bit is another one when the power comes back, from 0 to 1; None: all are as they were."""
        self.damaged: set[str] = set()
        """Files that had a bit flipped."""
        self._away: asyncio.TimerHandle | None = None
        self.on_gone: Callable[[], None] = lambda: None
        self.settings = Settings(
            link=LinkSettings(),
            sounds=SoundsSettings(kinds=Kind.NONE),
            ota=OtaSettings(repository="http://repository.test/tuf"),
            switch=SwitchSettings(armed=True, idle_minutes=0),
            voice=VoiceSettings(vad=VadKind.ENERGY),
        )
        self.mount = Mount(str(folder))
        on.calls.mounts.append(self.mount)
        self.state = folder
        self._install()

    def _install(self) -> None:
        media = {f"/media/{title}.mp3": SOUND for title in TITLES}
        files = {**media, "/root.json": self.repository.trusted_root}
        left = Left(
            files, ["/media"], {}, dict.fromkeys([*files, "/media"], 0o644) | {"/media": 0o755}
        )
        self.mount = lay_out(self.on.calls, self.mount, left)

    # Power.

    def _use_battery(self) -> None:
        """Let a minute of the battery pass; an empty one ends all."""
        self.battery.pass_time(BATTERY_SECONDS, runs=self.life is not None)
        if self.battery.level <= 0 and self.life is not None:
            self.lose_power("the battery is empty")
            self.ran_dry.append(self.on.loop.time() - self._booted_at)
        self.on.loop.call_later(BATTERY_SECONDS, self._use_battery, context=contextvars.Context())

    def switch_off(self) -> None:
        """End the system in order, and the power with it; somebody switches it on again later."""
        if self.life is not None:
            self.on.note(f"{self.name}: switches itself off")
            self.stop()
            off = functools.partial(self.lose_power, "off")
            self.on.loop.call_later(OFF_SECONDS, off, context=contextvars.Context())

    def boot(self) -> None:
        """Give it power."""
        if not self.boots:
            self._use_battery()
        if self.battery.level < BOOT_PERCENT and not self.battery.powered:
            self.on.loop.call_later(BATTERY_SECONDS, self.boot, context=contextvars.Context())
            return
        self.boots += 1
        self._booted_at = self.on.loop.time()
        self._boot_id = f"boot-{self.name}-{self.boots}"
        self.mount.on_cut = functools.partial(self.lose_power, "power cut at a call")
        self.start()

    def start(self) -> None:
        """Start the service."""
        if self.life is not None:
            return
        self.starts += 1
        self.life = Life(self.name, self.wall_offset, self._booted_at, self._boot_id)
        self.life.handlers.append(self.log)
        context = contextvars.Context()
        context.run(CURRENT.set, self.life)
        context.run(CURRENT_MACHINE.set, self)
        self._task = self.on.loop.create_task(self._live(self.life), context=context)

    def set_clock(self, offset: float) -> None:
        """Set its clock ``offset`` seconds ahead of the true time."""
        self.wall_offset = offset
        if self.life is not None:
            self.life.wall_offset = offset

    async def _live(self, life: Life) -> None:
        wants_restart, why, of_card = False, "", False
        try:
            wants_restart = await self._run_service()
        except PowerCut:
            return
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # whatever ends it is judged by the invariants
            why, of_card = f"{type(error).__name__}: {error}", is_of_read_only_card(error)
            if isinstance(error, BaseExceptionGroup):
                why = f"{error.exceptions[0]!r}"
                if error.subgroup(PowerCut) is not None:
                    return
        if life.dead:
            return
        self.on.note(f"{self.name}: {self.running} ended{': ' + why if why else ''}")
        # On a card that is read-only `agent.daemon`, which is not simulated, would have taken a folder in memory.
        is_excused = of_card and self.mount.read_only
        if why and not self.versions.get(self.running, Faulty()).crashes and not is_excused:
            self.ended.append(why)
        self._gone(life, power=False)
        later = 0.3 if wants_restart else RESTART_SECONDS
        self.on.loop.call_later(later, self.start, context=contextvars.Context())

    async def _run_service(self) -> bool:
        decision = choose_release(self.state, find_base=lambda: BASE_VERSION)
        self.running = decision.version or BASE_VERSION
        faulty = self.versions.get(self.running, Faulty())
        self.on.note(f"{self.name}: {self.running} starts")
        self._look_at_files(decision.version)
        self.tries = self.tries + 1 if faulty.crashes else 0
        self.started_at = self.on.loop.time()
        if faulty.crashes:
            await asyncio.sleep(0.5)
            raise RuntimeError(f"version {self.running} does not start")
        if faulty.dies_after:
            self.on.loop.call_later(faulty.dies_after, self.kill)
        self.on.net.path(self.name).refused = faulty.deaf
        self.agent = Agent(self.profile, self.settings, self.state, self.running)
        try:
            await self.agent.run()
        finally:
            if self.life is not None and not self.life.dead:
                forget(self.state)
        return self.agent.restart_wanted

    def _look_at_files(self, version: str | None) -> None:
        """Note how a version that starts differs from its package; a flipped bit may be in it."""
        if version is None or self.damaged:
            return
        lib = release_folder(self.state, version) / "lib"
        for name, data in self.repository.contents[version].items():
            path = lib.parent / name
            if not path.is_file() or path.read_bytes() != data:
                self.torn.append(f"{name} of {version} is not as in its package")

    def stop(self) -> None:
        """End it in order, as SIGTERM does."""
        if self.life is not None:
            for work in list(self.life.signals.values())[:1]:
                work()

    def kill(self) -> None:
        """Kill its process; the service manager starts it again."""
        if self.life is None:
            return
        self.on.note(f"{self.name}: kill -9")
        self._gone(self.life, power=False)
        self.on.loop.call_later(RESTART_SECONDS, self.start, context=contextvars.Context())

    def lose_power(self, why: str = "power cut") -> None:
        """Take its power away; it comes back in a while, with what its disk has kept."""
        if self.life is None:
            return
        self.on.note(f"{self.name}: {why}")
        self.mount.dead = True
        self._gone(self.life, power=True)
        away = self.rng.uniform(1.0, 120.0)
        self._away = self.on.loop.call_later(away, self._come_back, context=contextvars.Context())

    def come_back(self) -> None:
        """Give it its power back now, if that is away."""
        if self._away is not None:
            self._away.cancel()
            self._come_back()

    def _gone(self, life: Life, *, power: bool) -> None:
        life.dead = True
        self.on_gone()
        life.close_watches()
        self.on.net.killed(life, power=power)
        self.on.sqlite.forget(self.mount)
        self.on.loop.call_soon(self._bury, self.mount, life, context=contextvars.Context())
        if self.player is not None:
            self.player.note_left(killed=True)
            self.player.die()
        if self.mount.full or self.mount.read_only:
            self.sounds.forget_places()  # the newest were in this process alone
        self.buried += [self.agent, life, self._task]
        self.life = self.agent = self.player = self.wake_child = None
        self.sounds.listeners.clear()
        self.recordings.clear()

    def _bury(self, mount: Mount, life: Life) -> None:
        bury(self.on.calls, mount)
        del life

    def _come_back(self) -> None:
        self._away = None
        left = after_cut(self.mount.disk, self._survives)
        if self.flip is not None and (found := flip_bit(left, self.flip)):
            self.damaged.add(found)
            if "playing" in found:
                self.sounds.forget_places()  # an older one may be the newest that can be read
            self.on.note(f"{self.name}: a bit of {found} is another one")
        self.flip = None
        self.mount = lay_out(self.on.calls, self.mount, left)
        self.boot()

    def _survives(self, _path: str, node: File | Folder) -> Sequence[Write | Change]:
        pending: list[Any] = list(node.pending)
        match self.rng.choice(["nothing", "all", "first", "some", "torn"]):
            case "nothing":
                return []
            case "all":
                return pending
            case "first":
                return pending[: self.rng.randrange(len(pending) + 1)]
            case "some":
                return [change for change in pending if self.rng.random() < 0.5]
        kept = pending[: self.rng.randrange(len(pending)) + 1]
        last = kept.pop()
        if isinstance(last, Write):
            return [*kept, *(part for part in split(last) if self.rng.random() < 0.5)]
        return kept

    # What the drivers are replaced by.

    def make_player(self, folder: Path | None) -> SimPlayer:
        """Return the player of the process that starts."""
        self.player = SimPlayer(self.sounds, folder)
        return self.player


def own() -> Machine:
    """Return the machine whose code runs."""
    found = CURRENT_MACHINE.get()
    if found is None:
        raise RuntimeError("no machine's code runs")
    return found


async def _find_mixer(on_change: Callable[[], None]) -> SimMixer:
    return SimMixer(own().sounds, on_change)


@dataclass
class _Answer:
    status: int = 200
    body: bytes = b""


@dataclass
class SimClient:
    """Asks the agent's own self-description, as its health check does over its Unix socket."""

    path: Path
    seconds: float = 10.0
    asked: list[str] = field(default_factory=list)

    def request(self, method: str, target: str, body: bytes = b"") -> _Answer:
        """Answer ``GET /resource``."""
        del method, target, body
        from wire.fields import dump_object  # noqa: PLC0415  # one name

        machine = own()
        dispatch = getattr(machine.agent, "_dispatch", None)
        if dispatch is None:
            return _Answer(503)
        return _Answer(200, dump_object(dispatch.describe()))


def bind_drivers() -> None:
    """Put the simulated board in the drivers' places, for the rest of the process."""
    names: Any = agent.points
    names.find_player = lambda _level, folder: own().make_player(folder)
    names.KeptLevel = functools.partial(KeptLevel, _find_mixer, lambda: "simulated")
    names.LogindPowerOff = lambda: SimPowerOff(own().switch_off)
    names.build_battery = lambda _settings: own().battery
    # Neither a clock with a battery nor a time service, whatever the machine has that this runs on.
    times: Any = base.local_time
    times.has_clock = times.is_synchronised = lambda: False
    app: Any = agent.app
    # An agent that has started turns the collector on, and keeps all that is there from it: of a process that runs
    # seeds that would be all of them.
    app.gc = SimpleNamespace(freeze=lambda: None, enable=lambda: None)
    app.read_network = lambda: NetworkInfo("WIFI", "02:00:00:00:00:01", "10.0.0.2")
    client: Any = agent.local.client
    client.LocalClient = SimClient
    for kind in (FolderWatch, MountWatch):
        _note_watches(kind)


def _note_watches(kind: Any) -> None:
    """Note whose each is: a user has 128 of inotify's, and what is dead is collected only after the seed."""
    make = kind.__init__

    def noted(self: Any) -> None:
        make(self)
        life = CURRENT.get()
        if life is not None:
            life.watches.append(self)

    kind.__init__ = noted
