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

from ota import updater as machine
from ota.fetch.retry import RetryPolicy
from ota.install.slots import SlotInstaller
from ota.launch import boot, launch
from ota.order.states import State, Step
from ota.order.task import Task, save_task, task_path
from ota.updater import Updater
from release.repository import AddedTarget, Repository
from tests.ota.box import (
    DEADLINE,
    Machine,
    NotedRestarts,
    Outbox,
    assert_failed,
    at_rest,
    install_kills,
    live,
    live_through,
    settle,
    until,
)
from wire.codes import Code
from wire.ota import OtaEvent, order_payload


@pytest.fixture
def box(box: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Make a machine that can be killed before and after each write."""
    install_kills(box, monkeypatch)
    return box


async def test_an_update_from_order_to_success(box: Machine, order: Callable[..., bytes]) -> None:
    await live(box, order())
    assert box.restarts.is_set()
    assert (box.task.state, box.task.step) == (State.INSTALLED, Step.TRIAL)
    assert box.outbox.states() == [1, 2, 3, 4]
    assert box.outbox.finals() == []
    assert not box.settings.download_dir.exists()
    await live(box, None)
    assert (box.running, box.task.state) == ("1.1.0", State.SUCCESS)
    assert [*box.outbox.finals()] == [{"transaction": "77", "event": 10}]
    events = box.outbox.events()
    assert [e for i, e in enumerate(events) if e not in events[:i]] == [0, 4, 5, 7, 10]
    percents = [v["percent"] for _k, v in box.outbox.taken if v.get("event") == 4]
    assert percents[0] == 0.0
    assert percents[-1] == 1.0
    assert percents == sorted(percents, key=lambda part: float(str(part)))


@pytest.mark.parametrize(
    ("prove", "state", "running", "event"),
    [("", State.SUCCESS, "1.1.0", 10), ("no link", State.FAILED, "1.0.0", 8)],
    ids=["confirmed", "failed trial"],
)
@pytest.mark.timeout(240)
async def test_killed_at_each_write_and_report_it_ends_in_one_true_final_report(
    box: Machine,
    order: Callable[..., bytes],
    prove: str,
    state: State,
    running: str,
    event: int,
) -> None:
    box.settings = replace(box.settings, percent_interval=DEADLINE)  # the same points in each run
    await live_through(box, order(), prove=prove)
    points = box.kills.seen
    assert points > 40
    for point in range(points):
        shutil.rmtree(box.settings.state_dir)
        box.kills.fall_at(point)
        box.outbox = Outbox(box.kills)
        kills = await live_through(box, order(), prove=prove)
        where = f"killed at point {point} of {points}"
        assert kills == 1, where
        assert box.task.state is state, where
        assert [final["event"] for final in box.outbox.finals()] == [event], where
        assert box.outbox.events().count(0) == 1, where
        box.kills.at = None
        assert (launch.choose_release(box.settings.state_dir).version or "1.0.0") == running, where
        before = len(box.outbox.taken)
        box.start()
        assert len(box.outbox.taken) == before, where


async def test_killed_while_downloading_it_goes_on_with_the_rest(
    box: Machine, order: Callable[..., bytes], server: Any
) -> None:
    stuck = asyncio.Event()
    loop = asyncio.get_running_loop()

    def break_and_stop(handler: Any, data: bytes, start: int) -> None:
        handler.send_file(data, start, cut=200_000)
        loop.call_soon_threadsafe(stuck.set)

    retry = RetryPolicy(attempts=9, total=9, first=DEADLINE, longest=DEADLINE)
    patient = box.settings
    box.settings = replace(patient, download=replace(patient.download, retry=retry))
    server.script.append(break_and_stop)
    updater = box.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order())
    await until(stuck.is_set, runner)
    part = box.settings.download_dir
    await until(lambda: any(p.stat().st_size == 200_000 for p in part.glob("*.part")), runner)
    runner.cancel()
    await asyncio.wait([runner])
    assert runner.cancelled()
    assert (box.task.state, box.task.step) == (State.RUNNING, Step.DOWNLOAD)
    box.settings = patient
    await live(box, None)
    assert [asked for path, asked in server.requests if path.endswith(".tar.gz")] == [
        None,
        "bytes=200000-",
    ]
    await live(box, None)
    assert box.task.state is State.SUCCESS
    assert box.outbox.events().count(0) == 1


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
async def test_failure(box: Machine, order: Callable[..., bytes], name: str) -> None:
    lies, event, reason = FAILURES[name]
    await live(box, order(**lies))
    await assert_failed(box, event, reason)


async def test_package_with_wrong_bytes(
    box: Machine, order: Callable[..., bytes], server: Any, added: AddedTarget
) -> None:
    (server.root / added.path).write_bytes(b"x" * added.size)
    await live(box, order())
    await assert_failed(box, OtaEvent.CHECKSUM_FAIL, "wrong hash")


async def test_package_that_is_gone(
    box: Machine, order: Callable[..., bytes], server: Any, added: AddedTarget
) -> None:
    (server.root / added.path).unlink()
    await live(box, order())
    await assert_failed(box, OtaEvent.DOWNLOAD_FAIL, "HTTP 404")


async def test_signed_package_that_is_no_release(
    box: Machine, repository: Repository, server: Any, helpers: Any, tmp_path: Path
) -> None:
    package = tmp_path / "junk"
    package.write_bytes(b"no tar")
    junk = repository.add(package, helpers.PRODUCT, "1.2.0")
    await live(box, order_payload(helpers.order_for(junk, server.url)))
    await assert_failed(box, OtaEvent.UNPACK_FAIL, "broken package")


async def test_package_that_calls_itself_another_version(
    box: Machine, repository: Repository, server: Any, helpers: Any, tmp_path: Path
) -> None:
    package = helpers.make_package(tmp_path / "p2.tar.gz", "1.3.0")
    lying = repository.add(package, helpers.PRODUCT, "1.2.0")
    await live(box, order_payload(helpers.order_for(lying, server.url)))
    await assert_failed(box, OtaEvent.IMAGE_INVALID, "release.version")


async def test_no_space(box: Machine, order: Callable[..., bytes]) -> None:
    download = replace(box.settings.download, free_space=lambda _path: 10)
    box.settings = replace(box.settings, download=download)
    await live(box, order())
    await assert_failed(box, OtaEvent.WRITE_ERROR, "no space: needs")


async def test_unreachable_repository(box: Machine, order: Callable[..., bytes]) -> None:
    box.settings = replace(box.settings, repository="http://127.0.0.1:1")
    await live(box, order())
    await assert_failed(box, OtaEvent.DOWNLOAD_FAIL, "gave up after 2 attempts")


async def test_wrong_signature(
    box: Machine, order: Callable[..., bytes], repository: Repository
) -> None:
    timestamp = repository.metadata_dir / "timestamp.json"
    metadata = json.loads(timestamp.read_bytes())
    metadata["signed"]["version"] += 1
    timestamp.write_text(json.dumps(metadata))
    await live(box, order())
    await assert_failed(box, OtaEvent.IMAGE_INVALID, "wrong signature")


async def test_a_version_that_never_confirms_is_rolled_back_by_the_launcher(
    box: Machine, order: Callable[..., bytes]
) -> None:
    await live(box, order())
    for _start in range(launch.TRIAL_ATTEMPTS):
        updater = box.start()
        assert box.running == "1.1.0"
        assert updater.on_trial
    await live(box, None)
    await assert_failed(box, OtaEvent.IMAGE_INVALID, "never confirmed itself")


async def test_a_version_that_does_not_confirm_in_time_gives_itself_up(
    box: Machine, order: Callable[..., bytes]
) -> None:
    await live(box, order())
    box.settings = replace(box.settings, confirm_timeout=0.01)
    updater = box.start()
    runner = asyncio.create_task(updater.run())
    await until(box.restarts.is_set, runner)
    runner.cancel()
    await asyncio.wait([runner])
    assert not updater.on_trial
    await settle(box)
    await assert_failed(box, OtaEvent.IMAGE_INVALID, "within 0.01 s")


async def test_a_version_that_cannot_be_started_is_given_up(
    box: Machine, order: Callable[..., bytes]
) -> None:
    await live(box, order())
    box.running = "1.0.0"  # the launcher's exec failed: the base runs, and the trial is pending
    installer = SlotInstaller(box.settings.state_dir)
    box.restarts = asyncio.Event()
    updater = Updater(
        box.settings, installer, box.outbox, NotedRestarts(box.host, box.restarts), "1.0.0"
    )
    runner = asyncio.create_task(updater.run())
    await until(lambda: at_rest(box), runner)
    runner.cancel()
    await asyncio.wait([runner])
    assert boot.load(box.settings.state_dir).active is None
    await settle(box)
    await assert_failed(box, OtaEvent.IMAGE_INVALID, "could not be started")


@pytest.mark.parametrize("undo", [True, False], ids=["undone at once", "undone at the next start"])
async def test_a_switch_whose_record_the_disk_does_not_take_is_undone(
    box: Machine, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, *, undo: bool
) -> None:
    """The old version runs after FAILED, even if the fault comes after the switch."""

    def full(state_dir: Path, task: Task) -> None:
        if task.step is Step.TRIAL:
            raise OSError(28, "No space left on device")
        save_task(state_dir, task)

    def stuck(_self: SlotInstaller, _reason: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(machine, "save_task", full)
    with monkeypatch.context() as patch:
        if not undo:
            patch.setattr(SlotInstaller, "roll_back", stuck)
        await live(box, order())
    assert box.task.state is State.FAILED
    if not undo:
        updater = box.start()
        assert (box.running, updater.on_trial) == ("1.1.0", False)
        runner = asyncio.create_task(updater.run())
        await until(box.restarts.is_set, runner)
        runner.cancel()
        await asyncio.wait([runner])
    await settle(box)
    await assert_failed(box, OtaEvent.WRITE_ERROR, "No space left")


async def test_a_lost_boot_record_is_said(box: Machine, order: Callable[..., bytes]) -> None:
    await live(box, order())
    (box.settings.state_dir / "slots/boot.json").unlink()
    await live(box, None)
    await assert_failed(box, OtaEvent.IMAGE_INVALID, "boot record was lost")


async def test_orders(box: Machine, order: Callable[..., bytes]) -> None:
    updater = box.start()
    code, text = await updater.take_order(b"{}")
    assert (code, "order" in text) == (Code.BAD_REQUEST, True)
    code, text = await updater.take_order(order(version="1.0"))
    assert (code, "not newer" in text) == (Code.BAD_REQUEST, True)
    assert updater.status()["state"] is None
    assert (await updater.take_order(order()))[0] is Code.CHANGED
    assert box.task.state is State.CREATED
    assert (await updater.take_order(order(version="5.0")))[0] is Code.CHANGED
    assert box.task.order.version == "1.1.0"
    code, text = await updater.take_order(order(transaction="78"))
    assert (code, text) == (Code.CONFLICT, "update 77 is running")
    assert box.outbox.taken == []


async def test_a_finished_order_repeated_changes_nothing_and_a_new_one_starts(
    box: Machine, order: Callable[..., bytes]
) -> None:
    await live(box, order(size=5))
    updater = box.start()
    runner = asyncio.create_task(updater.run())
    assert (await updater.take_order(order()))[0] is Code.CHANGED
    assert updater.status()["state"] == "FAILED"
    assert (await updater.take_order(order(transaction="78")))[0] is Code.CHANGED
    await until(box.restarts.is_set, runner)
    runner.cancel()
    await asyncio.wait([runner])
    assert box.task.transaction == "78"
    assert "78:installed" in box.outbox.once


async def test_the_report_of_the_last_update_is_made_before_its_record_goes(
    box: Machine, order: Callable[..., bytes]
) -> None:
    await live(box, order(size=5))
    box.outbox = Outbox(box.kills)
    save_task(box.settings.state_dir, replace(box.task, reported=False))
    assert (await box.start().take_order(order(transaction="78")))[0] is Code.CHANGED
    assert box.outbox.once == {"77:final"}


async def test_an_order_that_the_disk_does_not_take(
    box: Machine, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    updater = box.start()
    monkeypatch.setattr(machine, "save_task", full)
    code, text = await updater.take_order(order())
    assert (code, "No space" in text) == (Code.SERVICE_UNAVAILABLE, True)
    assert updater.status()["state"] is None


async def test_a_final_report_that_the_outbox_does_not_take_is_made_later(
    box: Machine, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    real = box.outbox

    async def report(key: str, value: Mapping[str, object], *, once: str | None = None) -> None:
        if full and once == "77:final":
            raise OSError(28, "No space left on device")
        await real(key, value, once=once)

    monkeypatch.setattr(machine, "RETRY_SECONDS", 0.01)
    installer = SlotInstaller(box.settings.state_dir)
    updater = Updater(
        box.settings, installer, report, NotedRestarts(box.host, box.restarts), "1.0.0"
    )
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order(size=5))
    await until(lambda: box.task.state is State.FAILED, runner)
    assert real.finals() == []
    full = False
    await until(lambda: box.task.reported, runner)
    assert [final["event"] for final in real.finals()] == [12]
    runner.cancel()
    await asyncio.wait([runner])


async def test_a_damaged_record_leaves_the_machine_idle(
    box: Machine, order: Callable[..., bytes]
) -> None:
    path = task_path(box.settings.state_dir)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{damaged")
    await live(box, order())
    assert box.task.state is State.INSTALLED
    assert path.with_name("task.json.bad").read_bytes() == b"{damaged"


@pytest.mark.parametrize(("prove", "event"), [("", 10), ("no link", 8)])
async def test_a_record_damaged_during_the_trial_still_ends_in_its_report(
    box: Machine, order: Callable[..., bytes], prove: str, event: int
) -> None:
    await live(box, order())
    task_path(box.settings.state_dir).write_bytes(b"")
    updater = box.start()
    assert updater.on_trial
    code, text = await updater.take_order(order(transaction="78", version="2.0"))
    assert (code, text) == (Code.CONFLICT, "update 77 is running")
    await (updater.fail_trial(prove) if prove else updater.confirm())
    assert [(f["transaction"], f["event"]) for f in box.outbox.finals()] == [("77", event)]
    assert boot.load(box.settings.state_dir).trial is None


async def test_confirming_without_a_trial_does_nothing(box: Machine) -> None:
    updater = box.start()
    await updater.confirm()
    await updater.fail_trial("no reason")
    assert box.outbox.taken == []
    assert not box.restarts.is_set()


async def test_the_status_names_what_runs(box: Machine, order: Callable[..., bytes]) -> None:
    await live(box, order(size=5))
    status = box.start().status()
    assert status == {
        "running": "1.0.0",
        "onTrial": False,
        "transaction": "77",
        "version": "1.1.0",
        "state": "FAILED",
        "step": "done",
        "percent": None,
        "failure": status["failure"],
    }
    assert str(status["failure"]).startswith("wrong size: ota.size: got 5, expected ")
