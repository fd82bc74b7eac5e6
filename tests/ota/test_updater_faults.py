"""The updater under faults: concurrent orders, disk errors, bugs, upgrades of the base."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from ota.install.installer import Standing
from ota.install.slots import SlotInstaller
from ota.launch import boot
from ota.order.states import State, Step
from ota.order.task import Task, save_task
from ota.updater import Updater
from tests.moved_clock import on_moved_clock
from tests.ota.updater_rig import (
    DEADLINE,
    Killed,
    NotedRestarts,
    UpdaterRig,
    assert_failed,
    at_rest,
    live,
    settle,
    until,
)
from wire.codes import Code
from wire.exchange import Answer
from wire.ota import OtaEvent

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
INSTALLS = 10


@asynccontextmanager
async def running(updater: Updater) -> AsyncIterator[asyncio.Task[None]]:
    runner = asyncio.create_task(updater.run())
    yield runner
    ended = runner.done()
    runner.cancel()
    await asyncio.wait([runner])
    assert not ended, runner


async def test_a_cancellation_that_comes_while_the_last_order_is_tidied_up_is_carried_out(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    tidying, go_on = threading.Event(), threading.Event()
    updater = rig.start()

    def hold(_self: SlotInstaller, _running: str) -> None:
        if updater.status()["state"] == State.FAILED:
            tidying.set()
            go_on.wait(DEADLINE)

    monkeypatch.setattr(SlotInstaller, "collect", hold)
    async with running(updater) as runner:
        await updater.take_order(order(size=5))
        await until(tidying.is_set, runner)
        assert (await updater.take_order(order(transaction="78"))).code is Code.CHANGED
        cancelling = asyncio.create_task(updater.cancel("78"))
        await asyncio.sleep(0)
        go_on.set()
        assert await cancelling == Answer.from_text(Code.CHANGED, "update 78 is cancelled")
        assert (rig.task.state, rig.task.failure) == (State.FAILED, "cancelled: by an order")
    assert not rig.restarts.is_set()


async def test_a_version_that_runs_on_trial_is_not_cancelled(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    """Even before its trial is recorded: the process was killed right after the switch."""
    await live(rig, order())
    save_task(rig.settings.state_dir, replace(rig.task, state=State.RUNNING, step=Step.SWITCH))
    updater = rig.start()
    assert (await updater.cancel("77")).code is Code.CONFLICT
    await updater.confirm()
    assert rig.task.state is State.SUCCESS


async def test_a_switch_that_could_not_be_undone_proves_nothing_for_the_next_order(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(state_dir: Any, task: Task) -> None:
        if task.step is Step.TRIAL:
            raise OSError(28, "No space left on device")
        save_task(state_dir, task)

    def stuck(_self: SlotInstaller, _reason: str) -> None:
        raise OSError(5, "Input/output error")

    updater = rig.start()
    async with running(updater) as runner:
        with monkeypatch.context() as patch:
            patch.setattr("ota.order.record.save_task", full)
            patch.setattr(SlotInstaller, "roll_back", stuck)
            await updater.take_order(order())
            await until(lambda: at_rest(rig), runner)
        assert (await updater.take_order(order(transaction="78"))).code is Code.CHANGED
        await until(rig.restarts.is_set, runner)
    updater = rig.start()
    assert updater.on_trial
    trial = boot.Trial("1.1.0", 1, "78")
    record = boot.load(rig.settings.state_dir)
    assert (record.trial, record.previous) == (trial, None)


async def test_a_bug_in_a_step_fails_the_update_and_not_the_machine(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the agent exited because of it, it would repeat the step at each start, for ever."""

    def bug(*_arguments: Any) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(SlotInstaller, "_unpack", bug)
    updater = rig.start()
    async with running(updater) as runner:
        await updater.take_order(order())
        await until(lambda: at_rest(rig), runner)
    await settle(rig)
    await assert_failed(rig, OtaEvent.WRITE_ERROR, "bug: ZeroDivisionError: by zero")


