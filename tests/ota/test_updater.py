"""The updater end to end: real repository, server, disk and releases; simulated restarts and kills."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.fetch.retry import RetryPolicy
from ota.install.slots import SlotInstaller
from ota.launch import boot, launch
from ota.order.states import State, Step
from ota.order.task import Task, save_task, task_path
from ota.updater import Updater
from release.package_files import AddedTarget
from release.repository import Repository
from tests.moved_clock import on_moved_clock
from tests.ota.updater_rig import (
    DEADLINE,
    NotedRestarts,
    Outbox,
    UpdaterRig,
    assert_failed,
    at_rest,
    install_kills,
    live,
    live_through,
    settle,
    until,
)
from wire.codes import Code
from wire.exchange import Answer
from wire.ota import OtaEvent, order_payload

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TRIAL_ATTEMPTS = 3


@pytest.fixture
def rig(rig: UpdaterRig, monkeypatch: pytest.MonkeyPatch) -> UpdaterRig:
    """Make a machine that can be killed before and after each write."""
    install_kills(rig, monkeypatch)
    return rig


async def test_an_update_from_order_to_success(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await live(rig, order())
    assert rig.restarts.is_set()
    assert (rig.task.state, rig.task.step) == (State.INSTALLED, Step.TRIAL)
    assert rig.outbox.states() == [1, 2, 3, 4]
    assert rig.outbox.finals() == []
    assert not rig.settings.download_dir.exists()
    await live(rig, None)
    assert (rig.running, rig.task.state) == ("1.1.0", State.SUCCESS)
    assert [*rig.outbox.finals()] == [{"transaction": "77", "event": 10}]
    events = rig.outbox.events()
    assert [e for i, e in enumerate(events) if e not in events[:i]] == [0, 4, 5, 7, 10]
    percents = [v["percent"] for _k, v in rig.outbox.taken if v.get("event") == 4]
    assert percents[0] == 0.0
    assert percents[-1] == 1.0
    assert percents == sorted(percents, key=lambda part: float(str(part)))


@pytest.mark.long
@pytest.mark.parametrize(
    ("prove", "state", "running", "event"),
    [("", State.SUCCESS, "1.1.0", 10), ("no link", State.FAILED, "1.0.0", 8)],
    ids=["confirmed", "failed trial"],
)
@pytest.mark.timeout(240)
async def test_killed_at_each_write_and_report_it_ends_in_one_true_final_report(
    rig: UpdaterRig,
    order: Callable[..., bytes],
    prove: str,
    state: State,
    running: str,
    event: int,
) -> None:
    rig.settings = replace(rig.settings, percent_interval=DEADLINE)  # the same points in each run
    await live_through(rig, order(), prove=prove)
    points = rig.kills.seen
    assert points > 40
    for point in range(points):
        shutil.rmtree(rig.settings.state_dir)
        rig.kills.fall_at(point)
        rig.outbox = Outbox(rig.kills)
        kills = await live_through(rig, order(), prove=prove)
        where = f"killed at point {point} of {points}"
        assert kills == 1, where
        assert rig.task.state is state, where
        assert [final["event"] for final in rig.outbox.finals()] == [event], where
        assert rig.outbox.events().count(0) == 1, where
        rig.kills.at = None
        assert (launch.choose_release(rig.settings.state_dir).version or "1.0.0") == running, where
        before = len(rig.outbox.taken)
        rig.start()
        assert len(rig.outbox.taken) == before, where


async def test_killed_while_downloading_it_goes_on_with_the_rest(
    rig: UpdaterRig, order: Callable[..., bytes], server: Any
) -> None:
    stuck = asyncio.Event()
    loop = asyncio.get_running_loop()

    def break_and_stop(handler: Any, data: bytes, start: int) -> None:
        handler.send_file(data, start, cut=200_000)
        loop.call_soon_threadsafe(stuck.set)

    retry = RetryPolicy(attempts=9, total=9, first=DEADLINE, longest=DEADLINE)
    patient = rig.settings
    rig.settings = replace(patient, download=replace(patient.download, retry=retry))
    server.script.append(break_and_stop)
    updater = rig.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order())
    await until(stuck.is_set, runner)
    part = rig.settings.download_dir
    await until(lambda: any(p.stat().st_size == 200_000 for p in part.glob("*.part")), runner)
    runner.cancel()
    await asyncio.wait([runner])
    assert runner.cancelled()
    assert (rig.task.state, rig.task.step) == (State.RUNNING, Step.DOWNLOAD)
    rig.settings = patient
    await live(rig, None)
    assert [asked for path, asked in server.requests if path.endswith(".tar.gz")] == [
        None,
        "bytes=200000-",
    ]
    await live(rig, None)
    assert rig.task.state is State.SUCCESS
    assert rig.outbox.events().count(0) == 1


FAILURES: dict[str, tuple[dict[str, Any], OtaEvent, str]] = {
    "MD5 mismatch": ({"signature": "0" * 32}, OtaEvent.CHECKSUM_FAIL, "wrong MD5"),
    "wrong size": ({"size": 5}, OtaEvent.REJECT, "wrong size"),
    "unknown version": ({"version": "9.9"}, OtaEvent.REJECT, "unknown target"),
    "nobody listens": (
        {"url": "http://127.0.0.1:1/1.1.0.tar.gz"},
        OtaEvent.DOWNLOAD_FAIL,
        "refused",
    ),
}


@pytest.mark.parametrize("name", FAILURES, ids=str)
async def test_failure(rig: UpdaterRig, order: Callable[..., bytes], name: str) -> None:
    lies, event, reason = FAILURES[name]
    await live(rig, order(**lies))
    await assert_failed(rig, event, reason)


async def test_package_with_wrong_bytes(
    rig: UpdaterRig, order: Callable[..., bytes], server: Any, added: AddedTarget
) -> None:
    (server.root / added.path).write_bytes(b"x" * added.size)
    await live(rig, order())
    await assert_failed(rig, OtaEvent.CHECKSUM_FAIL, "wrong hash")


async def test_package_that_is_gone(
    rig: UpdaterRig, order: Callable[..., bytes], server: Any, added: AddedTarget
) -> None:
    (server.root / added.path).unlink()
    await live(rig, order())
    await assert_failed(rig, OtaEvent.DOWNLOAD_FAIL, "HTTP 404")


async def test_signed_package_that_is_no_release(
    rig: UpdaterRig, repository: Repository, server: Any, helpers: Any, tmp_path: Path
) -> None:
    package = tmp_path / "junk"
    package.write_bytes(b"no tar")
    junk = repository.add(package, helpers.PRODUCT, "1.2.0")[0]
    await live(rig, order_payload(helpers.order_for(junk, server.url)))
    await assert_failed(rig, OtaEvent.UNPACK_FAIL, "broken package")


async def test_package_that_calls_itself_another_version(
    rig: UpdaterRig, repository: Repository, server: Any, helpers: Any, tmp_path: Path
) -> None:
    package = helpers.make_package(tmp_path / "p2.tar.gz", "1.3.0")
    lying = repository.add(package, helpers.PRODUCT, "1.2.0")[0]
    await live(rig, order_payload(helpers.order_for(lying, server.url)))
    await assert_failed(rig, OtaEvent.IMAGE_INVALID, "release.version")


async def test_no_space(rig: UpdaterRig, order: Callable[..., bytes]) -> None:
    download = replace(rig.settings.download, free_space=lambda _path: 10)
    rig.settings = replace(rig.settings, download=download)
    await live(rig, order())
    await assert_failed(rig, OtaEvent.WRITE_ERROR, "no space: needs")


async def test_unreachable_repository(rig: UpdaterRig, order: Callable[..., bytes]) -> None:
    rig.settings = replace(rig.settings, repository="http://127.0.0.1:1")
    await live(rig, order())
    await assert_failed(rig, OtaEvent.DOWNLOAD_FAIL, "gave up after 2 attempts")


async def test_wrong_signature(
    rig: UpdaterRig, order: Callable[..., bytes], repository: Repository
) -> None:
    timestamp = repository.metadata_dir / "timestamp.json"
    metadata = json.loads(timestamp.read_bytes())
    metadata["signed"]["version"] += 1
    timestamp.write_text(json.dumps(metadata))
    await live(rig, order())
    await assert_failed(rig, OtaEvent.IMAGE_INVALID, "wrong signature")


async def test_a_version_that_never_confirms_is_rolled_back_by_the_launcher(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await live(rig, order())
    for _start in range(TRIAL_ATTEMPTS):
        updater = rig.start()
        assert rig.running == "1.1.0"
        assert updater.on_trial
    await live(rig, None)
    await assert_failed(rig, OtaEvent.IMAGE_INVALID, "never confirmed itself")


async def test_a_version_that_does_not_confirm_in_time_gives_itself_up(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await live(rig, order())
    rig.settings = replace(rig.settings, confirm_timeout=0.01)
    updater = rig.start()
    runner = asyncio.create_task(updater.run())
    await until(rig.restarts.is_set, runner)
    runner.cancel()
    await asyncio.wait([runner])
    assert not updater.on_trial
    await settle(rig)
    await assert_failed(rig, OtaEvent.IMAGE_INVALID, "within 0.01 s")


async def test_a_version_that_cannot_be_started_is_given_up(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await live(rig, order())
    rig.running = "1.0.0"  # the launcher's exec failed: the base runs, and the trial is pending
    installer = SlotInstaller(rig.settings.state_dir)
    rig.restarts = asyncio.Event()
    updater = Updater(
        rig.settings, installer, rig.outbox, NotedRestarts(rig.host, rig.restarts), "1.0.0"
    )
    runner = asyncio.create_task(updater.run())
    await until(lambda: at_rest(rig), runner)
    runner.cancel()
    await asyncio.wait([runner])
    assert boot.load(rig.settings.state_dir).active is None
    await settle(rig)
    await assert_failed(rig, OtaEvent.IMAGE_INVALID, "could not be started")


@pytest.mark.parametrize("undo", [True, False], ids=["undone at once", "undone at the next start"])
async def test_a_switch_whose_record_the_disk_does_not_take_is_undone(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, *, undo: bool
) -> None:
    """The old version runs after FAILED, even if the fault comes after the switch."""

    def full(state_dir: Path, task: Task) -> None:
        if task.step is Step.TRIAL:
            raise OSError(28, "No space left on device")
        save_task(state_dir, task)

    def stuck(_self: SlotInstaller, _reason: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ota.order.record.save_task", full)
    with monkeypatch.context() as patch:
        if not undo:
            patch.setattr(SlotInstaller, "roll_back", stuck)
        await live(rig, order())
    assert rig.task.state is State.FAILED
    if not undo:
        updater = rig.start()
        assert (rig.running, updater.on_trial) == ("1.1.0", False)
        runner = asyncio.create_task(updater.run())
        await until(rig.restarts.is_set, runner)
        runner.cancel()
        await asyncio.wait([runner])
    await settle(rig)
    await assert_failed(rig, OtaEvent.WRITE_ERROR, "No space left")


async def test_a_lost_boot_record_is_said(rig: UpdaterRig, order: Callable[..., bytes]) -> None:
    await live(rig, order())
    (rig.settings.state_dir / "slots/boot.json").unlink()
    await live(rig, None)
    await assert_failed(rig, OtaEvent.IMAGE_INVALID, "boot record was lost")


async def test_orders(rig: UpdaterRig, order: Callable[..., bytes]) -> None:
    updater = rig.start()
    answer = await updater.take_order(b"{}")
    assert (answer.code, "order" in answer.text) == (Code.BAD_REQUEST, True)
    answer = await updater.take_order(order(version="1.0"))
    assert (answer.code, "not newer" in answer.text) == (Code.BAD_REQUEST, True)
    assert updater.status()["state"] is None
    assert (await updater.take_order(order())).code is Code.CHANGED
    assert rig.task.state is State.CREATED
    assert (await updater.take_order(order())).code is Code.CHANGED
    answer = await updater.take_order(order(version="5.0"))
    assert answer == Answer.from_text(Code.CONFLICT, "update 77 is running")
    assert rig.task.order.version == "1.1.0"
    answer = await updater.take_order(order(transaction="78"))
    assert answer == Answer.from_text(Code.CONFLICT, "update 77 is running")
    assert rig.outbox.taken == []


async def test_a_finished_order_repeated_changes_nothing_and_a_new_one_starts(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await live(rig, order(size=5))
    updater = rig.start()
    runner = asyncio.create_task(updater.run())
    assert (await updater.take_order(order(size=5))).code is Code.CHANGED
    assert updater.status()["state"] == "FAILED"
    assert (await updater.take_order(order(transaction="78"))).code is Code.CHANGED
    await until(rig.restarts.is_set, runner)
    runner.cancel()
    await asyncio.wait([runner])
    assert rig.task.transaction == "78"
    assert f"{rig.task.report_name}:installed" in rig.outbox.once


async def test_the_report_of_the_last_update_is_made_before_its_record_goes(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    await live(rig, order(size=5))
    rig.outbox = Outbox(rig.kills)
    save_task(rig.settings.state_dir, replace(rig.task, reported=False))
    assert (await rig.start().take_order(order(transaction="78"))).code is Code.CHANGED
    assert [name.partition(".")[0] for name in rig.outbox.once] == ["77"]
    assert [final["event"] for final in rig.outbox.finals()] == [12]


async def test_an_order_that_the_disk_does_not_take(
    rig: UpdaterRig, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    updater = rig.start()
    monkeypatch.setattr("ota.order.record.save_task", full)
    answer = await updater.take_order(order())
    assert (answer.code, "No space" in answer.text) == (Code.SERVICE_UNAVAILABLE, True)
    assert updater.status()["state"] is None


@on_moved_clock
async def test_a_final_report_that_the_outbox_does_not_take_is_made_a_minute_later(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    full, refused = True, asyncio.Event()
    real = rig.outbox

    async def report(key: str, value: Mapping[str, object], *, once: str | None = None) -> None:
        if full and once and once.endswith(":final"):
            refused.set()
            raise OSError(28, "No space left on device")
        await real(key, value, once=once)

    installer = SlotInstaller(rig.settings.state_dir)
    updater = Updater(
        rig.settings, installer, report, NotedRestarts(rig.host, rig.restarts), "1.0.0"
    )
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order(size=5))
    await refused.wait()
    assert rig.task.state is State.FAILED
    full = False
    await asyncio.sleep(59)
    assert real.finals() == []
    await asyncio.sleep(2)
    assert rig.task.reported
    assert [final["event"] for final in real.finals()] == [12]
    runner.cancel()
    await asyncio.wait([runner])


async def test_a_damaged_record_leaves_the_machine_idle(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    path = task_path(rig.settings.state_dir)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{damaged")
    await live(rig, order())
    assert rig.task.state is State.INSTALLED
    assert path.with_name("task.json.bad").read_bytes() == b"{damaged"


@pytest.mark.parametrize(("prove", "event"), [("", 10), ("no link", 8)])
async def test_a_record_damaged_during_the_trial_still_ends_in_its_report(
    rig: UpdaterRig, order: Callable[..., bytes], prove: str, event: int
) -> None:
    await live(rig, order())
    task_path(rig.settings.state_dir).write_bytes(b"")
    updater = rig.start()
    assert updater.on_trial
    answer = await updater.take_order(order(transaction="78", version="2.0"))
    assert answer == Answer.from_text(Code.CONFLICT, "update 77 is running")
    await (updater.fail_trial(prove) if prove else updater.confirm())
    assert [(f["transaction"], f["event"]) for f in rig.outbox.finals()] == [("77", event)]
    assert boot.load(rig.settings.state_dir).trial is None


async def test_confirming_without_a_trial_does_nothing(rig: UpdaterRig) -> None:
    updater = rig.start()
    await updater.confirm()
    await updater.fail_trial("no reason")
    assert rig.outbox.taken == []
    assert not rig.restarts.is_set()


async def test_the_status_names_what_runs(rig: UpdaterRig, order: Callable[..., bytes]) -> None:
    await live(rig, order(size=5))
    status = rig.start().status()
    assert status == {
        "running": "1.0.0",
        "onTrial": False,
        "transaction": "77",
        "version": "1.1.0",
        "state": "FAILED",
        "step": "done",
        "percent": None,
        "failure": status["failure"],
        "left": None,
    }
    assert str(status["failure"]).startswith("wrong size: ota.size: got 5, expected ")
