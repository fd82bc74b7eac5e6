"""What an update that was cut off does next: decided from the task, boot.json and what runs.

Pure: `machine` reads the three and carries the verdict out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from ota.launch.boot import Rollback, Trial
from ota.order.states import State, Step
from ota.order.task import Task

LOST_RECORD = "the boot record was lost; the new version does not run"
NOT_STARTED = "the new version could not be started"
# How often a machine is told to restart into the version on trial before that is given up.
RESTARTS = 3
NOT_RESTARTED = f"the machine did not restart, after {RESTARTS} tries to make it"


class Action(Enum):
    """What a start has to do."""

    IDLE = auto()
    """Nothing is unfinished."""
    GO_ON = auto()
    """Repeat the step that is on disk."""
    TRIAL = auto()
    """The new version runs and has to prove itself."""
    SUCCEED = auto()
    """It was confirmed; only the record is behind."""
    GO_BACK = auto()
    """The update was reported FAILED, and its version is active nevertheless: undo the switch."""
    FAIL = auto()
    """The old version runs again, or has to, for `Verdict.reason`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An action.

    Attributes:
        action: what is done.
        reason: of FAIL and GO_BACK.
        restart: whether what runs has to be left after that.
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
    """Decide how to go on after a start.

    Args:
        task: what task.json says.
        trial: the version that boot.json has on trial.
        rollback: the version that was last given up.
        running: the version that this process runs.
        restarts: how often this boot of the machine was to end in a restart; see `Installer.restarts`.
        given_up: whether ``running`` was given up and not yet left; see `Installer.given_up`.
        record_lost: whether a trial could not be told from its end; see `Installer.record_lost`.
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
    if on_trial:  # `launch` always starts what is active, if it can
        return Verdict(Action.FAIL, NOT_STARTED)
    return _recover_old(task, rollback, restarts)


def _recover_given_up(task: Task | None, rollback: Rollback | None) -> Verdict:
    """Decide for a version that was given up: it only reports that, if it did not, and is left."""
    if task is None or task.state.is_final:
        return Verdict(Action.IDLE, restart=True)
    if rollback is None or rollback.transaction != task.transaction:  # the next version's task
        return Verdict(Action.IDLE, restart=True)
    return Verdict(Action.FAIL, _rolled_back(rollback), restart=True)


def _recover_idle(task: Task | None, trial: Trial | None, running: str) -> Verdict:
    """Decide where no update is unfinished."""
    if trial is None:
        return Verdict(Action.IDLE)
    if task is not None and task.state is State.FAILED and trial.transaction == task.transaction:
        return Verdict(Action.GO_BACK, task.failure or "", restart=trial.version == running)
    # A trial without its task is one whose record was damaged: it still has to prove itself.
    return Verdict(Action.TRIAL if trial.version == running else Action.IDLE)


def _recover_old(task: Task, rollback: Rollback | None, restarts: int) -> Verdict:
    """Decide for the old version, which runs with no trial left."""
    if task.step is Step.TRIAL and restarts:  # we were killed before the machine went down
        return Verdict(Action.GO_ON) if restarts < RESTARTS else Verdict(Action.FAIL, NOT_RESTARTED)
    if rollback is not None and rollback.transaction == task.transaction:
        return Verdict(Action.FAIL, _rolled_back(rollback))
    if task.state is State.RUNNING:  # cut off before the switch was on disk
        return Verdict(Action.GO_ON)
    return Verdict(Action.FAIL, LOST_RECORD)


def _rolled_back(rollback: Rollback) -> str:
    said = f"version {rollback.version} was rolled back: "
    # An agent that was killed between going back and reporting it left a reason that says so already.
    return said + rollback.reason.removeprefix(said)
