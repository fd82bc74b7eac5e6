"""The progress of blocking work: reported at its begin, at its end, and when it has moved."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from ota.install.installer import Progress
from ota.order.percent import Percent
from ota.order.reports import UpdateReports
from ota.order.worker import Interruptible
from wire.ota import OtaEvent
from wire.reports import KEY_OTA_EVENT


async def test_what_moved_is_reported_and_what_stands_still_is_not() -> None:
    seen: list[object] = []
    half = threading.Event()

    async def take(key: str, value: Mapping[str, object], *, once: str | None = None) -> None:
        assert key == KEY_OTA_EVENT
        assert (once is None) is (value["percent"] == 0.5)
        seen.append(value["percent"])
        if value["percent"] == 0.5:
            half.set()

    def work(_stop: threading.Event, progress: Progress) -> str:
        progress(1, 2)
        assert half.wait(60)
        progress(2, 2)
        return "done"

    percent = Percent(interval=0.001)
    reports = UpdateReports(take, "7")
    ran = percent.report_during(Interruptible(), reports, OtaEvent.DOWNLOADING, work)
    assert await ran == "done"
    assert seen == [0.0, 0.5, 1.0]
    assert percent.part == 1.0


async def test_work_that_fails_is_never_reported_as_whole() -> None:
    seen: list[object] = []

    async def take(key: str, value: Mapping[str, object], *, once: str | None = None) -> None:
        assert key == KEY_OTA_EVENT
        assert once
        seen.append(value["percent"])

    def work(_stop: threading.Event, _progress: Progress) -> None:
        raise OSError(28, "No space left on device")

    ran = Percent(interval=60).report_during(
        Interruptible(), UpdateReports(take, "7"), OtaEvent.DOWNLOADING, work
    )
    with pytest.raises(OSError, match="No space"):
        await ran
    assert seen == [0.0]
