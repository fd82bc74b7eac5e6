"""What the agent hands in, and what people decide: cancelling, quiet moments, budgets, the trial's log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from ota import restart as window
from ota import updater as machine
from ota.errors import ContentError
from ota.order.states import State
from ota.restart import Window, parse_window, why_not_now
from ota.trial.given_up import (
    KEEP,
    TRIAL_BUDGET,
    GivenUp,
    check_budget,
    history_path,
    load_history,
    noted,
    save_history,
)
from ota.trial.log import LINE_MAX, LINES, TOTAL_MAX, TrialLog, read_lines
from ota.updater import Hooks
from tests.ota.box import DEADLINE, QUICK, Machine, assert_failed, live, settle, until
from transport.blocks import BODY_LIMIT
from wire.codes import Code
from wire.errors import WireError
from wire.ota import OtaEvent
from wire.reports import report_payload


async def test_cancelled_while_downloading(
    box: Machine, order: Callable[..., bytes], server: Any
) -> None:
    loop, held = asyncio.get_running_loop(), asyncio.Event()

    def hold(handler: Any, data: bytes, start: int) -> None:
        loop.call_soon_threadsafe(held.set)
        handler.send_file(data, start, cut=100_000)

    patient = replace(QUICK, attempts=9, total=9, first=DEADLINE, longest=DEADLINE)
    box.settings = replace(box.settings, download=replace(box.settings.download, retry=patient))
    server.script.append(hold)
    updater = box.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order())
    await until(held.is_set, runner)
    assert (await updater.cancel("78"))[0] is Code.NOT_FOUND
    assert (await updater.cancel("77")) == (Code.CHANGED, "update 77 is cancelled")
    assert box.task.reported
    assert (await updater.cancel("77")) == (Code.CHANGED, "update 77 is FAILED")
    assert (await updater.take_order(order(transaction="79")))[0] is Code.CHANGED
    await until(box.restarts.is_set, runner)
    assert box.task.transaction == "79"
    assert (await updater.cancel("79"))[0] is Code.CONFLICT
    runner.cancel()
    await asyncio.wait([runner])
    assert [final["event"] for final in box.outbox.finals()] == [OtaEvent.REJECT]
    assert box.outbox.finals()[0]["description"] == "cancelled: by an order"


async def test_cancelled_before_it_began(
    box: Machine, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CANCEL_PATIENCE", 0.01)
    updater = box.start()
    await updater.take_order(order())
    assert (await updater.cancel("77")) == (Code.CHANGED, "update 77 is being cancelled")
    runner = asyncio.create_task(updater.run())
    await until(lambda: box.task.reported, runner)
    runner.cancel()
    await asyncio.wait([runner])
    await assert_failed(box, OtaEvent.REJECT, "cancelled")


@pytest.mark.parametrize("end", ["story ends", "cancelled"])
async def test_no_restart_into_a_story(
    box: Machine, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(window, "QUIET_POLL", 0.001)
    asked = 0
    playing: list[str | None] = ["a story is being played"]

    def may_restart(forced: bool) -> str | None:  # noqa: FBT001  # the hook's signature
        assert not forced
        nonlocal asked
        asked += 1
        return playing[0]

    box.hooks = Hooks(may_restart=may_restart)
    updater = box.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order())
    await until(lambda: asked > 3, runner)
    assert updater.status()["state"] == "RUNNING"
    assert not box.restarts.is_set()
    if end == "cancelled":
        assert (await updater.cancel("77"))[0] is Code.CHANGED
        await until(lambda: box.task.reported, runner)
        assert box.task.failure == "cancelled: by an order"
    else:
        playing[0] = None
        await until(box.restarts.is_set, runner)
        assert box.task.state is State.INSTALLED
    runner.cancel()
    await asyncio.wait([runner])


async def test_a_forced_order_is_one_after_a_restart_too(
    box: Machine, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "QUIET_POLL", 0.001)
    asked: list[bool] = []

    def may_restart(forced: bool) -> str | None:  # noqa: FBT001  # the hook's signature
        asked.append(forced)
        return "the first start never may" if len(asked) < 9 else None

    box.hooks = Hooks(may_restart=may_restart)
    updater = box.start()
    runner = asyncio.create_task(updater.run())
    await updater.take_order(order(forced=True))
    await until(lambda: bool(asked), runner)
    runner.cancel()
    await asyncio.wait([runner])
    await live(box, None)
    assert len(asked) >= 9
    assert all(asked)
    assert box.task.state is State.INSTALLED


async def test_a_quiet_moment_that_never_comes(
    box: Machine, order: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "QUIET_POLL", 0.001)
    clock = iter(range(0, 10**9, 10**5))
    monkeypatch.setattr(window, "monotonic", lambda: float(next(clock)))
    box.hooks = Hooks(may_restart=lambda _forced: "a story is being played")
    await live(box, order())
    await settle(box)
    await assert_failed(box, OtaEvent.REJECT, "no quiet moment in 48 h: a story")


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
def test_why_not_now(now: time, reason: str | None, *, playing: bool, forced: bool) -> None:
    night = parse_window("22:30-04:00")
    assert why_not_now(now, night, playing=playing, forced=forced) == reason
    assert why_not_now(now, None, playing=False) is None


def test_windows() -> None:
    assert parse_window("02:00-05:00") == Window(time(2), time(5))
    for text in ("", "02:00", "5-6-7", "02:00-02:00", "25:00-26:00", "02:00Z-03:00Z"):
        with pytest.raises(WireError, match="two local times"):
            parse_window(text)


async def test_a_version_that_fails_its_trial_again_and_again_is_refused(
    box: Machine, order: Callable[..., bytes], server: Any
) -> None:
    for number in range(TRIAL_BUDGET):
        transaction = f"t{number}"
        await live(box, order(transaction=transaction))
        await live(box, None, prove="no link")
        await live(box, None)
        assert box.task.transaction == transaction
        assert "version 1.1.0 was rolled back: no link" in str(box.task.failure)
    server.requests.clear()
    box.outbox.taken.clear()
    await live(box, order())
    await assert_failed(box, OtaEvent.REJECT, "given up before: version 1.1.0 failed its trial 3 ")
    assert not [path for path, _range in server.requests if path.endswith(".tar.gz")]


async def test_the_last_lines_of_a_failed_trial_are_reported_once(
    box: Machine, order: Callable[..., bytes]
) -> None:
    box.hooks = Hooks(log_lines=lambda: ["one", "two"])
    await live(box, order())
    await live(box, None, prove="no link")
    await live(box, None)
    logs = [value for key, value in box.outbox.taken if key == "ota_log"]
    assert logs == [{"transaction": "77", "version": "1.1.0", "lines": ["one", "two"]}]


def entry(sha256: str, transaction: str) -> GivenUp:
    return GivenUp(sha256, "1.1.0", 1, transaction, "no link")


def test_history(tmp_path: Path) -> None:
    history = noted(noted(noted((), entry("a", "1")), entry("a", "1")), entry("a", "2"))
    assert [(e.sha256, e.times) for e in history] == [("a", 2)]
    check_budget(history, "a")
    history = noted(noted(history, entry("b", "3")), entry("a", "4"))
    with pytest.raises(ContentError, match="given up before"):
        check_budget(history, "a")
    check_budget(history, "b")
    for number in range(KEEP):
        history = noted(history, entry(f"x{number}", "5"))
    assert len(history) == KEEP
    save_history(tmp_path, history)
    assert load_history(tmp_path) == history
    history_path(tmp_path).write_bytes(b"{")
    assert load_history(tmp_path) == ()


def test_the_trial_log_keeps_the_end(tmp_path: Path) -> None:
    path = tmp_path / "ota/trial.log"
    handler = TrialLog(path, logging.Formatter("%(message)s"))
    for number in range(LINES * 3 + 7):
        handler.emit(logging.makeLogRecord({"msg": f"line {number}"}))
    assert read_lines(path) == [f"line {n}" for n in range(LINES * 2 + 7, LINES * 3 + 7)]
    assert len(path.read_text().splitlines()) < 2 * LINES
    again = TrialLog(path, logging.Formatter("%(message)s"))
    again.emit(logging.makeLogRecord({"msg": "x" * 1000 + "\nsecond"}))
    assert read_lines(path)[-2:] == ["x" * LINE_MAX, "second"]
    for _number in range(LINES):
        again.emit(logging.makeLogRecord({"msg": "y" * LINE_MAX}))
    assert sum(len(line) + 1 for line in read_lines(path)) <= TOTAL_MAX
    assert read_lines(tmp_path / "none") == []


@pytest.mark.parametrize("character", ["故", "\x00", '"', "🐻"])
def test_a_log_fits_into_a_report_whatever_it_says(tmp_path: Path, character: str) -> None:
    path = tmp_path / "trial.log"
    path.write_text(f"{character * LINE_MAX}\n" * LINES, "utf-8")
    lines = read_lines(path)
    assert lines
    assert len(report_payload({"ota_log": lines})) < BODY_LIMIT / 2


async def test_a_new_trial_begins_with_an_empty_log(
    box: Machine, order: Callable[..., bytes]
) -> None:
    path = box.settings.state_dir / "ota/trial.log"
    path.parent.mkdir(parents=True)
    path.write_text("of another version\n")
    await live(box, order())
    assert box.task.state is State.INSTALLED
    assert not path.exists()
