"""The transitions of an update task's status.

They follow device reports (docs/adr/0004, "Status from events") and cancellation (docs/adr/0013).
No I/O: state and report in, next state out. `store.ota` stores states and event lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from wire.codes import Code
from wire.ota import OtaEvent, OtaEventReport, OtaState

# The minimum distance between two percent lines of one phase in a task's event log.
PERCENT_LINE_STEP = 0.05
# The maximum length of a task's event log; the status still follows every later report.
EVENT_LINES_LIMIT = 200
# A machine gives a version 120 s to prove itself (``ota.confirm_timeout_seconds``); three starts of it and the restart
# into the version before fit into this, ms.
TRIAL_MS = 600_000


class Status(StrEnum):
    """A task's status as the open API names it (section 5.4)."""

    CREATED = "CREATED"
    """Ordered; the device has not reported on it yet."""
    RUNNING = "RUNNING"
    """The device downloads or installs; ``percent`` is its progress."""
    INSTALLED = "INSTALLED"
    """The package is installed, but not confirmed yet."""
    SUCCESS = "SUCCESS"
    """The device reported event 10 and runs the version. Final."""
    FAILED = "FAILED"
    """``failure`` is the reason; later reports may revive the task, see `on_event`."""


class Cancel(StrEnum):
    """Whether a task was cancelled."""

    NONE = ""
    WANTED = "WANTED"
    """It was; the device has not answered yet, and is told again."""
    ANSWERED = "TOLD"
    """It was, and the device answered the notification."""


# How the reason of a device that did not take its order begins.
REFUSED = "the device refused the order: "

ACTIVE = (Status.CREATED, Status.RUNNING, Status.INSTALLED)

PROGRESS = {
    OtaEvent.BEGIN,
    OtaEvent.DOWNLOADING,
    OtaEvent.DOWNLOAD_COMPLETE,
    OtaEvent.INSTALLING,
}


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task's state; ``installed``: event 10 was received; ``cancelled``: it was cancelled."""

    status: Status = Status.CREATED
    percent: float | None = None
    failure: str | None = None
    installed: bool = False
    cancelled: bool = False


def on_event(state: TaskState, report: OtaEventReport, *, at_target: bool) -> TaskState:
    """Apply an ``ota_event``; ``at_target``: the device runs the ordered version now."""
    if state.status is Status.SUCCESS:
        return state
    if report.event is OtaEvent.INSTALLED:
        return on_version(_installed(replace(state, installed=True)), at_target=at_target)
    if report.event in PROGRESS:
        return _progress(state, report.percent)
    if report.event is OtaEvent.DELETED and state.status is Status.INSTALLED:
        return state  # the device deletes the package file after the installation
    return fail(state, report.description or _describe(report.event))


def on_state(state: TaskState, reported: OtaState) -> TaskState:
    """Apply an ``ota_state``."""
    if state.status is Status.SUCCESS or reported is OtaState.IDLE:
        return state
    return _installed(state) if reported is OtaState.INSTALLED else _progress(state, None)


def on_version(state: TaskState, *, at_target: bool) -> TaskState:
    """Apply a ``package_info``: event 10 and the ordered version, in either order, make SUCCESS.

    This also revives FAILED: early firmware numbers some events differently, so the running version
    decides.
    """
    if not (at_target and state.installed):
        return state
    return replace(state, status=Status.SUCCESS, failure=None)


def cancel(state: TaskState, reason: str) -> TaskState:
    """End a task as cancelled; SUCCESS stays.

    From then on only its end counts: late progress does not revive it, a reported failure replaces
    ``reason``, and if the device had already installed the update, the task becomes SUCCESS.
    """
    return fail(replace(state, cancelled=True), f"cancelled: {reason}")


def ends_by_cancel(code: int | None, *, answered: bool) -> str | None:
    """Return why a cancelled task ends at once, or None if its device ends it.

    Args:
        code: the device's answer to the cancellation, 2.04 or 4.04; None: it is offline.
        answered: whether the device answered an earlier cancellation.
    """
    if code is None:
        return "the device is offline"
    if code == Code.NOT_FOUND:
        return "the device does not know it"
    return "the device gave it up before and did not report that" if answered else None


def fail(state: TaskState, reason: str) -> TaskState:
    """End the task with a reason; SUCCESS stays."""
    if state.status is Status.SUCCESS:
        return state
    return replace(state, status=Status.FAILED, failure=reason)


def stuck_in_trial(status: Status, since: int, now: int) -> bool:
    """Return whether a version should have been confirmed or left by now; ``since`` its last news, both ms."""
    return status is Status.INSTALLED and now - since > TRIAL_MS


def keeps_line(previous: float | None, percent: float | None, lines: int) -> bool:
    """Return whether the event log gets one more line.

    Args:
        previous: percent of the last stored line of the same event, None if there is none.
        percent: percent of the new report, None for events without percent.
        lines: the number of lines that the task has.
    """
    if lines >= EVENT_LINES_LIMIT:
        return False
    if percent is None or previous is None:
        return True
    ends = percent in (0, 1) and percent != previous
    return ends or abs(percent - previous) >= PERCENT_LINE_STEP


def _installed(state: TaskState) -> TaskState:
    # Only `on_version` turns a failed task into a success; it never becomes INSTALLED.
    if state.status is Status.FAILED:
        return state
    return replace(state, status=Status.INSTALLED)


def _progress(state: TaskState, percent: float | None) -> TaskState:
    if state.status is Status.INSTALLED:
        return state  # a late report of a phase that is over
    if state.status is Status.FAILED and state.cancelled:
        return state
    before = None if state.status is Status.FAILED else state.percent
    # Installing starts again at 0, but an app's progress bar must not go backwards.
    kept = before if percent is None else max(before or 0.0, percent)
    return replace(state, status=Status.RUNNING, percent=kept, failure=None)


def _describe(event: OtaEvent) -> str:
    return f"event {int(event)}: {event.name.lower().replace('_', ' ')}"
