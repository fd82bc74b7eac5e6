"""Decide how an interrupted update continues: from its task, the boot record, the running version.

No I/O: `machine` reads the three and carries out the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from ota.launch.boot import Rollback, Trial
from ota.order.states import State, Step
from ota.order.task import Task

LOST_RECORD = "the boot record was lost; the new version does not run"
NOT_STARTED = "the new version could not be started"
# How often a machine restart into the version on trial is requested before the update fails.
RESTARTS = 3
NOT_RESTARTED = f"the machine did not restart, after {RESTARTS} tries to make it"


class Action(Enum):
    """What to do after a start."""

    IDLE = auto()
    """No update is unfinished."""
    GO_ON = auto()
    """Repeat the step that is on disk."""
    TRIAL = auto()
    """The new version runs and must be confirmed."""
    SUCCEED = auto()
    """The new version was confirmed; only the task record is behind."""
    GO_BACK = auto()
    """The update was reported FAILED, but its version is active: undo the switch."""
    FAIL = auto()
    """The update failed for `Verdict.reason`; the old version runs, or must run again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision for this start.

    Attributes:
        action: what to do.
        reason: why, with FAIL and GO_BACK only.
        restart: whether the running version must be left afterwards.
    """

    action: Action
    reason: str = ""
    restart: bool = False


def recover(
    task: Task | None,
    trial: Trial | None,
    rollback: Rollback | None,
    running: str,
    restarts: int = 0,
    *,
    given_up: bool = False,
    record_lost: bool = False,
) -> Verdict:
    """Decide how to continue after a start.

    Args:
        task: the task in task.json.
        trial: the version on trial, from the boot record.
        rollback: the version that was last rolled back.
        running: the version that this process runs.
        restarts: how often this boot has requested a machine restart; see `Installer.restarts`.
        given_up: whether ``running`` was rolled back but still runs; see `Installer.given_up`.
        record_lost: whether the boot record is lost; see `Installer.record_lost`.
    """
    if given_up:
        return _recover_given_up(task, rollback)
    if task is None or task.state.is_final:
        return _recover_idle(task, trial, running)
    if task.step not in {Step.SWITCH, Step.TRIAL}:
        return Verdict(Action.GO_ON)
    on_trial = trial is not None and trial.transaction == task.transaction
    if running == task.order.version:
        return Verdict(Action.TRIAL if on_trial or record_lost else Action.SUCCEED)
    if on_trial:  # `launch` would have started the active version if it could
        return Verdict(Action.FAIL, NOT_STARTED)
    return _recover_old(task, rollback, restarts)


def _recover_given_up(task: Task | None, rollback: Rollback | None) -> Verdict:
    """Decide for a running version that was rolled back: report that if needed, then leave it."""
    if task is None or task.state.is_final:
        return Verdict(Action.IDLE, restart=True)
    if rollback is None or rollback.transaction != task.transaction:  # the task of a later order
        return Verdict(Action.IDLE, restart=True)
    return Verdict(Action.FAIL, _rolled_back(rollback), restart=True)


def _recover_idle(task: Task | None, trial: Trial | None, running: str) -> Verdict:
    """Decide when no update is unfinished."""
    if trial is None:
        return Verdict(Action.IDLE)
    if task is not None and task.state is State.FAILED and trial.transaction == task.transaction:
        return Verdict(Action.GO_BACK, task.failure or "", restart=trial.version == running)
    # A trial without a task: task.json was damaged. The version must still be confirmed.
    return Verdict(Action.TRIAL if trial.version == running else Action.IDLE)


def _recover_old(task: Task, rollback: Rollback | None, restarts: int) -> Verdict:
    """Decide for the old version, when it runs and no trial is left."""
    if task.step is Step.TRIAL and restarts:  # the agent was killed before the machine restarted
        return Verdict(Action.GO_ON) if restarts < RESTARTS else Verdict(Action.FAIL, NOT_RESTARTED)
    if rollback is not None and rollback.transaction == task.transaction:
        return Verdict(Action.FAIL, _rolled_back(rollback))
    if task.state is State.RUNNING:  # interrupted before the switch was on disk
        return Verdict(Action.GO_ON)
    return Verdict(Action.FAIL, LOST_RECORD)


def _rolled_back(rollback: Rollback) -> str:
    said = f"version {rollback.version} was rolled back: "
    # An agent that was killed between the roll-back and its report left a reason with this prefix.
    return said + rollback.reason.removeprefix(said)
