"""What `tools.sim.storage` puts through all cuts: each of our own stores, its operations, and what it promised.

A subject remembers what was acknowledged and what was under way when the power went. Its check opens the store
again with the product's own code, and names each promise that is broken.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from agent.link.outbox_disk import DiskError
from agent.link.outbox_store import NotStoredError, Report, Store
from base.clock import TrustedTime
from ota.launch import boot, starts
from ota.launch.boot import BootRecord, BootRecordError
from ota.order.states import Step
from ota.order.task import Task, load_task, save_task
from ota.trust.target import Target
from resources.playing.beat_file import Beat
from resources.playing.position_store import PositionStore
from resources.playing.resume import Heard
from wire.ota import OtaOrder

Operation = Callable[[], None]


class Subject(Protocol):
    """One store, on one disk, from its opening to the cut; ``alive`` says whether that has come."""

    alive: Callable[[], bool]

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What can be done, by name; each returns once it is acknowledged."""

    def open(self) -> None:
        """Open the store."""

    def check(self) -> list[str]:
        """Open the store again after a cut, in the same folder; return broken promises."""


@dataclass
class OutboxSubject:
    """The outbox: what `put` has acknowledged is there until the cloud has it, and `once` is once."""

    folder: Path
    alive: Callable[[], bool] = lambda: True
    kept: dict[tuple[str, int], str] = field(default_factory=dict)
    gone: set[tuple[str, int]] = field(default_factory=set)
    doubtful: set[tuple[str, int]] = field(default_factory=set)
    told_once: set[str] = field(default_factory=set)
    _store: Store | None = None
    _numbers: Any = field(default_factory=itertools.count)

    @property
    def store(self) -> Store:
        """The open store."""
        if self._store is None:
            raise RuntimeError("not open")
        return self._store

    @property
    def operations(self) -> Mapping[str, Operation]:
        """See `Subject`."""
        return {
            "put": lambda: self._put("volume", None),
            "put system": lambda: self._put("device_info", None),
            "put once": lambda: self._put("ota_event", f"once-{next(self._numbers)}"),
            "finish at once": lambda: self._finish(at_once=True),
            "finish later": lambda: self._finish(at_once=False),
            "tend": self._tend,
            "start again": self._again,
        }

    def open(self) -> None:
        """See `Subject`."""
        ticks = itertools.count()
        self._store = Store(self.folder / "outbox.sqlite", 4000, lambda: 1.8e9, lambda: next(ticks))
        self._store.open()

    def _put(self, key: str, once: str | None) -> None:
        before = self._waiting()
        if key == "device_info":  # one replaces those before it
            for name in [name for name in self.kept if key in before.get(name, "")]:
                del self.kept[name]
        self.store.put(key, {"n": next(self._numbers), "pad": "x" * 300}, once)
        if not self.alive():
            return
        after = self._waiting()
        self.kept.update({name: after[name] for name in after.keys() - before.keys()})
        if once is not None:
            self.told_once.add(once)

    def _waiting(self) -> dict[tuple[str, int], str]:
        found = self.store.take(1000, in_order=True)
        return {(str(r.row.epoch), int(r.row.number or 0)): r.row.body for r in found}

    def _finish(self, *, at_once: bool) -> None:
        found: list[Report] = self.store.take(1, in_order=True)
        names = {(str(r.row.epoch), int(r.row.number or 0)) for r in found}
        for name in names:
            self.kept.pop(name, None)
            self.doubtful.add(name)
        self.store.finish(found, at_once=at_once)
        if at_once and self.alive():
            self.gone |= names

    def _tend(self) -> None:
        if self.store.tend() and self.alive():
            self.gone |= self.doubtful

    def _again(self) -> None:
        self.store.close()
        self.open()

    def check(self) -> list[str]:
        """See `Subject`."""
        faults = []
        try:
            self.open()
            found = self._waiting()
        except (DiskError, NotStoredError) as error:
            return [f"the outbox does not open: {error}"]
        for name, body in self.kept.items():
            if found.get(name) != body:
                faults.append(f"report {name[1]} is lost: {body[:40]}")
        back = [name for name in found if name in self.gone]
        faults += [f"report {name[1]} came back after it was deleted" for name in back]
        if self.store.damaged or self.store.missing:
            faults.append(f"damage is told: {self.store.status()}")
        for once in self.told_once:
            if self.store.put("ota_event", {}, once):
                faults.append(f"{once} was taken a second time")
        self.store.close()
        return faults


ORDER = OtaOrder(
    transaction="77", version="1.1.0", old_version="1.0.0", url="http://repository.test/targets/a",
    size=1000, signature="0" * 32,
)  # fmt: skip
TARGET = Target("a", 1000, "ab" * 32, "1.1.0", "story-machine", None, None)


@dataclass
class TaskSubject:
    """The update's task: never older than what was stored, and never damaged."""

    folder: Path
    alive: Callable[[], bool] = lambda: True
    stored: Task | None = None
    trying: Task | None = None

    @property
    def operations(self) -> Mapping[str, Operation]:
        """See `Subject`."""
        taken = Task(ORDER, salt="cafe")
        checked = taken.at(Step.CHECK)
        steps = {
            "take": taken,
            "check": checked,
            "download": checked.at(Step.DOWNLOAD, TARGET),
            "fail": replace(checked.failed(_error()), reported=False),
            "reported": replace(checked.failed(_error()), reported=True),
        }
        return {name: lambda task=task: self._save(task) for name, task in steps.items()}  # type: ignore[misc]

    def open(self) -> None:
        """See `Subject`."""
        load_task(self.folder)

    def _save(self, task: Task) -> None:
        self.trying = task
        save_task(self.folder, task)
        self.stored, self.trying = task, None

    def check(self) -> list[str]:
        """See `Subject`."""
        found = load_task(self.folder)
        may = [self.stored] if self.trying is None else [self.stored, self.trying]
        faults = (
            [] if found in may else [f"the task is {_state(found)}, it was {_state(self.stored)}"]
        )
        bad = self.folder / "ota" / "task.json.bad"
        return [*faults, *(["the task is damaged"] if bad.exists() else [])]


