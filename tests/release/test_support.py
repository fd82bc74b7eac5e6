"""The day of the support's end, as whoever builds sets it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from release.errors import ReleaseToolError
from release.support import FILE, check_day, is_short, read_day, with_day
from wire.errors import FieldError
from wire.support import SUPPORT_END

ROOT = Path(__file__).parents[2]
MADE = int(datetime(2026, 11, 27, 9, tzinfo=UTC).timestamp())


def test_the_tree_names_its_day_in_one_line() -> None:
    assert read_day(ROOT) == SUPPORT_END


def test_a_build_has_the_day_that_was_set_and_is_else_the_same() -> None:
    text = with_day(ROOT, "2039-06-30")
    assert text == (ROOT / FILE).read_text("utf-8").replace(f'"{SUPPORT_END}"', '"2039-06-30"')
    names: dict[str, object] = {}
    exec(text, names)  # the module that a machine imports
    assert names["SUPPORT_END"] == "2039-06-30"


@pytest.mark.parametrize(
    "text", ["", 'SUPPORT_END = "2031-12-31"\n', 2 * 'SUPPORT_END: Final = "2031-12-31"\n']
)
def test_a_tree_whose_day_cannot_be_set_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "wire").mkdir()
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ReleaseToolError, match=r"wire/support\.py: [02] lines SUPPORT_END"):
        with_day(tmp_path, "2039-06-30")


@pytest.mark.parametrize("day", ["soon", "2039-13-01", "2026-11-26", "1999-01-01"])
def test_a_day_that_no_build_can_promise(day: str) -> None:
    with pytest.raises(FieldError, match=f"^SUPPORT_END: got .?{day}.*expected a day"):
        check_day(day, MADE)


@pytest.mark.parametrize(
    ("day", "short"), [("2031-11-26", True), ("2031-11-27", False), ("2026-11-27", True), ("2032-01-01", False)]
)  # fmt: skip
def test_less_than_five_years_is_short(day: str, short: bool) -> None:  # noqa: FBT001  # a table's column
    assert check_day(day, MADE) == day
    assert is_short(day, MADE) is short
