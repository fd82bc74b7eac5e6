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
    assert parse_iso(iso(MS), "startTime") == (MS // 1000 * 1000, True)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2017-06-07T02:46:30.999Z", (MS, False)),
        ("2017-06-07T02:46:30.9Z", (MS - 99, False)),
        ("2017-06-07T02:46:30.999999z", (MS, False)),
        ("2017-06-07T10:46:30+08:00", (MS - 999, True)),
        ("2017-06-07T10:46:30 08:00", (MS - 999, True)),  # a plus that was not encoded
        ("2017-06-06T21:16:30.999-0530", (MS, False)),
        ("2017-06-07T10:46:30+08", (MS - 999, True)),
        ("1969-12-31T23:59:59.500Z", (-500, False)),
    ],
)
def test_times_as_programs_write_them(text: str, read: tuple[int, bool]) -> None:
    assert parse_iso(text, "startTime") == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2017-06-07",
        "2017-06-07T02:46:30",
        "2017-13-07T02:46:30Z",
        "2017-06-07T24:00:00Z",
        "2017-06-07T02:46:30.Z",
        "2017-06-07T02:46:30+24:00",
        "2017-06-07T02:46:30+08:60",
        "2017-06-07T02:46:30+8",
        "0000-01-01T00:00:00Z",
        "\uff12017-06-07T02:46:30Z",
        "1496803590",
        "2017-06-07T02:46:30Z\n",
    ],
)
def test_another_form_is_refused_by_its_fields_name(text: str) -> None:
    with pytest.raises(FieldError, match=r"^startTime: got "):
        parse_iso(text, "startTime")
