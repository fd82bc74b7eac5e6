"""What became of a sentence, in one word."""

from __future__ import annotations

import pytest

from staging.errors import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRejectedError,
    DeviceSilentError,
    StagingError,
)
from staging.recognition.actions import ActionError, Step
from staging.recognition.kinds import Kind, kind_of_answer, kind_of_failure
from staging.recognition.titles import NoTitleError
from wire.errors import WireError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoTitleError("none"), "not_found"), (DeviceOfflineError("away"), "device_offline"),
        (DeviceSilentError("silent"), "device_offline"), (DeviceRejectedError("reset"), "refused_by_device"),
        (ActionError("no such point"), "not_supported"), (WireError("too long"), "not_supported"),
        (DeviceBusyError("busy"), "failed"), (StagingError("disk"), "failed"), (OSError("disk"), "failed"),
    ],
)  # fmt: skip
def test_of_a_failure(error: Exception, kind: str) -> None:
    assert kind_of_failure(error).value == kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [("2.04", Kind.DONE), ("2.05", Kind.DONE), ("4.00", Kind.REFUSED_BY_DEVICE), ("5.03", Kind.REFUSED_BY_DEVICE),
     ("4.04", Kind.NOT_SUPPORTED), ("4.05", Kind.NOT_SUPPORTED)],
)  # fmt: skip
def test_of_an_answer(code: str, kind: Kind) -> None:
    assert kind_of_answer(Step("PUT", "play", "停止", code, "")) is kind
