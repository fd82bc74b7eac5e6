"""A confirmed version that was left, orders under used numbers, and trials that lacked the cloud alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ota.install.installer import LEFT
from ota.install.slots import SlotInstaller
from ota.launch import boot
from ota.launch.boot import BootRecord, Rollback, Trial
from ota.order.states import State
from ota.order.task import save_task
from ota.settings import Hooks
from ota.trial.given_up import load_given_up
from ota.trial.log import append_lines, read_lines, trial_log_path
from ota.updater import Updater
from tests.ota.updater_rig import UpdaterRig, live, until
from wire.codes import Code
from wire.exchange import Answer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
REPAIRS = 3


@asynccontextmanager
async def running(updater: Updater) -> AsyncIterator[asyncio.Task[None]]:
    runner = asyncio.create_task(updater.run())
    try:
        yield runner
    finally:
        runner.cancel()
        await asyncio.wait([runner])


async def succeed(rig: UpdaterRig, order: bytes) -> Path:
    """Update to 1.1.0 and confirm it; return its folder."""
    await live(rig, order)
    await live(rig, None)
    assert (rig.task.state, rig.running) == (State.SUCCESS, "1.1.0")
    return boot.release_folder(rig.settings.state_dir, "1.1.0")


def logs(rig: UpdaterRig) -> list[list[str]]:
    return [list(value["lines"]) for key, value in rig.outbox.taken if key == "ota_log"]  # type: ignore[call-overload]


async def test_a_damaged_version_is_told_of_and_fetched_again(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    state = rig.settings.state_dir
    release = await succeed(rig, order())
    (release / "lib/agent/__init__.py").write_bytes(b"")
    reached = asyncio.Event()
    rig.hooks = Hooks(reached_cloud=reached.wait)
    boot.store(state, boot.load(state).rolled_back("a file is empty", damaged=True))
    updater = rig.start()
    told = "version 1.1.0 was left: a file is empty"
    assert (rig.running, updater.status()["left"]) == ("1.0.0", told)
    async with running(updater) as runner:
        await until(lambda: bool(logs(rig)), runner)
        assert rig.task.state is State.SUCCESS  # nothing is fetched before the cloud is reached
        reached.set()
        await until(rig.restarts.is_set, runner)
    assert logs(rig) == [[told]]
    await live(rig, None)
    assert (rig.running, rig.task.state, rig.task.repairs) == ("1.1.0", State.SUCCESS, 1)
    assert len((release / "lib/agent/__init__.py").read_bytes()) == 500_000
    assert [final["event"] for final in rig.outbox.finals()] == [10]
    assert rig.start().status()["left"] is None


async def test_a_damaged_boot_record_is_told_of_and_its_version_fetched_again(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    record = rig.settings.state_dir / "slots/boot.json"
    await succeed(rig, order())
    record.write_bytes(record.read_bytes().replace(b'"active"', b'"activd"'))
    updater = rig.start()
    told = "version 1.1.0 was left: the boot record is damaged"
    assert (rig.running, updater.status()["left"]) == ("1.0.0", told)
    async with running(updater) as runner:
        await until(rig.restarts.is_set, runner)
    assert logs(rig) == [[told]]
    await live(rig, None)
    assert (rig.running, rig.task.state, rig.task.repairs) == ("1.1.0", State.SUCCESS, 1)
    assert boot.load(rig.settings.state_dir).active == "1.1.0"
    assert [final["event"] for final in rig.outbox.finals()] == [10]


async def test_without_its_boot_record_the_base_that_somebody_went_back_to_stays(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await succeed(rig, order())
    (rig.settings.state_dir / "slots/boot.json").unlink()
    updater = rig.start()
    assert (rig.running, updater.status()["left"]) == ("1.0.0", None)


async def test_a_version_that_is_whole_and_dies_is_not_fetched_again_and_may_be_ordered(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    state = rig.settings.state_dir
    await succeed(rig, order())
    boot.store(state, boot.load(state).rolled_back("it ended 5 times"))
    for _start in range(2):
        async with running(rig.start()) as runner:
            await until(lambda: bool(logs(rig)) or runner.done())
    assert logs(rig) == [["version 1.1.0 was left: it ended 5 times"]]
    assert [entry.times for entry in load_given_up(state).packages] == [1]
    assert rig.task.state is State.SUCCESS
    await live(rig, order(transaction="78"))
    await live(rig, None)
    assert (rig.running, rig.task.state) == ("1.1.0", State.SUCCESS)


async def test_a_card_that_damages_it_again_and_again_is_left_alone(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    state = rig.settings.state_dir
    await succeed(rig, order())
    save_task(state, replace(rig.task, repairs=REPAIRS))
    boot.store(state, boot.load(state).rolled_back("a file is empty", damaged=True))
    async with running(rig.start()) as runner:
        await until(lambda: bool(logs(rig)), runner)
    assert rig.task.state is State.SUCCESS
    assert rig.task.repairs == REPAIRS


class Examined(SlotInstaller):
    def examine(self, version: str) -> list[str]:
        return [f"importing version {version} ends with 1:", "SyntaxError"]


async def test_the_traceback_of_a_version_that_died_before_it_could_log_is_reported(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    rig.installer = Examined
    state = rig.settings.state_dir
    path = trial_log_path(state)
    rig.hooks = Hooks(log_lines=lambda: read_lines(path))
    await live(rig, order())
    boot.store(state, boot.load(state).rolled_back("it was started 3 times"))
    await live(rig, None)
    assert rig.task.state is State.FAILED
    assert logs(rig) == [["importing version 1.1.0 ends with 1:", "SyntaxError"]]


async def test_what_it_logged_itself_is_reported_instead(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    rig.installer = Examined
    state = rig.settings.state_dir
    rig.hooks = Hooks(log_lines=lambda: read_lines(trial_log_path(state)))
    await live(rig, order())
    append_lines(state, ["its own words"])
    boot.store(state, boot.load(state).rolled_back("it was started 3 times"))
    await live(rig, None)
    assert logs(rig) == [["its own words"]]


async def test_a_number_that_a_new_cloud_hands_out_again_is_another_order(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await live(rig, order(size=5))
    assert rig.task.state is State.FAILED
    answers: list[Answer] = []
    await live(rig, order(), answers=answers)
    assert answers == [Answer.from_text(Code.CHANGED, "update 77 is taken")]
    await live(rig, None)
    assert [final["event"] for final in rig.outbox.finals()] == [12, 10]


@pytest.mark.parametrize("told", [True, False])
async def test_the_same_order_again_from_a_cloud_that_was_told_its_end(
    rig: UpdaterRig, order: Callable[..., bytes], *, told: bool
) -> None:
    rig.hooks = Hooks(all_told=lambda: told)
    for _order in range(2):
        await live(rig, order(size=5))
    assert [final["event"] for final in rig.outbox.finals()] == [12] * (1 + told)
    await live(rig, order(transaction="78"))
    await live(rig, None)
    updater = rig.start()
    answer = await updater.take_order(order(transaction="78"))
    assert answer == Answer.from_text(Code.CHANGED, "update 78 is SUCCESS")
    assert [final["event"] for final in rig.outbox.finals()][1 + told :] == [10] * (1 + told)


async def test_a_success_that_cannot_be_told_again_is_answered_all_the_same(
    rig: UpdaterRig,
    order: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await succeed(rig, order())
    rig.hooks = Hooks(all_told=lambda: True)
    updater = rig.start()
    assert not updater.busy

    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ota.order.record.save_task", full)
    answer = await updater.take_order(order())
    assert answer == Answer.from_text(Code.CHANGED, "update 77 is SUCCESS")
    assert "the success of an update cannot be told again" in caplog.text
    assert [final["event"] for final in rig.outbox.finals()] == [10]


async def test_a_repair_gives_way_to_an_order_that_came_first(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await succeed(rig, order())
    state = rig.settings.state_dir
    reached = asyncio.Event()
    rig.hooks = Hooks(reached_cloud=reached.wait)
    boot.store(state, boot.load(state).rolled_back("a file is empty", damaged=True))
    updater = rig.start()
    async with running(updater) as runner:
        await until(lambda: bool(logs(rig)), runner)
        await updater.take_order(order(transaction="78", size=5))
        await until(lambda: rig.task.state is State.FAILED, runner)
        reached.set()
        await asyncio.sleep(0)
        await until(lambda: rig.task.reported, runner)
        async with updater._gate:
            assert (rig.task.transaction, rig.task.repairs) == ("78", 0)


async def test_a_version_that_was_confirmed_though_its_task_is_behind_ends_as_a_success(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    """As after a kill between the launcher's record and the task's."""
    await live(rig, order())
    state = rig.settings.state_dir
    boot.store(state, boot.load(state).confirmed())
    assert rig.task.state is State.INSTALLED
    await live(rig, None)
    assert (rig.running, rig.task.state) == ("1.1.0", State.SUCCESS)
    assert [final["event"] for final in rig.outbox.finals()] == [10]


async def test_an_older_version_that_nothing_proves_stays_when_the_one_after_it_kept_dying(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    """To go back from it would start what does not run."""
    await live(rig, order())
    state = rig.settings.state_dir
    record = replace(boot.load(state), trial=Trial("1.1.0", 1, LEFT))
    boot.store(state, replace(record, last_rollback=Rollback("1.2.0", "it ended 5 times")))
    save_task(state, rig.task.succeeded())
    rig.settings = replace(rig.settings, confirm_timeout=0.01)
    updater = rig.start()
    async with running(updater) as runner:
        await until(lambda: not updater.on_trial, runner)
        await until(lambda: bool(logs(rig)), runner)
    assert not rig.restarts.is_set()
    assert boot.load(state).trial is None
    assert logs(rig) == [["version 1.2.0 was left: it ended 5 times"]]


@pytest.mark.parametrize("cloud_is_out", [True, False])
async def test_a_trial_that_lacked_the_cloud_alone_is_settled_by_the_version_before(
    rig: UpdaterRig,
    order: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    *,
    cloud_is_out: bool,
) -> None:
    state = rig.settings.state_dir
    await live(rig, order())
    rig.settings = replace(rig.settings, confirm_timeout=0.01)
    rig.hooks = Hooks(lacks_cloud_only=lambda: True)
    async with running(rig.start()) as runner:
        await until(rig.restarts.is_set, runner)
    trials = load_given_up(state)
    assert (trials.packages, trials.doubt is not None) == ((), True)
    if cloud_is_out:
        monkeypatch.setattr("ota.trial.doubt.OUTAGE_SECONDS", 0.0)
        rig.hooks = Hooks(reached_cloud=asyncio.Event().wait)
    else:
        rig.hooks = Hooks()
    async with running(rig.start()) as runner:
        await until(lambda: load_given_up(state).doubt is None, runner)
    trials = load_given_up(state)
    assert (len(trials.packages), len(trials.outages)) == (not cloud_is_out, cloud_is_out)


async def test_an_older_record_of_a_roll_back_starts_nothing(rig: UpdaterRig) -> None:
    rollback = Rollback("1.1.0", "its folder is missing")
    boot.store(rig.settings.state_dir, BootRecord(None, last_rollback=rollback))
    updater = rig.start()
    async with running(updater):
        await asyncio.sleep(0)
    assert updater.status()["left"] == "version 1.1.0 was left: its folder is missing"
    assert rig.outbox.taken == []