async def test_a_trial_whose_reports_cannot_be_kept_ends_at_its_deadline_all_the_same(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await live(rig, order())
    save_task(rig.settings.state_dir, replace(rig.task, state=State.RUNNING, step=Step.SWITCH))

    async def broken(key: str, value: Mapping[str, object], *, once: str | None = None) -> None:
        raise OSError(5, f"not kept: {key}, {value}, {once}")

    rig.settings = replace(rig.settings, confirm_timeout=0.01)
    rig.start()
    installer = SlotInstaller(rig.settings.state_dir)
    updater = Updater(
        rig.settings, installer, broken, NotedRestarts(rig.host, rig.restarts), rig.running
    )
    async with running(updater) as runner:
        await until(rig.restarts.is_set, runner)
    assert boot.load(rig.settings.state_dir).active is None
    await live(rig, None)
    await settle(rig)
    await assert_failed(rig, OtaEvent.IMAGE_INVALID, "within 0.01 s")


@on_moved_clock
async def test_an_order_to_a_version_that_was_given_up_is_carried_out_by_the_one_before(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    """It may wait an hour for the end of a story; an image would overwrite the slot to roll back to."""
    await live(rig, order())
    updater = rig.start()
    async with running(updater):
        await updater.fail_trial("checks: lamp: exit code 1")
        answer = await updater.take_order(order(transaction="78", version="1.2.0"))
        assert answer == Answer.from_text(Code.CHANGED, "update 78 is taken")
        await asyncio.sleep(3600)
        assert (rig.task.transaction, rig.task.step) == ("78", Step.BEGIN)
    updater = rig.start()
    assert rig.running == "1.0.0"
    async with running(updater) as runner:
        await until(lambda: at_rest(rig), runner)
    ends = [final["event"] for final in rig.outbox.finals()]
    assert ends == [OtaEvent.IMAGE_INVALID, OtaEvent.REJECT]
    assert "unknown target" in str(rig.task.failure)


@on_moved_clock
async def test_an_order_to_a_version_that_was_given_up_waits_also_after_a_start(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    """The machine did not restart, so systemd started the agent again."""

    class Left(SlotInstaller):
        def standing(self) -> Standing:
            return replace(super().standing(), given_up=True)

    installer = Left(rig.settings.state_dir)
    updater = Updater(
        rig.settings, installer, rig.outbox, NotedRestarts(rig.host, rig.restarts), "1.1.0"
    )
    async with running(updater) as runner:
        await until(rig.restarts.is_set, runner)
        assert (await updater.take_order(order(version="1.2.0"))).code is Code.CHANGED
        await asyncio.sleep(3600)
        assert rig.task.step is Step.BEGIN


async def test_a_reason_that_is_not_unicode_still_ends_the_trial(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    """For example the name of a health check, on a disk that was written elsewhere."""
    await live(rig, order())
    updater = rig.start()
    await updater.fail_trial("checks: l\udce4mp: exit code 1")
    assert boot.load(rig.settings.state_dir).active is None
    assert rig.task.failure is not None
    assert rig.task.failure.endswith("was rolled back: checks: l?mp: exit code 1")


@pytest.mark.parametrize("upgraded", ["1.2.0", "1.1"])
async def test_an_update_that_waits_is_not_newer_once_the_base_was_upgraded(
    rig: UpdaterRig, order: Callable[..., bytes], upgraded: str
) -> None:
    rig.host.playing = True
    updater = rig.start()
    async with running(updater) as runner:
        await updater.take_order(order())
        await until(lambda: updater.status()["step"] == Step.SWITCH, runner)
    installer = SlotInstaller(rig.settings.state_dir)
    updater = Updater(
        rig.settings, installer, rig.outbox, NotedRestarts(rig.host, rig.restarts), upgraded
    )
    async with running(updater) as runner:
        await until(lambda: at_rest(rig) or rig.restarts.is_set(), runner)
    await settle(rig)
    await assert_failed(
        rig, OtaEvent.REJECT, f"not newer: version 1.1.0, this machine runs {upgraded}"
    )


async def test_an_installation_that_never_ends_is_given_up(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the kernel kills an agent that uses too much memory, in the same step at each start."""
    killed = 0

    def kill(*_arguments: object) -> None:
        nonlocal killed
        killed += 1
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(SlotInstaller, "install", kill)
        assert await live(rig, order())
        while await live(rig, None):
            assert killed < 2 * INSTALLS
    assert killed == INSTALLS
    reason = f"the installation was begun {INSTALLS} times and never ended"
    await assert_failed(rig, OtaEvent.WRITE_ERROR, reason)


async def test_a_disk_that_fails_at_the_start_holds_up_no_order(
    rig: UpdaterRig,
    order: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_words: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ota.updater.settle", fails)
    monkeypatch.setattr("ota.updater.discard", fails)
    updater = rig.start()
    async with running(updater) as runner:
        await until(lambda: "the last trial cannot be settled: " in caplog.text, runner)
        assert "the files of an earlier update cannot be removed: " in caplog.text
        await updater.take_order(order())
        assert updater.busy
        await until(rig.restarts.is_set, runner)
    assert rig.task.state is State.INSTALLED
