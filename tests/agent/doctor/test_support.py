"""The doctor's check of the support's end."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from agent.doctor.findings import Level
from agent.doctor.support import check_support, judge
from tests.agent.doctor.doctor_parts import is_complete, make_patient, told

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SOON_DAYS = 180

END = date(2031, 12, 31)


@pytest.mark.parametrize(
    ("left", "level", "says"),
    [
        (SOON_DAYS, Level.GOOD, "supported until 2031-12-31"),
        (SOON_DAYS - 1, Level.HINT, "supported until 2031-12-31, 179 days more"),
        (0, Level.HINT, "supported until 2031-12-31, 0 days more"),  # the day itself counts
        (-1, Level.HINT, "support ended on 2031-12-31: faults in its security are mended no more"),
    ],
)
def test_the_end_is_told_before_and_after(left: int, level: Level, says: str) -> None:
    finding = judge(END, END - timedelta(days=left))
    assert told(finding) == (level, says)
    assert is_complete(finding)


def test_the_makers_day_comes_before_the_releases(tmp_path: Path) -> None:
    own = check_support(make_patient(tmp_path))
    assert own.check == "support"
    longer = check_support(make_patient(tmp_path, '[ota]\nsupport_end = "2099-06-30"\n'))
    assert told(longer) == (Level.GOOD, "supported until 2099-06-30")


def test_a_clock_of_1970_does_not_prolong_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 5.0)
    over = make_patient(
        tmp_path, '[ota]\nsupport_end = "2026-11-01"\n'
    )  # before the code was written
    assert told(check_support(over))[1].startswith("support ended on 2026-11-01")
