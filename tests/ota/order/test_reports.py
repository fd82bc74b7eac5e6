"""The reports of one transaction: what each says, and the key that keeps it from being made twice."""

from __future__ import annotations

from collections.abc import Mapping

from ota.order.reports import UpdateReports
from wire.ota import OtaEvent, OtaState

Taken = list[tuple[str, Mapping[str, object], str | None]]


def reports() -> tuple[UpdateReports, Taken]:
    """Return the reports of transaction 7, and the list that they arrive in."""
    taken: Taken = []

    async def take(key: str, value: Mapping[str, object], *, once: str | None = None) -> None:
        taken.append((key, value, once))

    return UpdateReports(take, "7"), taken


async def test_each_step_has_a_key_of_its_own_and_the_end_has_one_for_all() -> None:
    made, taken = reports()
    await made.begin()
    await made.state(OtaState.DOWNLOADING)
    await made.download_complete()
    await made.state(OtaState.INSTALLED)
    await made.final(OtaEvent.INSTALLED, None)
    await made.final(OtaEvent.CHECKSUM_FAIL, "wrong hash")
    assert [once for _key, _value, once in taken] == [
        "7:begin", f"7:state-{int(OtaState.DOWNLOADING)}", "7:downloaded", "7:installed",
        "7:final", "7:final",
    ]  # fmt: skip
    assert {str(value["transaction"]) for _key, value, _once in taken} == {"7"}


async def test_a_percent_may_repeat_but_the_first_and_the_last_do_not() -> None:
    made, taken = reports()
    for part in (0.0, 0.33351, 1.0):
        await made.percent(OtaEvent.DOWNLOADING, part)
    event = int(OtaEvent.DOWNLOADING)
    assert [once for _key, _value, once in taken] == [f"7:{event}-0", None, f"7:{event}-1"]
    assert taken[1][1]["percent"] == 0.333


async def test_a_version_that_logged_nothing_sends_no_log() -> None:
    made, taken = reports()
    await made.log("1.1.0", [])
    assert taken == []
    await made.log("1.1.0", ["a", "b"])
    assert taken == [
        ("ota_log", {"transaction": "7", "version": "1.1.0", "lines": ["a", "b"]}, "7:log")
    ]
