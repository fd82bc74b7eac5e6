"""The table of the proofs with real processes: a run is a row, and each kind has its total."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import black_box
from tools.black_box import Row, read, render, with_row
from tools.marked_table import TableError

REPORTS = Row("2026-11-27", "83e72de2", "reports, coap", 1_000_000, 11_234, 120, 0, 2_700)
MORE = Row("2026-11-28", "83e72de2", "reports, mqtt", 500, 6, 0, 2, 30)
UPDATES = Row("2026-11-27", "unknown", "updates, from the version before", 33, 0, 64, 1, 900)
EMPTY = f"# Text\n\n{black_box.BEGIN}\n{render([])}\n{black_box.END}\n\nMore.\n"


def test_rows_are_read_as_they_were_written_and_each_kind_has_its_sum() -> None:
    document = EMPTY
    for row in (REPORTS, UPDATES, MORE):
        document = with_row(document, row)
    assert read(document) == [REPORTS, UPDATES, MORE]
    lines = document.splitlines()
    assert (lines[0], lines[-1]) == ("# Text", "More.")
    assert (
        "| 2026-11-27 | 83e72de2 | reports, coap | 1,000,000 | 11,234 | 120 | 0 | 2,700 |" in lines
    )
    assert [line for line in lines if line.startswith("| all")] == [
        "| all | | reports | 1,000,500 | 11,240 | 120 | 2 | 2,730 |",
        "| all | | updates | 33 | 0 | 64 | 1 | 900 |",
    ]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("nothing", "no table between"),
        (EMPTY.replace(black_box.END, ""), "no table between"),
        (EMPTY.replace("| seconds |", "|"), "no table between"),
        (with_row(EMPTY, MORE).replace("500", "some"), "no row of a proof: | 2026-11-28"),
    ],
)
def test_a_table_that_cannot_be_read_is_told(document: str, told: str) -> None:
    with pytest.raises(TableError, match=told.replace("|", r"\|")):
        with_row(document, UPDATES)


def test_a_run_adds_itself_to_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "mutation.md"
    document.write_text(EMPTY)
    monkeypatch.setattr(black_box, "DOCUMENT", document)
    added = black_box.add("updates, slots", 3, 0, 7, 0, 61.6)
    assert (added.count, added.kills, added.seconds) == (3, 7, 62)
    assert read(document.read_text()) == [added]


def test_the_documents_totals_are_those_of_its_rows() -> None:
    document = black_box.DOCUMENT.read_text("utf-8")
    assert f"{black_box.BEGIN}\n{render(read(document))}\n{black_box.END}\n" in document
