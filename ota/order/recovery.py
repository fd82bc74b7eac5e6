"""Decide how an interrupted update continues: from its task, the boot record, the running version.

No I/O: `ota.updater` reads the three and carries out the verdict.
"""

from __future__ import annotations

from enum import Enum, auto

from ota.install.installer import Standing
from ota.launch.boot import Rollback
from ota.order.states import State, Step
from ota.order.task import Task
from wire.ota import version_key
from wire.records import dataclass

LOST_RECORD = "the boot record was lost; the new version does not run"
DAMAGED_RECORD = "the boot record is damaged"
NOT_STARTED = "the new version could not be started"
# How often a machine restart into the version on trial is requested before the update fails.
RESTARTS = 3
# How often a release whose files were damaged is fetched again; more is a card that is worn out.
REPAIRS = 3
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
    REPAIR = auto()
    """The confirmed version was left, since its files were damaged: fetch it again."""
    LEFT = auto()
    """The confirmed version was left for `Verdict.reason`; fetching it again would not help."""
    FAIL = auto()
    """The update failed for `Verdict.reason`; the old version runs, or must run again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision for this start.

    Attributes:
        action: what to do.
        reason: why, with FAIL, GO_BACK, REPAIR and LEFT only.
        restart: whether the running version must be left afterwards.
        counts: whether the package has failed a trial, with FAIL only; not if it never started,
            since the machine did not restart.
    """

    action: Action
    reason: str = ""
    restart: bool = False
    counts: bool = True


def recover(task: Task | None, standing: Standing, running: str) -> Verdict:
    """Decide how to continue after a start.

    Args:
        task: the task in task.json.
        standing: what the installer's record says.
        running: the version that this process runs.
    """
    trial = standing.trial
    if standing.given_up:
        return _recover_given_up(task, standing.last_rollback)
    if task is None or task.state.is_final:
        return _recover_idle(task, standing, running)
    if task.step not in {Step.SWITCH, Step.TRIAL}:
        return Verdict(Action.GO_ON)
    on_trial = trial is not None and trial.transaction == task.transaction
    if running == task.order.version:
        proving = on_trial or standing.record_lost
        return Verdict(Action.TRIAL if proving else Action.SUCCEED)
    if on_trial:  # `launch` would have started the active version if it could
        return Verdict(Action.FAIL, NOT_STARTED)
    return _recover_old(task, standing.last_rollback, standing.restarts)


def _recover_given_up(task: Task | None, rollback: Rollback | None) -> Verdict:
    """Decide for a running version that was rolled back: report that if needed, then leave it."""
    if task is None or task.state.is_final:
        return Verdict(Action.IDLE, restart=True)
    if rollback is None or rollback.transaction != task.transaction:  # the task of a later order
        return Verdict(Action.IDLE, restart=True)
    return Verdict(Action.FAIL, _rolled_back(rollback), restart=True)


def _recover_idle(task: Task | None, standing: Standing, running: str) -> Verdict:
    """Decide when no update is unfinished."""
    trial = standing.trial
    if trial is None:
        return _recover_left(task, standing, running)
    if task is not None and task.state is State.FAILED and trial.transaction == task.transaction:
        return Verdict(Action.GO_BACK, task.failure or "", restart=trial.version == running)
    # A trial without a task: task.json was damaged. The version must still be confirmed.
    return Verdict(Action.TRIAL if trial.version == running else Action.IDLE)


def _recover_left(task: Task | None, standing: Standing, running: str) -> Verdict:
    """Decide for the old version when the launcher may have left the one that was confirmed."""
    rollback = _left_behind(task, standing, running)
    if rollback is None or rollback.transaction is not None or rollback.version == running:
        return Verdict(Action.IDLE)
    if task is None or task.state is not State.SUCCESS or task.order.version != rollback.version:
        return Verdict(Action.IDLE)
    if version_key(rollback.version) < version_key(running):  # a newer base was installed since
        return Verdict(Action.IDLE)
    if rollback.damaged and task.repairs < REPAIRS:
        return Verdict(Action.REPAIR, rollback.reason)
    return Verdict(Action.LEFT, rollback.reason)


def show_left(task: Task | None, standing: Standing, running: str) -> str | None:
    """Return which confirmed version was left for the ``running`` one, and why; None: there is none."""
    rollback = _left_behind(task, standing, running)
    if rollback is None or rollback.transaction is not None or rollback.version == running:
        return None
    return f"version {rollback.version} was left: {rollback.reason}"


def _left_behind(task: Task | None, standing: Standing, running: str) -> Rollback | None:
    """Return the last roll-back; without a record that could tell it, that of the version which the last update had confirmed.

    The launcher starts the base where the record is damaged (docs/launcher.md), which may be years older.
    """
    if not standing.record_lost or task is None or task.state is not State.SUCCESS:
        return standing.last_rollback
    if version_key(task.order.version) <= version_key(running):
        return standing.last_rollback
    return Rollback(task.order.version, DAMAGED_RECORD, damaged=True)


def _recover_old(task: Task, rollback: Rollback | None, restarts: int) -> Verdict:
    """Decide for the old version, when it runs and no trial is left."""
    if task.step is Step.TRIAL and restarts:  # the agent was killed before the machine restarted
        if restarts < RESTARTS:
            return Verdict(Action.GO_ON)
        return Verdict(Action.FAIL, NOT_RESTARTED, counts=False)
    if rollback is not None and rollback.transaction == task.transaction:
        return Verdict(Action.FAIL, _rolled_back(rollback))
    if task.state is State.RUNNING:  # interrupted before the switch was on disk
        return Verdict(Action.GO_ON)
    return Verdict(Action.FAIL, LOST_RECORD)


def _rolled_back(rollback: Rollback) -> str:
    said = f"version {rollback.version} was rolled back: "
    # An agent that was killed between the roll-back and its report left a reason with this prefix.
    return said + rollback.reason.removeprefix(said)
