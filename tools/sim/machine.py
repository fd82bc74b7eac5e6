"""One simulated machine: the real agent on it, its process's lives, its disk, board and clock.

The launcher decides what starts, as on a real machine; what would be another program is the same code under
another version number, with the faults that this version was given. A service manager starts what has ended
(`tools.sim.service`), as the unit says.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from agent.app import Agent
from agent.exits import EX_CONFIG
from agent.settings import (
    LinkSettings,
    OtaSettings,
    PlaySettings,
    Settings,
    SwitchSettings,
    VoiceSettings,
)
from audio.vad import VadKind
from ota.launch.boot import release_folder
from ota.launch.launch import LaunchDecision, choose_release
from resources.announce.settings import Kind, SoundsSettings
from tools.sim import service
from tools.sim.board import SimBattery, SimPlayer, Sounds
from tools.sim.calls import Calls, Mount, bury, lay_out, real
from tools.sim.disk import (
    Change,
    File,
    Folder,
    Left,
    Write,
    after_cut,
    flip_bit,
    split,
)
from tools.sim.life import CURRENT, Life, PowerCut
from tools.sim.net import Network
from tools.sim.rotting import rot_one
from tools.sim.service import Etc, Journal, Kill
from tools.sim.sqlite_disk import SqliteDisk
from tools.sim.threads import Thread
from wire.profile import Profile

BASE_VERSION = "1.0.0"
# Of the unit (systemd/story-agent.service): seconds until what has ended is started again, and that it has to end in when
# it is told to; and those until a process that has put another one in its place, or that somebody restarts, is there again.
RESTART_SECONDS, STOP_SECONDS, AGAIN_SECONDS = 3.0, 10.0, 0.3
# Seconds of a system's end, of a look at the battery's course, and the percent below which no board starts.
OFF_SECONDS, BATTERY_SECONDS, BOOT_PERCENT = 3.0, 60.0, 6.0
# The head of an MP3 frame, as the media folder looks for.
SOUND = b"\xff\xfb\x90\x64" + bytes(413)
TITLES = [f"story {number:02}" for number in range(8)]

# What is kept of stories from the web: two or three of `tools.sim.web_server`'s six.
KEEP_BYTES = 250_000

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


def usual_settings() -> Settings:
    """Return the settings of a simulated machine."""
    return Settings(
        link=LinkSettings(),
        sounds=SoundsSettings(kinds=Kind.NONE),
        ota=OtaSettings(repository="http://repository.test/tuf"),
        switch=SwitchSettings(armed=True, idle_minutes=0),
        voice=VoiceSettings(vad=VadKind.ENERGY),
        play=PlaySettings(cache_bytes=KEEP_BYTES),
    )


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
        self.journal = Journal(on.loop.time, profile.secrets)
        self.wall_offset = 0.0
        self.life: Life | None = None
        self.agent: Agent | None = None
        self.player: SimPlayer | None = None
        self.running = ""
        self.kills: list[Kill] = []
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
        self._is_going_off = False
        """Whether its system ends, and its power with that."""
        self.on_gone: Callable[[], None] = lambda: None
        self.settings = usual_settings()
        self.in_memory = False
        """Whether the process keeps all in memory, as there is no card."""
        self.memory_starts = 0
        self.card_away = False
        self._card: Left | None = None
        """What is on a card that is away."""
        self.is_spoilt = False
        """Whether the settings file is one that nobody can read."""
        self._asked = self._again = False
        self._use_disk(folder)

    def _use_disk(self, folder: Path) -> None:
        """Lay out its card in the empty ``folder``; beside it are what its image has, and its memory."""
        self.state, self.mount = folder, Mount(str(folder))
        self.on.calls.mounts.append(self.mount)
        self.etc = Etc(folder.with_name(f"{folder.name}-etc"), self.profile)
        self.memory = folder.with_name(f"{folder.name}-run")
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
        self._later(BATTERY_SECONDS, self._use_battery)

    def switch_off(self) -> None:
        """End the system in order, and the power with it; somebody switches it on again later."""
        if self.life is not None:
            self.on.note(f"{self.name}: switches itself off")
            self._is_going_off = True
            self.stop()
            self._later(OFF_SECONDS, self._off)

    def _off(self) -> None:
        """Be without power at the end of a system, whose process has ended by then and is not started again."""
        if self._is_going_off:
            self._cut("off")

    def boot(self) -> None:
        """Give it power."""
        if not self.boots:
            self.etc.write(self.settings)
            self._use_battery()
        if self.battery.level < BOOT_PERCENT and not self.battery.powered:
            self._later(BATTERY_SECONDS, self.boot)
            return
        self.boots += 1
        self._is_going_off = False
        self._booted_at = self.on.loop.time()
        self._boot_id = f"boot-{self.name}-{self.boots}"
        self.mount.on_cut = functools.partial(self.lose_power, "power cut at a call")
        self.mount.on_refusal = self.sounds.note_refusal
        self.start()

    def start(self) -> None:
        """Start the service, but of a system that ends or has no power."""
        if self.life is not None or self._is_going_off or self._away is not None:
            return
        self.starts += 1
        self.life = Life(self.name, self.wall_offset, self._booted_at, self._boot_id)
        self._asked = self._again = False
        self.journal.begin()
        self._task = self._context(self.life).run(Thread, target=self._live, args=(self.life,))
        self._task.start()

    def _context(self, life: Life) -> contextvars.Context:
        """Return the context of its process's code."""
        context = contextvars.Context()
        context.run(CURRENT.set, life)
        context.run(CURRENT_MACHINE.set, self)
        return context

    def set_clock(self, offset: float) -> None:
        """Set its clock ``offset`` seconds ahead of the true time."""
        self.wall_offset = offset
        if self.life is not None:
            self.life.wall_offset = offset

    def _live(self, life: Life) -> None:
        """Be its process: from its start to its end, in a thread of its own."""
        why = ""
        try:
            code = service.run(self.state, self.etc, self.memory)
        except PowerCut:
            return
        except Exception as error:  # noqa: BLE001  # whatever ends it is judged by the invariants
            code, why = 1, f"{type(error).__name__}: {error}"
        if life.dead:
            return
        told = " | ".join([why] if why else self.journal.last).replace(str(self.state), "")
        self.on.note(f"{self.name}: {self.running} ended: {code}")
        if fault := self._fault_of(code):
            self.ended.append(f"{fault}: {told}")
        self._gone(life, power=False)
        self._start_in(AGAIN_SECONDS if self._again else RESTART_SECONDS)

    def _fault_of(self, code: int) -> str:
        """Return why it should not have ended so; "" if that is as it should be."""
        if self.versions.get(self.running, Faulty()).crashes or (
            self.is_spoilt and code == EX_CONFIG
        ):
            return ""
        if code:
            return f"exit code {code}"
        return "" if self._asked or self._again else "by itself"

    def _later(self, seconds: float, work: Callable[[], None]) -> asyncio.TimerHandle:
        """Do what is no process's work."""
        return self.on.loop.call_later(seconds, work, context=contextvars.Context())

    def _start_in(self, seconds: float) -> None:
        self._later(seconds, self.start)

    # What its process asks of its system (`tools.sim.service.Process`).

    def enter(self, state: Path) -> LaunchDecision:
        """Choose what starts; what a version is that crashes at its start ends here."""
        decision = choose_release(state, find_base=lambda: BASE_VERSION)
        self.running = decision.version or BASE_VERSION
        faulty = self.versions.setdefault(self.running, Faulty())
        self.on.note(f"{self.name}: {self.running} starts")
        self._look_at_files(decision.version)
        self.tries = self.tries + 1 if faulty.crashes else 0
        self.started_at = self.on.loop.time()
        if faulty.crashes:
            time.sleep(0.5)
            raise RuntimeError(f"version {self.running} does not start")
        if faulty.dies_after:
            self.on.loop.call_later(faulty.dies_after, self.kill)
        self.on.net.path(self.name).refused = faulty.deaf
        return decision

    def exec_again(self) -> None:
        """Let another program take the place of this one."""
        self._again = True

    def note_agent(self, made: Agent, state: Path) -> None:
        """Hear of the agent that its process has made, and of the folder in which that keeps all."""
        self.agent, self.in_memory = made, state != self.state
        self.memory_starts += self.in_memory

    def _look_at_files(self, version: str | None) -> None:
        """Note how a version that starts differs from its package; a flipped bit may be in it."""
        if version is None or any("releases" in path for path in self.damaged):
            return
        lib = release_folder(self.state, version) / "lib"
        for name, data in self.repository.contents[version].items():
            path = lib.parent / name
            if not path.is_file() or path.read_bytes() != data:
                self.torn.append(f"{name} of {version} is not as in its package")

    def stop(self) -> None:
        """End it in order, as SIGTERM does."""
        self.send(signal.SIGTERM)

    def restart(self) -> None:
        """Restart the service, as ``systemctl restart`` does."""
        self.send(signal.SIGTERM)
        self._again = self._asked

    def send(self, number: int) -> None:
        """Send a signal; one that ends the process has to do so in time."""
        life = self.life
        if life is None:
            return
        self.on.note(f"{self.name}: {signal.Signals(number).name}")
        handler = life.signals.get(number, signal.SIG_DFL)
        if number != signal.SIGHUP:
            self._asked = True
            self.on.loop.call_later(
                STOP_SECONDS, self._end_late, life, context=contextvars.Context()
            )
        if handler is signal.SIG_DFL:  # before it listens: the kernel ends it
            self._gone(life, power=False)
            self._start_in(RESTART_SECONDS)
        elif handler is not signal.SIG_IGN:
            self.on.loop.call_soon(handler, context=self._context(life))

    def _end_late(self, life: Life) -> None:
        if self.life is life:
            self.ended.append(f"it did not end within {STOP_SECONDS:.0f} s of being told to")
            self.kill()

    def kill(self) -> None:
        """Kill its process; the service manager starts it again."""
        if self.life is None:
            return
        self.on.note(f"{self.name}: kill -9")
        self.kills.append(Kill(self.boots, self.running, self.on.loop.time()))
        self._gone(self.life, power=False)
        self._start_in(RESTART_SECONDS)

    def lose_power(self, why: str = "power cut") -> None:
        """Take its power away; it comes back in a while, with what its disk has kept."""
        if self.life is not None:
            self._cut(why)

    def _cut(self, why: str) -> None:
        self.on.note(f"{self.name}: {why}")
        self._is_going_off, self.mount.dead = False, True
        if self.life is not None:
            self._gone(self.life, power=True)
        away = self.rng.uniform(1.0, 120.0)
        self._away = self._later(away, self._come_back)

    def take_card(self) -> None:
        """Let it lose its power, and come back without its card."""
        self.card_away = True
        self.lose_power("its card is away")

    def give_card(self) -> None:
        """Put the card in again, and switch it on with that."""
        self.card_away = False
        if self.life is None and self._away is None:  # it waits for its battery
            self._put_in()
        self.lose_power("its card is there again")

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
        self.on.loop.call_soon(bury, self.on.calls, self.mount, context=contextvars.Context())
        if self.player is not None:
            self.player.note_left(killed=True)
            self.player.die()
        self.sounds.end_of_process(is_refused=self.mount.full or self.mount.read_only)
        self.buried += [self.agent, life, self._task]
        self.life = self.agent = self.player = self.wake_child = None
        self.in_memory = False
        self.sounds.listeners.clear()
        self.recordings.clear()

    def _come_back(self) -> None:
        self._away = None
        self._put_in()
        self.boot()

    def _put_in(self) -> None:
        left = self._card or after_cut(self.mount.disk, self._survives)
        self._card = left if self.card_away else None
        if self.card_away:
            self._lay_out_nothing()
        else:
            self._flip(left)
            with contextlib.suppress(FileExistsError):
                real.mkdir(self.state)
            self.mount = lay_out(self.on.calls, self.mount, left)

    def _lay_out_nothing(self) -> None:
        """Let the place of its card be on the image, which is read-only."""
        calls, before = self.on.calls, self.mount
        calls.mounts.remove(before)
        shutil.rmtree(before.root, ignore_errors=True)
        before.let_go()
        self.mount = Mount(before.root)
        self.mount.read_only = True
        calls.mounts.append(self.mount)

    def _flip(self, left: Left) -> None:
        if self.flip is not None and (found := flip_bit(left, self.flip)):
            self._note_damage(found)
        self.flip = None

    def rot(self, chance: float, of: Iterable[str] = ("",)) -> None:
        """Let a bit of one of its files be another one while it runs, of one with a name ``of`` these: who reads it next from the card has that."""
        if self.life is None or self.card_away:
            return
        names = tuple(of)
        path = rot_one(self.mount, chance, lambda path: any(name in path for name in names))
        if path is not None:
            self._note_damage(path)

    def _note_damage(self, path: str) -> None:
        self.damaged.add(path)
        self.sounds.note_damage(PurePosixPath(path))
        self.on.note(f"{self.name}: a bit of {path} is another one")

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
