"""Watches a simulated world from outside: reads what the product shows, and notes what it has promised."""

from __future__ import annotations

import contextvars
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.link.outbox_rows import LATEST_ONLY
from agent.link.outbox_store import Store
from agent.voice.stream import LiveSender
from resources.dispatch import Dispatch
from resources.playing.events import State
from resources.points.play import PlayPoint
from tools.sim.clock import START
from tools.sim.invariants import Ending, View
from tools.sim.machine import CURRENT_MACHINE, Machine
from wire.codes import Code
from wire.rules import parse_rules

if TYPE_CHECKING:
    from tools.sim.world import World


# The machine learns the cloud's time to the length of a round trip.
LATE_SECONDS = 1.0
# After so many calls that change something on the disk its files are counted again.
COUNT_STEPS = 25
NAMES = ("volume", "play_mode", "child_lock", "rules", "volume_limits")


class Observer:
    """What is known of one machine and its cloud."""

    def __init__(self, world: World) -> None:
        """Watch ``world``."""
        self.world = world
        self.accepted: dict[tuple[str, int], str] = {}
        self.excused: dict[tuple[str, int], str] = {}
        self.late: list[str] = []
        self.heard_mute: list[str] = []
        """When the microphone was open although it was told to be off, and had said so."""
        self.heard = 0
        """The number of the last utterance that the machine began."""
        self.refused: dict[str, float] = {}
        self._unlike: dict[str, float] = {}
        self._counts: dict[str, float] = {}
        self._counted = (0, 0, 0, 0)
        WATCHED.observer = self

    @property
    def machine(self) -> Machine:
        """The machine."""
        return self.world.machine

    @property
    def doubts(self) -> bool:
        """Whether something is not as it is told, and has still time to be."""
        return bool(self._unlike)

    def count(self, name: str) -> None:
        """Count something for the totals."""
        self._counts[name] = self._counts.get(name, 0) + 1

    def excuse(self, key: str) -> None:
        """Let earlier reports of ``key`` be missing: a newer one has taken their place in the outbox."""
        self.excused.update(
            {name: "replaced" for name, known in self.accepted.items() if known == key}
        )

    def hear_mute(self, machine: Machine) -> None:
        """Hear that the microphone was told to be off, and says that it is."""
        if machine.recordings:
            self.heard_mute.append("the microphone is open after it was told to be off")

    def figures(self) -> dict[str, float]:
        """Return the totals."""
        machine = self.machine
        return {
            **self._counts, "reports": len(self.accepted), "boots": machine.boots,
            "starts": machine.starts, "calls": machine.mount.steps,
        }  # fmt: skip

    # At each look.

    async def view(self) -> View:
        """Return what is seen now."""
        machine, now = self.machine, self.world.loop.time()
        view = View(now=now, late=self.late, ended=[*machine.ended, *self.world.cloud.ended])
        if machine.life is not None and machine.agent is not None:
            view.alive, view.running = True, machine.running
            self._see_sound(view, machine)
        view.quiet_since = self._since("quiet", unlike=await self._is_forbidden(view))
        view.link_unlike_since = self._since("link", unlike=self._link_is_unlike())
        view.open_since = self._since("microphone", unlike=bool(machine.recordings))
        view.heard = self.heard_mute
        view.ran_dry = machine.ran_dry
        view.files, view.bytes = self._see_files(machine)
        return view

    def _since(self, name: str, *, unlike: bool) -> float | None:
        if not unlike:
            self._unlike.pop(name, None)
            return None
        return self._unlike.setdefault(name, self.world.loop.time())

    def _see_files(self, machine: Machine) -> tuple[int, int]:
        """Return how many files there are, and their bytes; they are counted again after so many calls that changed something."""
        mount = machine.mount
        known, steps = self._counted[:2]
        if known != id(mount) or mount.steps - steps >= COUNT_STEPS:
            sizes = [entry.stat().st_size for entry in _files(mount.root)]
            self._counted = (id(mount), mount.steps, len(sizes), sum(sizes))
        return self._counted[2:]

    def _see_sound(self, view: View, machine: Machine) -> None:
        point = _points(machine).get("play")
        player = machine.player
        if not isinstance(point, PlayPoint) or player is None:
            return
        state = point.teller.state
        view.sounding = None if player.sounding is None else Path(player.sounding).stem
        view.told = (state.value, point.teller.title)
        sounds = player.sounding is not None
        says = state is State.PLAYING
        ears = getattr(machine.agent, "_ears", None)
        if ears is not None and ears.listens:  # the story holds still meanwhile
            view.unlike_since = self._since("sound", unlike=False)
            return
        same = sounds == says and (not sounds or view.sounding == point.teller.title)
        waiting = says and player.waiting
        view.unlike_since = self._since("sound", unlike=not same and not waiting)

    async def _is_forbidden(self, view: View) -> bool:
        """Return whether something sounds in a time of quiet; a clock that is wrong does not count."""
        machine, point = self.machine, _points(self.machine).get("rules")
        if view.sounding is None or point is None or machine.wall_offset:
            return False
        minute = int((START + self.world.loop.time()) // 60) % (24 * 60)
        rules = parse_rules(str(await point.get()))
        return any(
            period.begin <= minute < period.end
            if period.begin < period.end
            else not period.end <= minute < period.begin
            for period in rules.quiet
        )

    def _link_is_unlike(self) -> bool:
        machine, cloud = self.machine, self.world.cloud
        path = self.world.net.path(machine.name)
        if cloud.gateway is None or not path.up:
            return False
        session = cloud.gateway.is_online(machine.name)
        link = getattr(machine.agent, "_link", None)
        says = link is not None and link.registered.is_set() and machine.life is not None
        return bool(session != says)

    # At the end.

    async def ending(self) -> Ending:
        """Return what is left."""
        machine, cloud = self.machine, self.world.cloud
        found = cloud.look(machine.name)
        outbox = getattr(machine.agent, "_outbox", None)
        packages = {number: version for version, number in cloud.template.packages.items()}
        return Ending(
            view=await self.view(),
            accepted=self.accepted,
            excused=self.excused,
            epochs=found.get("epochs", {}),
            tasks=found.get("tasks", ()),
            versions=["1.0.0", *packages.values()],
            task_versions=packages,
            online=cloud.gateway is not None and cloud.gateway.is_online(machine.name),
            waiting=0 if outbox is None else int(outbox.status()["waiting"]),
            newest=found.get("newest", {}),
            values=await self._values(),
            damaged=machine.damaged,
        )

    async def _values(self) -> dict[str, Any]:
        points = _points(self.machine)
        values = {}
        for name in NAMES:
            if name in points:
                values[name] = await points[name].get()
        return values


def _points(machine: Machine) -> dict[str, Any]:
    dispatch = getattr(machine.agent, "_dispatch", None)
    return {} if dispatch is None else dispatch.points


def _files(root: str) -> list[os.DirEntry[str]]:
    found: list[os.DirEntry[str]] = []
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    found.append(entry)
    return found


class Watched:
    """Whose observer hears what the product's classes do."""

    observer: Observer | None = None


WATCHED = Watched()


def watch_promises() -> None:
    """Note what the outbox takes and lets go, for the rest of the process; nothing is changed by that."""
    put = Store._put  # noqa: SLF001

    def noted_put(self: Store, row: Any, once: str | None) -> bool:
        stored = put(self, row, once)
        observer, machine = WATCHED.observer, CURRENT_MACHINE.get()
        if observer is None or machine is None or machine.life is None or machine.mount.dead:
            return stored
        if row.key in LATEST_ONLY:
            observer.excuse(row.key)
        if stored and not machine.mount.dead:
            observer.accepted[row.epoch, row.number] = row.key
        return stored

    Store._put = noted_put  # type: ignore[method-assign]  # noqa: SLF001
    handle = Dispatch.handle

    async def noted_handle(self: Dispatch, request: Any, *, local: bool = False) -> Any:
        answer = await handle(self, request, local=local)
        observer = WATCHED.observer
        if observer is not None and request.until_ms is not None and answer.code == Code.CHANGED:
            late = START + observer.world.loop.time() - request.until_ms / 1000
            if late > LATE_SECONDS:
                observer.late.append(f"PUT {request.path} was done {late:.1f} s after its deadline")
        is_mute = request.path == ("microphone",) and request.payload in {b"0", b"false"}
        machine = CURRENT_MACHINE.get()
        if observer is not None and machine is not None and is_mute and answer.code == Code.CHANGED:
            observer.hear_mute(machine)
        return answer

    Dispatch.handle = noted_handle  # type: ignore[method-assign]
    _watch_utterances()


def _watch_utterances() -> None:
    begin = LiveSender.begin

    def noted_begin(self: LiveSender, *words: Any, **named: Any) -> Any:
        made = begin(self, *words, **named)
        if WATCHED.observer is not None and made is not None:
            WATCHED.observer.heard = made.id
            WATCHED.observer.count("utterances heard")
        return made

    LiveSender.begin = noted_begin  # type: ignore[method-assign]


def context_of(machine: Machine) -> contextvars.Context:
    """Return a context of a machine's code, for what asks it from outside."""
    context = contextvars.Context()
    context.run(CURRENT_MACHINE.set, machine)
    return context
