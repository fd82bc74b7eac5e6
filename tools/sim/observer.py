"""Watches a simulated world from outside: reads what the product shows, and notes what it has promised."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.link.outbox_rows import Row, replaces
from resources.loudness.steps import step_of
from resources.playing.events import State
from staging.store.effects import Effect
from staging.store.history import HistoryPoint
from tools.sim import hands_free
from tools.sim.clock import START
from tools.sim.cloud_view import see_cloud, see_cloud_end
from tools.sim.forbidden import Forbidden, has_wrong_time
from tools.sim.invariants import Ending, View
from tools.sim.last_order import LastOrder, stem, teller_of
from tools.sim.link_look import LinkLook
from tools.sim.machine import Machine
from tools.sim.net import Asks
from tools.sim.night_limit import loudest
from tools.sim.open_api import Apps
from tools.sim.promises import START_SECONDS, Promises, told_by
from tools.sim.pruning import forgets, of_forgotten
from tools.sim.reloading import has_taken
from tools.sim.service import often_killed
from tools.sim.watching import WATCHED
from tools.sim.web_keep import Keep
from wire.reports import KEY_TROUBLE
from wire.rules import parse_rules

if TYPE_CHECKING:
    from staging.gateway.gateway import Gateway
    from tools.sim.world import World


# After so many calls that change something on the disk its files are counted again.
COUNT_STEPS = 25
# What was so within this time may still be shown: it is on its way.
NEWS_SECONDS = 100.0
# What a card has not given is asked for again within this.
CARD_SECONDS = 75.0
NAMES = ("volume", "play", "play_mode", "child_lock", "rules", "volume_limits", "microphone")


class Observer:
    """What is known of one machine and its cloud."""

    def __init__(self, world: World) -> None:
        """Watch ``world``."""
        self.world = world
        self.accepted: dict[tuple[str, int], str] = {}
        self.excused: dict[tuple[str, int], str] = {}
        self._of_starts: dict[tuple[str, int], Row] = {}
        self.late: list[str] = []
        self.twice: list[str] = []
        """Orders that were carried out a second time, by whichever process."""
        self._done: set[bytes] = set()
        self._numbers: set[tuple[str, int]] = set()
        self.refusals = Asks()
        """Reports that the cloud could not take."""
        self.heard_mute: list[str] = []
        """When the microphone was open although it was told to be off, and had said so."""
        self.unheard: list[str] = []
        """Wake words that were said to a microphone that was open for them, and that nobody heard."""
        self._fleeting: set[tuple[str, int]] = set()
        """Reports that are in the memory of a machine without its card, and end with its process."""
        self._trouble_at = -1.0
        """When the cloud last heard what is wrong with the machine."""
        self.heard = 0
        """The number of the last utterance that the machine began."""
        self.offered: Counter[str] = Counter()
        """How often each key was given to the outbox."""
        self.shown: dict[str, object] = {}
        """What the cloud shows of the machine."""
        self.promises = Promises(world.machine, world.loop.time)
        self.forbidden = Forbidden(world.machine, self.promises)
        self.apps = Apps(world.cloud.template.key, world.loop.time, self.count)
        self.last_order, self.keep, self.link = LastOrder(world.machine), Keep(), LinkLook(world)
        self.most_waiting = 0
        """Requests that the cloud let wait for one machine."""
        self._had: dict[str, dict[object, float]] = {}
        self._looked_at = 0
        self._card_fails_at = -CARD_SECONDS
        world.machine.on_gone = self._gone
        world.cloud.on_start = self._listen
        self._unlike: dict[str, float] = {}
        self._counts: dict[str, float] = {}
        self._counted: tuple[int, int, dict[str, int]] = (0, 0, {})
        self._judged: dict[str, int] = {}
        self._bytes = 0
        WATCHED.observer = self

    def _gone(self) -> None:
        self.excused.update(dict.fromkeys(self._fleeting, "in memory"))
        self._fleeting.clear()
        self.promises.gone()
        self.last_order.gone()

    @property
    def machine(self) -> Machine:
        """The machine."""
        return self.world.machine

    @property
    def doubts(self) -> bool:
        """Whether something is not as it is told, and has still time to be."""
        return bool(self._unlike) or self.link.since is not None

    def count(self, name: str) -> None:
        """Count something for the totals."""
        self._counts[name] = self._counts.get(name, 0) + 1

    def excuse(self, newer: Row) -> None:
        """Let earlier reports be missing that ``newer``, one of each start, has taken the place of in the outbox."""
        gone = [name for name, row in self._of_starts.items() if replaces(newer, row)]
        self.excused.update(dict.fromkeys(gone, "replaced"))
        self._of_starts[str(newer.epoch), int(newer.number or 0)] = newer

    def note_fleeting(self, machine: Machine, report: tuple[str, int]) -> None:
        """Note that a report was stored, if it is in memory alone."""
        if machine.in_memory:
            self._fleeting.add(report)

    def note_number(self, epoch: str, number: int) -> None:
        """Note a new report's number: another one of it would be taken for a repeat."""
        if (epoch, number) in self._numbers:
            self.twice.append(f"report {number} of {epoch} was made a second time")
        self._numbers.add((epoch, number))

    def note_done(self, request: Any) -> None:
        """Note that an order with a name of its own was carried out: another time is one too many."""
        if request.id in self._done:
            self.twice.append(f"{request.method} {request.path} was done a second time")
        self._done.add(request.id)

    def hear_mute(self, machine: Machine) -> None:
        """Hear that the microphone was told to be off, and says that it is."""
        self.forbidden.note_mute()
        if machine.recordings:
            self.heard_mute.append("the microphone is open after it was told to be off")

    def figures(self) -> dict[str, float]:
        """Return the totals."""
        machine = self.machine
        return {
            **self._counts, **self.promises.answers, "reports": len(self.accepted), "boots": machine.boots,
            "starts": machine.starts, "words heard": machine.words_heard, "starts in memory": machine.memory_starts, "calls": machine.mount.steps,
        }  # fmt: skip

    # At each look.

    async def view(self) -> View:
        """Return what is seen now."""
        machine, now = self.machine, self.world.loop.time()
        view = View(
            now=now,
            late=self.late,
            twice=self.twice,
            ended=[*machine.ended, *self.world.cloud.ends],
            failed=self.promises.failed,
        )
        if machine.life is not None and machine.agent is not None:
            view.alive, view.running = True, machine.running
            self._see_sound(view, machine)
        view.quiet_since = self._since("quiet", unlike=await self._is_forbidden(view))
        view.link_unlike_since = self.link.look()
        is_left_open = hands_free.is_left_open(machine)
        is_open = bool(machine.recordings) and not is_left_open
        view.open_since = self._since("microphone", unlike=is_open)
        view.over_story_since = self._since(
            "over a story", unlike=is_left_open and view.sounding is not None
        )
        is_deaf = hands_free.should_be_open(machine) and not is_left_open
        view.deaf_since = self._since("deaf", unlike=is_deaf)
        view.heard, view.unheard = self.heard_mute, self.unheard
        view.last_order = self.last_order.broken
        view.ran_dry = machine.ran_dry
        view.dead_since = self.link.dead_since()
        view.tries, view.asked = machine.tries, self._asked()
        view.untold = self._see_untold(machine)
        view.loud_since = self._since("loud", unlike=self._is_loud(machine))
        view.awake_since = self._awake_since(view)
        view.unlike_settings_since = self._since("settings", unlike=not has_taken(machine))
        await self._see_kept(machine)
        await self.promises.look_at_timer(_points(machine))
        self.forbidden.look(now, sounds=view.sounding is not None)
        view.broken = [
            *(
                fault
                for each in (self.promises, self.forbidden, self.apps)
                for fault in each.broken
            ),
            *machine.sounds.skipped,
            *machine.torn,
            *machine.journal.leaked,
            *self._see_log(machine, now),
            *self.keep.broken,
        ]
        see_cloud(self.world, view)
        view.waiting = self.most_waiting
        self._judge_files(view, machine)
        lives = (machine.life, *self.world.cloud.lives)
        view.tasks = max((life.busy for life in lives if life is not None), default=0)
        of_cloud = max(self.world.cloud.lines) // (1 + len(self.world.rollouts.fleet))
        view.lines = max(machine.journal.most, of_cloud)
        return view

    def _since(self, name: str, *, unlike: bool) -> float | None:
        if not unlike:
            self._unlike.pop(name, None)
            return None
        return self._unlike.setdefault(name, self.world.loop.time())

    def _judge_files(self, view: View, machine: Machine) -> None:
        """Note how large the files are; of those that were not counted again, each was judged when they were."""
        sizes = self._see_files(machine)
        self.keep.look(machine, sizes)
        if sizes is not self._judged:
            self._judged, self._bytes, view.sizes = sizes, sum(sizes.values()), sizes
        view.files, view.bytes = len(sizes), self._bytes

    def _see_files(self, machine: Machine) -> dict[str, int]:
        """Return the size of each file; they are looked at again after so many calls that changed something."""
        mount = machine.mount
        known, steps, _ = self._counted
        is_empty = machine.card_away or not Path(mount.root).is_dir()
        if is_empty and not machine.in_memory:  # nothing runs yet that has files
            return {}
        if known != id(mount) or mount.steps - steps >= COUNT_STEPS or machine.in_memory:
            root = str(machine.memory) if machine.in_memory else mount.root
            sizes = {entry.path[len(root) :]: entry.stat().st_size for entry in _files(root)}
            self._counted = (id(mount), mount.steps, sizes)
        return self._counted[2]

    @staticmethod
    def _see_log(machine: Machine, now: float) -> list[str]:
        """Return what is wrong with a log in which a process that serves has said nothing."""
        is_silent = machine.agent is not None and not machine.journal.by_process
        if not is_silent or now - machine.started_at < START_SECONDS:
            return []
        return ["the agent serves, and has said nothing in its log"]

    def _see_sound(self, view: View, machine: Machine) -> None:
        teller, player = teller_of(_points(machine).get("play")), machine.player
        if teller is None or player is None:
            return
        self.last_order.look(teller)
        state = teller.state
        sounding, title = player.sounding, teller.title
        title = stem(title) if "://" in title else title
        view.sounding = None if sounding is None else stem(sounding)
        view.told = (state.value, title)
        sounds = sounding is not None
        says = state is State.PLAYING
        ears = getattr(machine.agent, "_ears", None)
        if ears is not None and ears.listens:  # the story holds still meanwhile
            view.unlike_since = self._since("sound", unlike=False)
            return
        same = sounds == says and (not sounds or view.sounding == title)
        waiting = says and player.waiting
        view.unlike_since = self._since("sound", unlike=not same and not waiting)

    async def _is_forbidden(self, view: View) -> bool:
        """Return whether something sounds in a time of quiet; a clock that the machine must believe does not count."""
        machine, point = self.machine, _points(self.machine).get("rules")
        if view.sounding is None or point is None or has_wrong_time(machine):
            return False
        minute = int((START + self.world.loop.time()) // 60) % (24 * 60)
        return any(
            begin <= minute < end if begin < end else not end <= minute < begin
            for begin, end in _quiet(str(await told_by(machine, point)))
        )

    def _asked(self) -> tuple[int, int, int, int, int]:
        names, pages, of_cloud = self.world.net.asks
        of_all, of_stories = max(names.most, of_cloud.most), self.world.net.asks_for_strangers.most
        return of_all, pages.most, self.refusals.most, of_stories, self.world.stories.hurried

    # What is told, and what was promised.

    def watch_second(self) -> None:
        """Hear what the cloud's other process takes, too."""
        if self.world.cloud.second is not None:
            self.world.cloud.second.on_start = self._listen_to

    def _listen(self) -> None:
        self._listen_to(self.world.cloud.gateway)

    def _listen_to(self, gateway: Gateway | None) -> None:
        """Hear what a cloud that has started takes from the machine."""

        def note(_uuid: str, effects: Sequence[Effect]) -> None:
            told = {e.key: e.value for e in effects if isinstance(e, HistoryPoint)}
            self.shown.update(told)
            if KEY_TROUBLE in told:
                self._trouble_at = self.world.loop.time()

        if gateway is not None:
            gateway.listen(note)

    def _see_untold(self, machine: Machine) -> dict[str, float]:
        """Return since when the cloud shows what was not so for a while, by name."""
        cloud, sounds = self.world.cloud, machine.sounds
        is_there = cloud.gateway is not None and cloud.gateway.is_online(machine.name)
        can_tell = is_there and self.link.says_online() and not cloud.mount.full
        untold = {}
        for name, value, is_known in (
            ("volume", step_of(sounds.level), sounds.device),
            ("power", machine.battery.read().percent, True),
        ):
            is_new = self._is_news(name, value)
            since = self._since(name, unlike=can_tell and is_known and not is_new)
            if since is not None:
                untold[name] = since
        is_told = not machine.in_memory or self._trouble_at >= machine.started_at
        if (since := self._since("trouble", unlike=can_tell and not is_told)) is not None:
            untold["trouble"] = since
        return untold

    def _is_news(self, name: str, value: object) -> bool:
        """Return whether the cloud shows what was so a little while ago."""
        now, had = self.world.loop.time(), self._had.setdefault(name, {})
        had[value] = now
        shown = self.shown.get(name, value)
        return shown in had and now - had[shown] < NEWS_SECONDS

    def _is_loud(self, machine: Machine) -> bool:
        sounds = machine.sounds
        if machine.agent is None or not sounds.device or sounds.stuck:
            return False
        most = loudest(machine, self.promises, self.world.loop.time())
        return most is not None and sounds.level > most and not sounds.is_at(most)

    def _awake_since(self, view: View) -> float | None:
        ends = self.promises.timer_ends
        over = ends is not None and view.now > ends and view.sounding is not None
        return ends if over else None

    async def _see_kept(self, machine: Machine) -> None:
        """Look once after each start whether the settings are what they were."""
        now = self.world.loop.time()
        if machine.mount.full or machine.mount.read_only:
            self._card_fails_at = now
        if machine.starts == self._looked_at or machine.agent is None:
            return
        if machine.in_memory:  # there is nothing that was kept
            return
        since = max(machine.started_at, self._card_fails_at + CARD_SECONDS)
        if now - since >= START_SECONDS and _points(machine):
            self._looked_at = machine.starts
            await self.promises.look(_points(machine))

    async def ending(self) -> Ending:
        """Return what is left."""
        machine, cloud = self.machine, self.world.cloud
        await see_cloud_end(self.world)
        since = max(machine.started_at, self.world.quiet_since)
        self.keep.look_at_end(machine, self.world.loop.time() - since)
        found = cloud.look(machine.name)
        self._looked_at = 0
        epochs, watch = found.get("epochs", {}), cloud.prune_watch
        pruned = watch is not None and watch.pruned
        packages = {number: version for version, number in cloud.template.packages.items()}
        return Ending(
            view=await self.view(),
            accepted=self.accepted,
            excused=self.excused.keys() | of_forgotten(self.accepted, epochs),
            epochs=epochs if watch is None else watch.ever(epochs),
            tasks=() if cloud.files.has_spoilt_store else found.get("tasks", ()),
            versions=["1.0.0", *packages.values()],
            task_versions=packages,
            bad=[
                *(v for v, kind in machine.versions.items() if kind.crashes or kind.dies_after),
                *often_killed(machine.kills),
            ],
            never=[name for name, kind in machine.versions.items() if kind.crashes],
            online=cloud.gateway is not None and cloud.gateway.is_online(machine.name),
            waiting=self.waiting,
            newest=found.get("newest", {}),
            values=await self._values(),
            told=self.promises.set_on_card,
            damaged=machine.damaged | cloud.files.damaged,
            cancelled=self.promises.cancelled,
            offered={} if forgets(machine.starts) or pruned else self.offered,
            rows=found.get("rows", {}),
        )

    @property
    def waiting(self) -> int:
        """How many reports wait in the outbox."""
        outbox = getattr(self.machine.agent, "_outbox", None)
        return 0 if outbox is None else int(outbox.status()["waiting"])

    async def _values(self) -> dict[str, Any]:
        points = _points(self.machine)
        values = {}
        for name in NAMES:
            if name in points:
                values[name] = await told_by(self.machine, points[name])
        return values


@functools.lru_cache(500)
def _quiet(rules: str) -> list[tuple[int, int]]:
    """Return the minutes of the day at which quiet hours begin and end."""
    return [(period.begin, period.end) for period in parse_rules(rules).quiet]


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
