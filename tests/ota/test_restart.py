"""When a machine restarts for an update, and the steps of the restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import time

import pytest

from ota import restart
from ota.order.states import State
from ota.order.worker import Interruptible
from ota.restart import Host, Restart, Restarter, Window, find_reason_to_wait, parse_window
from tests.ota.updater_rig import (
    NotedRestarts,
    Surroundings,
    UpdaterRig,
    assert_failed,
    live,
    settle,
    until,
)
from wire.codes import Code
from wire.errors import WireError
from wire.ota import OtaEvent


def test_windows() -> None:
    assert parse_window("02:00-05:00") == Window(time(2), time(5))
    for text in ("", "02:00", "5-6-7", "02:00-02:00", "25:00-26:00", "02:00Z-03:00Z"):
        with pytest.raises(WireError, match="two local times"):
            parse_window(text)


@pytest.mark.parametrize(
    ("now", "playing", "forced", "reason"),
    [
        (time(3), False, False, None),
        (time(3), True, False, "a story is being played"),
        (time(12), False, False, "outside of the window from 22:30 to 04:00"),
        (time(12), True, True, None),
        (time(22, 30), False, False, None),
        (time(4), False, False, "outside of the window from 22:30 to 04:00"),
    ],
)
def test_reason_to_wait(now: time, reason: str | None, *, playing: bool, forced: bool) -> None:
    night = parse_window("22:30-04:00")
    assert find_reason_to_wait(now, night, playing=playing, forced=forced) == reason
    assert find_reason_to_wait(now, None, playing=False) is None


@pytest.mark.parametrize("end", ["story ends", "cancelled"])
async def test_no_restart_into_a_story(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(restart, "QUIET_POLL", 0.001)
    rig.host.playing = True
    updater = rig.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order())
    await until(lambda: rig.host.asked > 3, runner)
    assert updater.status()["state"] == "RUNNING"
    assert not rig.restarts.is_set()
    if end == "cancelled":
        assert (await updater.cancel("77")).code is Code.CHANGED
        await until(lambda: rig.task.reported, runner)
        assert rig.task.failure == "cancelled: by an order"
    else:
        rig.host.playing = False
        await until(rig.restarts.is_set, runner)
        assert rig.task.state is State.INSTALLED
    runner.cancel()
    await asyncio.wait([runner])


async def test_a_forced_order_is_one_after_a_restart_too(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    made: list[NotedRestarts] = []
    asked: list[bool] = []

    class FirstNeverMay(NotedRestarts):
        def __init__(self, host: Host, wanted: asyncio.Event) -> None:
            super().__init__(host, wanted)
            made.append(self)

        async def wait_until_quiet(
            self, work: Interruptible, transaction: str, *, forced: bool = False
        ) -> None:
            asked.append(forced)
            if len(made) == 1:
                await asyncio.Event().wait()
            await super().wait_until_quiet(work, transaction, forced=forced)

    rig.restarter = FirstNeverMay
    rig.host.playing = True
    updater = rig.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order(forced=True))
    await until(lambda: bool(asked), runner)
    runner.cancel()
    await asyncio.wait([runner])
    await live(rig, None)
    assert asked == [True, True]
    assert rig.task.state is State.INSTALLED
    assert made[1].noted == [Restart(to_new=True, reboot=False, forced=True)]


async def test_a_quiet_moment_that_never_comes(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "QUIET_POLL", 0.001)
    clock = iter(range(0, 10**9, 10**5))
    monkeypatch.setattr(restart, "monotonic", lambda: float(next(clock)))
    rig.host.playing = True
    await live(rig, order())
    await settle(rig)
    await assert_failed(rig, OtaEvent.REJECT, "no quiet moment in 48 h: a story")


async def test_the_restart_out_of_a_version_on_trial_leads_to_no_new_one(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    made: list[NotedRestarts] = []

    class Kept(NotedRestarts):
        def __init__(self, host: Host, wanted: asyncio.Event) -> None:
            super().__init__(host, wanted)
            made.append(self)

    rig.restarter = Kept
    await live(rig, order(forced=True))
    await live(rig, None, prove="no link")
    noted = [each for restarter in made for each in restarter.noted]
    into, out_of = (
        Restart(to_new=True, reboot=False, forced=True),
        Restart(to_new=False, reboot=False),
    )
    assert noted == [into, out_of]


class Leaving(Surroundings):
    """An agent that records each step of its restart; a story begins while the restart is prepared."""

    def __init__(self, *, playing: bool = False) -> None:
        super().__init__()
        self.steps: list[str] = []
        self.begins = playing

    async def prepare(self, restart: Restart) -> None:
        self.steps.append(f"prepare {restart.to_new}")
        self.playing = self.begins

    async def reboot(self) -> None:
        self.steps.append("reboot")

    def end(self, *, restart: bool) -> None:
        self.steps.append(f"end {restart}")


async def test_an_agent_that_restarts_is_replaced_by_the_next_version() -> None:
    host = Leaving()
    await Restarter(host).leave(Restart(to_new=True, reboot=False))
    assert host.steps == ["prepare True", "end True"]


async def test_to_begin_a_restart_waits_for_none_of_its_steps() -> None:
    host = Leaving()
    restarter = Restarter(host)
    restarter.begin(Restart(to_new=True, reboot=False))
    assert host.steps == []
    await until(lambda: len(host.steps) == 2)
    assert host.steps == ["prepare True", "end True"]


async def test_an_agent_whose_machine_refuses_to_reboot_ends_for_systemd_to_start_it() -> None:
    host = Leaving()
    await Restarter(host).leave(Restart(to_new=False, reboot=True))
    assert host.steps == ["prepare False", "reboot", "end False"]


@pytest.mark.parametrize("to_new", [True, False])
async def test_a_story_that_begins_before_the_restart_is_heard_to_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, to_new: bool
) -> None:
    monkeypatch.setattr(restart, "STORY_POLL", 0.0)
    caplog.set_level("INFO")
    host = Leaving(playing=True)
    leaving = asyncio.create_task(Restarter(host).leave(Restart(to_new=to_new, reboot=False)))
    for _turn in range(20):
        await asyncio.sleep(0)
    assert not leaving.done()
    assert caplog.text.count("the restart waits: a story is being played") == 1
    host.playing = False
    await leaving
    assert host.steps[-1] == "end True"


async def test_a_forced_restart_waits_for_no_story() -> None:
    host = Leaving(playing=True)
    restarter = Restarter(host, parse_window("02:00-05:00"))
    assert restarter.find_reason_to_wait() == "outside of the window from 02:00 to 05:00"
    assert restarter.find_reason_to_wait(forced=True) is None
    await restarter.leave(Restart(to_new=True, reboot=False, forced=True))
    assert host.steps[-1] == "end True"


async def test_a_story_without_end_holds_up_the_way_back_for_so_long_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restart, "STORY_TIMEOUT", 0.0)
    host = Leaving(playing=True)
    await Restarter(host).leave(Restart(to_new=False, reboot=False))
    assert host.steps[-1] == "end True"
