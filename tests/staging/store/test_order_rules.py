"""How an update's task ends: by a cancellation, by events and states, by the version that runs."""

from __future__ import annotations

import pytest

from staging.store.order_rules import (
    Status,
    TaskState,
    cancel,
    ends_by_cancel,
    fail,
    on_event,
    on_state,
    on_version,
)
from wire.codes import Code
from wire.ota import OtaEvent, OtaEventReport, OtaState

CANCELLED = "cancelled: the device is offline"


ENDED = cancel(TaskState(Status.RUNNING, 0.3), "the device is offline")


@pytest.mark.parametrize(
    ("code", "answered", "reason"),
    [
        (None, False, "the device is offline"),
        (None, True, "the device is offline"),
        (Code.NOT_FOUND, False, "the device does not know it"),
        (Code.NOT_FOUND, True, "the device does not know it"),
        (Code.CHANGED, False, None),
        (Code.CHANGED, True, "the device gave it up before and did not report that"),
    ],
)
def test_what_an_answer_ends(code: int | None, reason: str | None, *, answered: bool) -> None:
    assert ends_by_cancel(code, answered=answered) == reason


def test_a_cancelled_task_is_failed_and_a_success_stays() -> None:
    assert TaskState(Status.FAILED, 0.3, CANCELLED, cancelled=True) == ENDED
    done = TaskState(Status.SUCCESS, 1.0, installed=True)
    assert cancel(done, "x").status is Status.SUCCESS


@pytest.mark.parametrize("number", list(OtaEvent))
def test_each_event_after_the_end(number: OtaEvent) -> None:
    """Progress changes nothing, a failure has its own text, and event 10 alone is not yet a success."""
    percent = 0.9 if number.has_percent else None
    found = on_event(ENDED, OtaEventReport("1", number, "why", percent), at_target=False)
    assert found.status is Status.FAILED
    progress = number in {0, 4, 5, 7, 10}
    assert found.failure == (CANCELLED if progress else "why")
    assert found.percent == 0.3
    assert found.installed is (number is OtaEvent.INSTALLED)


@pytest.mark.parametrize("reported", list(OtaState))
def test_no_state_brings_it_back(reported: OtaState) -> None:
    assert on_state(ENDED, reported) == ENDED


def test_what_runs_is_the_proof_in_either_order() -> None:
    ten = OtaEventReport("1", OtaEvent.INSTALLED)
    assert on_event(ENDED, ten, at_target=True).status is Status.SUCCESS
    assert on_version(ENDED, at_target=True) == ENDED
    waiting = on_event(ENDED, ten, at_target=False)
    assert on_version(waiting, at_target=True).status is Status.SUCCESS


def test_a_failure_that_was_not_cancelled_still_comes_back_to_life() -> None:
    failed = fail(TaskState(Status.RUNNING), "x")
    assert on_event(failed, OtaEventReport("1", OtaEvent.BEGIN), at_target=False).status is (
        Status.RUNNING
    )


def test_a_task_that_the_device_ends_goes_on_until_then() -> None:
    asked = TaskState(Status.RUNNING, 0.3, cancelled=True)
    report = OtaEventReport("1", OtaEvent.DOWNLOADING, None, 0.5)
    found = on_event(asked, report, at_target=False)
    assert (found.status, found.percent) == (Status.RUNNING, 0.5)
