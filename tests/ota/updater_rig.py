"""A machine for the updater's tests: its disk, outbox and releases, kept over any number of starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import time
from typing import Any

import pytest

from ota.fetch.retry import RetryPolicy
from ota.install.slots import SlotInstaller
from ota.launch import boot, launch
from ota.order.states import State
from ota.order.task import Task, load_task, save_task, task_path
from ota.restart import Host, Restart, Restarter
from ota.updater import Hooks, Updater, UpdaterSettings
from wire.exchange import Answer
from wire.ota import OtaEvent

QUICK = RetryPolicy(attempts=2, total=5, first=0.001, longest=0.002)
# Much longer than any of these runs takes; only a hang reaches it.
DEADLINE = 60.0


class Killed(BaseException):
    """Stands for the process's death; our code must not catch it."""


class Kills:
    """Counts the points at which a kill can happen, and kills at one of them."""

    def __init__(self) -> None:
        self.seen = 0
        self.at: int | None = None

    def fall_at(self, point: int) -> None:
        self.seen, self.at = 0, point

    def point(self) -> None:
        self.seen += 1
        if self.seen - 1 == self.at:
            raise Killed

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            self.point()
            result = function(*arguments)
            self.point()
            return result

        return wrapped


class Outbox:
    """Keeps reports over restarts; accepts each ``once`` key only once."""

    def __init__(self, kills: Kills) -> None:
        self.taken: list[tuple[str, Mapping[str, object]]] = []
        self.once: set[str] = set()
        self.kills = kills

    async def __call__(
        self, key: str, value: Mapping[str, object], *, once: str | None = None
    ) -> None:
        self.kills.point()
        if once is None or once not in self.once:
            self.taken.append((key, value))
            self.once.update({once} if once else set())
        self.kills.point()

    def events(self) -> list[int]:
        return [int(str(v["event"])) for k, v in self.taken if k == "ota_event"]

    def states(self) -> list[int]:
        return [int(str(v["state"])) for k, v in self.taken if k == "ota_state"]

    def finals(self) -> list[Mapping[str, object]]:
        """The reports other than the start, a percentage, or the end of a step."""
        return [
            value
            for key, value in self.taken
            if key == "ota_event" and value["event"] not in {0, 4, 5, 7}
        ]


class Surroundings:
    """The agent around an updater, as a test sets it; it never restarts."""

    def __init__(self) -> None:
        self.now = time(12)
        self.playing = False
        self.asked = 0

    def local_time(self) -> time:
        return self.now

    def is_playing(self) -> bool:
        self.asked += 1
        return self.playing

    async def prepare(self, restart: Restart) -> None:
        raise AssertionError(restart)

    async def reboot(self) -> None:
        raise AssertionError

    def end(self, *, restart: bool) -> None:
        raise AssertionError(restart)


class NotedRestarts(Restarter):
    """Waits like the real one, and sets an event instead of restarting."""

    def __init__(self, host: Host, wanted: asyncio.Event) -> None:
        super().__init__(host)
        self.wanted = wanted
        self.noted: list[Restart] = []

    def begin(self, restart: Restart) -> None:
        self.noted.append(restart)
        self.wanted.set()


class Unexamined(SlotInstaller):
    """Starts no process to see why a version failed: these releases are no agents."""

    def examine(self, version: str) -> list[str]:  # noqa: ARG002  # the installer's
        return []


class UpdaterRig:
    """A machine's disk and outbox, kept over any number of starts."""

    def __init__(self, settings: UpdaterSettings, kills: Kills) -> None:
        self.settings = settings
        self.kills = kills
        self.outbox = Outbox(kills)
        self.restarts = asyncio.Event()
        self.running = "1.0.0"
        self.hooks = Hooks()
        self.host = Surroundings()
        self.restarter: type[NotedRestarts] = NotedRestarts
        self.installer: type[SlotInstaller] = Unexamined

    def start(self) -> Updater:
        self.restarts = asyncio.Event()
        self.running = launch.choose_release(self.settings.state_dir).version or "1.0.0"
        installer = self.installer(self.settings.state_dir)
        return Updater(
            self.settings,
            installer,
            self.outbox,
            self.restarter(self.host, self.restarts),
            self.running,
            hooks=self.hooks,
        )

    @property
    def task(self) -> Task:
        task = load_task(self.settings.state_dir)
        assert task is not None
        return task


async def until(condition: Callable[[], bool], *tasks: asyncio.Task[Any]) -> None:
    """Wait until a condition holds or one of the tasks has ended."""
    async with asyncio.timeout(DEADLINE):
        while not condition() and not any(task.done() for task in tasks):
            await asyncio.sleep(0.001)


async def live(
    rig: UpdaterRig, order: bytes | None, *, prove: str = "", answers: list[Answer] | None = None
) -> bool:
    """Run the process once; return whether it was killed. ``prove``: why the trial fails."""
    try:
        updater = rig.start()
    except Killed:
        return True
    runner = asyncio.create_task(updater.run())
    try:
        if order is not None:
            answered = await updater.take_order(order)
            if answers is not None:
                answers.append(answered)
        if updater.on_trial:
            await (updater.fail_trial(prove) if prove else updater.confirm())
        await until(lambda: rig.restarts.is_set() or at_rest(rig), runner)
        if runner.done():
            runner.result()
    except Killed:
        return True
    finally:
        runner.cancel()
        await asyncio.wait([runner])
    return False


def at_rest(rig: UpdaterRig) -> bool:
    path = task_path(rig.settings.state_dir)
    return path.exists() and rig.task.reported


async def live_through(rig: UpdaterRig, order: bytes, *, prove: str = "") -> int:
    """Restart until the update is reported; the cloud repeats its order until it is accepted."""
    kills = 0
    for _life in range(10):
        answered: list[Answer] = []
        again = order if load_task(rig.settings.state_dir) is None else None
        kills += await live(rig, again, prove=prove, answers=answered)
        if at_rest(rig) and not rig.restarts.is_set():
            break
    return kills


def install_kills(rig: UpdaterRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each write to the disk a point to be killed at, before it and after it."""
    around = rig.kills.around
    monkeypatch.setattr("ota.order.record.save_task", around(save_task))
    monkeypatch.setattr(boot, "store", around(boot.store))
    monkeypatch.setattr(SlotInstaller, "_unpack", around(SlotInstaller._unpack))
    monkeypatch.setattr(SlotInstaller, "_remove", staticmethod(around(SlotInstaller._remove)))


async def assert_failed(rig: UpdaterRig, event: OtaEvent, reason: str) -> None:
    """Check for one final report, the old version running, and no remains of the package, now or later."""
    for _start in range(2):
        assert rig.task.state is State.FAILED
        assert reason in (rig.task.failure or ""), rig.task.failure
        assert [final["event"] for final in rig.outbox.finals()] == [event]
        assert reason in str(rig.outbox.finals()[0]["description"])
        assert not rig.settings.download_dir.exists()
        assert not list(rig.settings.state_dir.glob("slots/releases/*"))
        await live(rig, None)
    assert (rig.running, rig.restarts.is_set()) == ("1.0.0", False)


async def settle(rig: UpdaterRig) -> None:
    """Start once more, until the update's remains are removed."""
    updater = rig.start()
    runner = asyncio.create_task(updater.run())
    await until(lambda: not list(rig.settings.state_dir.glob("slots/releases/*")), runner)
    runner.cancel()
    await asyncio.wait([runner])