def _error() -> Any:
    from ota.errors import FetchError  # noqa: PLC0415  # one name

    return FetchError("no server")


def _state(task: Task | None) -> str:
    return "none" if task is None else f"{task.state}/{task.step}"


@dataclass
class BootSubject:
    """The launcher's record: what was decided runs, and a start that was counted is counted."""

    folder: Path
    alive: Callable[[], bool] = lambda: True
    stored: BootRecord = field(default_factory=BootRecord)
    trying: BootRecord | None = None

    @property
    def operations(self) -> Mapping[str, Operation]:
        """See `Subject`."""
        return {
            "activate": lambda: self._store(self.stored.activated("1.1.0", "77")),
            "activate another": lambda: self._store(self.stored.activated("1.2.0", "78")),
            "count a start": lambda: self._store(self.stored.attempted("1.0.0")),
            "confirm": lambda: self._store(self.stored.confirmed()),
            "roll back": lambda: self._store(self.stored.rolled_back("it never registered")),
            "note a start": lambda: starts.note(self.folder, starts.Starts("1.1.0", "b", 1.0, 0)),
            "forget starts": lambda: starts.forget(self.folder),
        }

    def open(self) -> None:
        """See `Subject`."""
        boot.load(self.folder)

    def _store(self, record: BootRecord) -> None:
        self.trying = record
        boot.store(self.folder, record)
        self.stored, self.trying = record, None

    def check(self) -> list[str]:
        """See `Subject`."""
        try:
            found = boot.load(self.folder)
        except BootRecordError as error:
            return [f"boot.json is damaged: {error}"]
        may = [self.stored] if self.trying is None else [self.stored, self.trying]
        faults = [] if found in may else [f"boot.json has {found}, it had {self.stored}"]
        starts.start_now(self.folder, "1.1.0")  # whatever is there, it raises nothing
        boot.follow(self.folder, found)
        return faults


@dataclass
class PositionsSubject:
    """Where stories were left: a place is never earlier than the last one that was noted."""

    folder: Path
    alive: Callable[[], bool] = lambda: True
    at: float = 0.0
    trying: float | None = None
    _store: PositionStore | None = None
    _turn: int = 0

    @property
    def store(self) -> PositionStore:
        """The open store."""
        if self._store is None:
            raise RuntimeError("not open")
        return self._store

    @property
    def operations(self) -> Mapping[str, Operation]:
        """See `Subject`."""
        return {
            "beat": self._beat,
            "note": self._note,
            "forget": self._forget,
            "again": self._again,
        }

    def open(self) -> None:
        """See `Subject`."""
        self._store = PositionStore(self.folder)
        self._turn = self._store.open()

    def _place(self) -> float:
        self._turn += 1
        self.trying = self.at + 10.0
        return self.trying

    def _noted(self) -> None:
        if self.alive():
            self.at, self.trying = self.trying or 0.0, None

    def _beat(self) -> None:
        self.store.beat(Beat(self._turn + 1, b"story", self._place(), 900.0))
        self._noted()

    def _note(self) -> None:
        place = self._place()
        self.store.write({"story": Heard(place, 900.0, turn=self._turn, when=1.0)}, {"mode": "all"})
        self._noted()

    def _forget(self) -> None:
        self.trying = 0.0
        self.store.forget(None)
        self._noted()

    def _again(self) -> None:
        self.store.close()
        self.open()

    def check(self) -> list[str]:
        """See `Subject`."""
        self.open()
        heard = self.store.heard("story")
        self.store.close()
        found = 0.0 if heard is None else heard.at
        may = {self.at} if self.trying is None else {self.at, self.trying}
        damaged = (self.folder / "playing.damaged").exists()
        faults = ["what was heard is damaged"] if damaged else []
        return faults if found in may else [*faults, f"the place is {found}, it was {self.at}"]


@dataclass
class ClockSubject:
    """The trusted time: its floor on disk is not earlier than what was stored."""

    folder: Path
    alive: Callable[[], bool] = lambda: True
    stored: float = 0.0
    trying: float | None = None
    _clock: TrustedTime | None = None
    _told: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def operations(self) -> Mapping[str, Operation]:
        """See `Subject`."""
        return {"cloud": self._cloud, "metadata": self._metadata, "again": self.open}

    def open(self) -> None:
        """See `Subject`."""
        self._clock = TrustedTime(
            self.folder / "ota" / "time.json", wall=lambda: 0.0, ticks=lambda: 0.0, boot="b"
        )

    def _tell(self, note: Callable[[float], object]) -> None:
        self.trying = 1.81e9 + next(self._told) * 86400.0
        note(self.trying)
        self.stored, self.trying = max(self.stored, self.trying), None

    def _cloud(self) -> None:
        self._tell(lambda seconds: self._clock and self._clock.note_cloud(seconds))

    def _metadata(self) -> None:
        self._tell(lambda seconds: self._clock and self._clock.note_metadata(seconds, ["key"]))

    def check(self) -> list[str]:
        """See `Subject`."""
        self.open()
        floor = self._clock.floor()[0] if self._clock else 0.0
        return [] if floor >= self.stored else [f"the floor is {floor}, it was {self.stored}"]


SUBJECTS: dict[str, Any] = {
    "outbox": OutboxSubject,
    "task": TaskSubject,
    "launcher's record": BootSubject,
    "positions": PositionsSubject,
    "trusted time": ClockSubject,
}
