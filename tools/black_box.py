"""The running total of the proofs with real processes: a table of docs/mutation.md, a row for each run (`make black-box`).

Each proof adds its row at its end, also if it was ended early: what is in the table has been run.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from base.files import write_atomically
from tools.marked_table import TableError, table_of

DOCUMENT = Path(__file__).parents[1] / "docs" / "mutation.md"
BEGIN, END = "<!-- black box: begin -->", "<!-- black box: end -->"
HEAD = (
    "| ended | commit | what | how many | connections cut | kills and full disks | wrong | seconds |\n"
    "|---|---|---|---|---|---|---|---|"
)
REPORTS, UPDATES = "reports", "updates"
_ROW = re.compile(
    r"\| (\d{4}-\d\d-\d\d) \| (\w+) \| ((?:reports|updates)[^|]*) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|"
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one run came to.

    Attributes:
        day: when it ended, as 2026-11-27.
        commit: what was run.
        what: REPORTS or UPDATES, and of which kind.
        count: how many of them.
        cuts: connections that were cut.
        kills: kills, full disks and damaged files.
        wrong: reports or updates that ended as they must not.
        seconds: that it took.
    """

    day: str
    commit: str
    what: str
    count: int
    cuts: int
    kills: int
    wrong: int
    seconds: int

    def __str__(self) -> str:
        """Return it as it stands in the table."""
        return f"| {self.day} | {self.commit} | {self.what} | {_joined(_numbers(self))} |"


def read(document: str) -> list[Row]:
    """Return the rows of the document; raises TableError."""
    rows = []
    for line in _table(document).splitlines()[2:]:
        if line.startswith("| all |"):
            continue
        if (found := _ROW.fullmatch(line)) is None:
            raise TableError(f"docs/mutation.md: no row of a proof: {line}")
        day, commit, what, *numbers = found.groups()
        rows.append(Row(day, commit, what, *(int(number.replace(",", "")) for number in numbers)))
    return rows


def with_row(document: str, row: Row) -> str:
    """Return the document with one row more, and the totals of all; raises TableError."""
    return document.replace(_table(document), render([*read(document), row]))


def render(rows: Sequence[Row]) -> str:
    """Return the table of these rows, with a total of each kind."""
    return "\n".join([HEAD, *map(str, rows), *_totals(rows)])


def add(what: str, count: int, cuts: int, kills: int, wrong: int, seconds: float) -> Row:
    """Write a row of a run that has just ended into docs/mutation.md; return it. Raises TableError, OSError."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    row = Row(day, _commit(), what, count, cuts, kills, wrong, round(seconds))
    write_atomically(DOCUMENT, with_row(DOCUMENT.read_text("utf-8"), row).encode())
    DOCUMENT.chmod(0o644)
    return row


def _totals(rows: Sequence[Row]) -> list[str]:
    lines = []
    for kind in (REPORTS, UPDATES):
        if of := [row for row in rows if row.what.startswith(kind)]:
            sums = [sum(column) for column in zip(*(_numbers(row) for row in of), strict=True)]
            lines.append(f"| all | | {kind} | {_joined(sums)} |")
    return lines


def _numbers(row: Row) -> tuple[int, ...]:
    return row.count, row.cuts, row.kills, row.wrong, row.seconds


def _joined(numbers: Iterable[int]) -> str:
    return " | ".join(f"{number:,}" for number in numbers)


def _table(document: str) -> str:
    return table_of(document, "docs/mutation.md", (BEGIN, END), HEAD)


def _commit() -> str:
    words = ["git", "rev-parse", "--short=8", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
