"""The table of the actions at a start, for each state that a crash can leave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ota.errors import ContentError
from ota.install.installer import Standing
from ota.launch.boot import Rollback, Trial
from ota.order.recovery import (
    LOST_RECORD,
    NOT_RESTARTED,
    NOT_STARTED,
    Action,
    recover,
    show_left,
)
from ota.order.states import Step
from ota.order.task import Task
from ota.trust.target import Target
from wire.ota import OtaOrder

OLD, NEW = "1.0.0", "1.1.0"
CREATED = Task(OtaOrder("77", NEW, OLD, f"http://h/{NEW}.tar.gz", 10, "0" * 32))
TARGET = Target(f"p/{NEW}.tar.gz", 10, "a" * 64, NEW, "p")
CHECK = CREATED.at(Step.CHECK)
INSTALL = CHECK.at(Step.DOWNLOAD, TARGET).at(Step.INSTALL)
SWITCH = INSTALL.at(Step.SWITCH)
ON_TRIAL = SWITCH.at(Step.TRIAL)
FAILED = ON_TRIAL.failed(ContentError("x", "y"))
TRIAL = Trial(NEW, 1, "77")
OTHER = Trial(NEW, 1, "76")
BACK = Rollback(NEW, "why", "77")
LONG_AGO = Rollback(NEW, "why", "70")

TABLE = {
    "nothing": (None, None, None, OLD, Action.IDLE, ""),
    "taken": (CREATED, None, None, OLD, Action.GO_ON, ""),
    "checking": (CHECK, None, None, OLD, Action.GO_ON, ""),
    "installing": (INSTALL, None, None, OLD, Action.GO_ON, ""),
    "installing what was rolled back long ago": (INSTALL, None, LONG_AGO, OLD, Action.GO_ON, ""),
    "before the switch": (SWITCH, None, None, OLD, Action.GO_ON, ""),
    "before the switch to what was rolled back": (SWITCH, None, LONG_AGO, OLD, Action.GO_ON, ""),
    "after the switch, started": (SWITCH, TRIAL, None, NEW, Action.TRIAL, ""),
    "after the switch, not started": (SWITCH, TRIAL, None, OLD, Action.FAIL, NOT_STARTED),
    "after the switch, rolled back": (SWITCH, None, BACK, OLD, Action.FAIL, "why"),
    "on trial": (ON_TRIAL, TRIAL, None, NEW, Action.TRIAL, ""),
    "on trial, not started": (ON_TRIAL, TRIAL, None, OLD, Action.FAIL, NOT_STARTED),
    "on trial, rolled back": (ON_TRIAL, None, BACK, OLD, Action.FAIL, "why"),
    "on trial, record lost": (ON_TRIAL, None, None, OLD, Action.FAIL, LOST_RECORD),
    "on trial, confirmed": (ON_TRIAL, None, None, NEW, Action.SUCCEED, ""),
    "succeeded": (ON_TRIAL.succeeded(), None, None, NEW, Action.IDLE, ""),
    "failed": (FAILED, None, BACK, OLD, Action.IDLE, ""),
    "failed, but switched": (FAILED, TRIAL, None, NEW, Action.GO_BACK, "x: y"),
    "failed, switched, not started": (FAILED, TRIAL, None, OLD, Action.GO_BACK, "x: y"),
    "task lost, on trial": (None, TRIAL, None, NEW, Action.TRIAL, ""),
    "task lost, not started": (None, TRIAL, None, OLD, Action.IDLE, ""),
    "another's failure, on trial": (FAILED, OTHER, None, NEW, Action.TRIAL, ""),
}


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_what_a_start_does(case: str) -> None:
    task, trial, rollback, running, action, reason = TABLE[case]
    verdict = recover(task, Standing(trial, rollback), running)
    assert verdict.action is action
    assert reason in verdict.reason
    assert bool(verdict.reason) == (action in {Action.FAIL, Action.GO_BACK})
    # What runs is left only if it is what failed.
    assert verdict.restart is (case == "failed, but switched")


SUCCEEDED = ON_TRIAL.succeeded()
DAMAGED, DEAD = Rollback(NEW, "a file", damaged=True), Rollback(NEW, "it ended 5 times")
LEFT = {
    # task, roll-back, running version
    "damaged": (SUCCEEDED, DAMAGED, OLD, Action.REPAIR),
    "damaged for the last time": (replace(SUCCEEDED, repairs=2), DAMAGED, OLD, Action.REPAIR),
    "damaged too often": (replace(SUCCEEDED, repairs=3), DAMAGED, OLD, Action.LEFT),
    "whole, and dead": (SUCCEEDED, DEAD, OLD, Action.LEFT),
    "it runs again": (SUCCEEDED, DAMAGED, NEW, Action.IDLE),
    "a newer base runs": (SUCCEEDED, DAMAGED, "1.2.0", Action.IDLE),
    "its record is lost": (None, DAMAGED, OLD, Action.IDLE),
    "another update came since": (FAILED, DAMAGED, OLD, Action.IDLE),
    "an update is under way": (CHECK, DAMAGED, OLD, Action.GO_ON),
    "it was on trial": (SUCCEEDED, replace(DAMAGED, transaction="77"), OLD, Action.IDLE),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT)
def test_what_a_start_does_for_a_confirmed_version_that_was_left(case: str) -> None:
    task, rollback, running, action = LEFT[case]
    verdict = recover(task, Standing(None, rollback), running)
    assert (verdict.action, verdict.restart) == (action, False)
    assert verdict.reason == (rollback.reason if action in {Action.REPAIR, Action.LEFT} else "")
    told = show_left(task, Standing(None, rollback), running)
    assert (told is None) is (running == NEW or rollback.transaction is not None)


# The machine, not only the agent, has to restart: the agent was killed before that.
WAITING = {
    "switching": (SWITCH, OLD, 1, Action.GO_ON, ""),
    "told to restart once": (ON_TRIAL, OLD, 1, Action.GO_ON, ""),
    "told once less than often enough": (ON_TRIAL, OLD, 2, Action.GO_ON, ""),
    "told often enough": (ON_TRIAL, OLD, 3, Action.FAIL, NOT_RESTARTED),
    "told by no record": (ON_TRIAL, OLD, 0, Action.FAIL, LOST_RECORD),
    "ended": (FAILED, OLD, 1, Action.IDLE, ""),
}


@pytest.mark.parametrize("case", WAITING, ids=str)
def test_what_a_start_does_before_the_machine_restarted(case: str) -> None:
    task, running, restarts, action, reason = WAITING[case]
    verdict = recover(task, Standing(None, LONG_AGO, restarts), running)
    assert (verdict.action, verdict.reason) == (action, reason)
    assert verdict.counts == (reason != NOT_RESTARTED)


# A version that failed its trial and was killed before the machine restarted.
GIVEN_UP = {
    "not reported": (SWITCH, BACK, Action.FAIL),
    "not reported, installed": (ON_TRIAL, BACK, Action.FAIL),
    "reported": (FAILED, BACK, Action.IDLE),
    "without its task": (None, BACK, Action.IDLE),
    "with another's task": (CHECK, LONG_AGO, Action.IDLE),
}


@pytest.mark.parametrize("case", GIVEN_UP, ids=str)
def test_what_was_given_up_and_still_runs_is_left(case: str) -> None:
    task, rollback, action = GIVEN_UP[case]
    verdict = recover(task, Standing(None, rollback, given_up=True), NEW)
    assert (verdict.action, verdict.restart) == (action, True)
    assert bool(verdict.reason) == (action is Action.FAIL)


LOST = Standing(record_lost=True)
WITHOUT_A_RECORD = {
    # task, running version
    "confirmed": (SUCCEEDED, OLD, Action.REPAIR),
    "confirmed, fetched again too often": (replace(SUCCEEDED, repairs=3), OLD, Action.LEFT),
    "it runs": (SUCCEEDED, NEW, Action.IDLE),
    "a newer base runs": (SUCCEEDED, "1.2.0", Action.IDLE),
    "failed": (FAILED, OLD, Action.IDLE),
    "no update": (None, OLD, Action.IDLE),
    "under way": (CHECK, OLD, Action.GO_ON),
}


@pytest.mark.parametrize("case", WITHOUT_A_RECORD)
def test_a_confirmed_version_is_fetched_again_where_the_record_is_damaged(case: str) -> None:
    task, running, action = WITHOUT_A_RECORD[case]
    is_left = action in {Action.REPAIR, Action.LEFT}
    verdict = recover(task, LOST, running)
    assert (verdict.action, verdict.restart) == (action, False)
    assert verdict.reason == ("the boot record is damaged" if is_left else "")
    told = show_left(task, LOST, running)
    assert told == (f"version {NEW} was left: the boot record is damaged" if is_left else None)


def test_a_record_that_somebody_removed_is_left_alone() -> None:
    assert recover(SUCCEEDED, Standing(), OLD).action is Action.IDLE
    assert show_left(SUCCEEDED, Standing(), OLD) is None


def test_without_its_record_a_new_version_is_on_trial() -> None:
    lost = Standing(record_lost=True)
    for task in (SWITCH, ON_TRIAL):
        assert recover(task, lost, NEW).action is Action.TRIAL
        assert recover(task, Standing(), NEW).action is Action.SUCCEED
    assert recover(FAILED, lost, NEW).action is Action.IDLE


def test_a_reason_that_was_kept_before_a_kill_is_told_once() -> None:
    first = recover(ON_TRIAL, Standing(None, BACK), OLD)
    again = recover(ON_TRIAL, Standing(None, Rollback(NEW, first.reason, "77")), OLD)
    assert again.reason == first.reason == f"version {NEW} was rolled back: why"
