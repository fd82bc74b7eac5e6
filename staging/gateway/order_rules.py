"""What a task's status becomes when its device reports something (docs/adr/0004, "Status from events").

And when it is cancelled (docs/adr/0013).

Pure: a state and one report in, the next state out. `store.ota` keeps states and event lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from wire.codes import Code
from wire.ota import OtaEvent, OtaEventReport, OtaState

# Two percent lines of one phase are at least this far apart in a task's event log.
PERCENT_LINE_STEP = 0.05
# Whatever a device sends, its task's log ends here; the status still follows every report.
EVENT_LINES_LIMIT = 200


class Status(StrEnum):
    """A task's status as the open API names it (section 5.4)."""

    CREATED = "CREATED"
    """Ordered, nothing heard of it yet."""
    RUNNING = "RUNNING"
    """The device downloads or installs; ``percent`` says how far."""
    INSTALLED = "INSTALLED"
    """The package is in place and has not proved itself yet."""
    SUCCESS = "SUCCESS"
    """The device says it is installed, and runs the version. Final."""
    FAILED = "FAILED"
    """``failure`` says why; the same task may still come back to life, see `on_event`."""


class Cancel(StrEnum):
    """Whether a task's order was taken back."""

    NONE = ""
    WANTED = "WANTED"
    """It was; the device has not answered that yet, and is told when it next registers."""
    TOLD = "TOLD"
    """It was, and the device answered."""


ACTIVE = (Status.CREATED, Status.RUNNING, Status.INSTALLED)

_PROGRESS = {
    OtaEvent.BEGIN,
    OtaEvent.DOWNLOADING,
    OtaEvent.DOWNLOAD_COMPLETE,
    OtaEvent.INSTALLING,
}


@dataclass(frozen=True, slots=True)
class TaskState:
    """Where a task stands; ``installed``: event 10 was seen; ``cancelled``: its order was taken back."""

    status: Status = Status.CREATED
    percent: float | None = None
    failure: str | None = None
    installed: bool = False
    cancelled: bool = False


def on_event(state: TaskState, report: OtaEventReport, *, at_target: bool) -> TaskState:
    """Follow one ``ota_event``; ``at_target``: the device runs the ordered version now."""
    if state.status is Status.SUCCESS:
        return state
    if report.event is OtaEvent.INSTALLED:
        return on_version(_installed(replace(state, installed=True)), at_target=at_target)
    if report.event in _PROGRESS:
        return _progress(state, report.percent)
    if report.event is OtaEvent.DELETED and state.status is Status.INSTALLED:
        return state  # the package file was cleared away after it was installed
    return fail(state, report.description or _describe(report.event))


def on_state(state: TaskState, reported: OtaState) -> TaskState:
    """Follow one ``ota_state``."""
    if state.status is Status.SUCCESS or reported is OtaState.IDLE:
        return state
    return _installed(state) if reported is OtaState.INSTALLED else _progress(state, None)


def on_version(state: TaskState, *, at_target: bool) -> TaskState:
    """Follow a ``package_info``: event 10 and the right version make SUCCESS, in either order.

    Also out of FAILED: early firmware numbers some events differently, and what runs is the proof.
    """
    if not (at_target and state.installed):
        return state
    return replace(state, status=Status.SUCCESS, failure=None)


def cancel(state: TaskState, reason: str) -> TaskState:
    """End a task whose order is taken back; SUCCESS stays.

    From then on only its end counts: late progress does not bring it back to life, a failure's own
    words replace ``reason``, and a device that was quicker makes it the SUCCESS that it is.
    """
    return fail(replace(state, cancelled=True), f"cancelled: {reason}")


def ends_by_cancel(code: int | None, *, told: bool) -> str | None:
    """Say why a task ends now that its device was asked to cancel it; None: the device ends it.

    Args:
        code: the device's answer, 2.04 or 4.04; None: it is offline.
        told: whether it was asked before, and answered.
    """
    if code is None:
        return "the device is offline"
    if code == Code.NOT_FOUND:
        return "the device does not know it"
    return "the device gave it up before and did not report that" if told else None


def fail(state: TaskState, reason: str) -> TaskState:
    """End the task with a reason; SUCCESS stays."""
    if state.status is Status.SUCCESS:
        return state
    return replace(state, status=Status.FAILED, failure=reason)


def keeps_line(previous: float | None, percent: float | None, lines: int) -> bool:
    """Tell whether the event log takes one more line.

    Args:
        previous: percent of the last kept line of the same event, None if there is none.
        percent: what the new report says, None for events without percent.
        lines: how many lines the task has.
    """
    if lines >= EVENT_LINES_LIMIT:
        return False
    if percent is None or previous is None:
        return True
    ends = percent in (0, 1) and percent != previous
    return ends or abs(percent - previous) >= PERCENT_LINE_STEP


def _installed(state: TaskState) -> TaskState:
    # A failed task becomes a success by its version alone, never half-way.
    if state.status is Status.FAILED:
        return state
    return replace(state, status=Status.INSTALLED)


def _progress(state: TaskState, percent: float | None) -> TaskState:
    if state.status is Status.INSTALLED:
        return state  # a late report of a phase that is over
    if state.status is Status.FAILED and state.cancelled:
        return state
    before = None if state.status is Status.FAILED else state.percent
    # Installing counts from 0 again, but a bar that an app shows must not run backwards.
    kept = before if percent is None else max(before or 0.0, percent)
    return replace(state, status=Status.RUNNING, percent=kept, failure=None)


def _describe(event: OtaEvent) -> str:
    return f"event {int(event)}: {event.name.lower().replace('_', ' ')}"
