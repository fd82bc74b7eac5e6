"""Times as the open API writes and reads them."""

from __future__ import annotations

import pytest

from staging.times import iso, iso_or_none, log_time, parse_iso
from wire.errors import FieldError

MS = 1_496_803_590_999


def test_a_time_is_written_in_whole_seconds_utc() -> None:
    assert iso(MS) == "2017-06-07T02:46:30Z"
    assert log_time(MS) == "2017-06-07 02:46:30"
    assert iso_or_none(None) is None
    assert iso_or_none(0) == "1970-01-01T00:00:00Z"


def test_what_is_written_can_be_read() -> None:
    assert parse_iso(iso(MS), "startTime") == MS // 1000 * 1000


@pytest.mark.parametrize("text", ["", "2017-06-07", "2017-06-07T02:46:30", "2017-13-07T02:46:30Z"])
def test_another_form_is_refused_by_its_fields_name(text: str) -> None:
    with pytest.raises(FieldError, match=r"^startTime: got "):
        parse_iso(text, "startTime")
