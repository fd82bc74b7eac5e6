"""The running total of simulated days: a table of docs/simulation.md, a row for each night. Pure.

Days of different commits are different days: a row says which commit was run, with which seeds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tools.marked_table import TableError, table_of

BEGIN, END = "<!-- nights: begin -->", "<!-- nights: end -->"
HEAD = (
    "| begun | commit | seeds | of hours | agent-days | failed | CPU a day |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)
_ROW = re.compile(
    r"\| (\d{4}-\d\d-\d\d) \| (\w+) \| (\d+) to (\d+) \| ([\d.]+) \| [\d.,]+ \| ([\d, ]*) \| ([\d.]+) s \|"
)


@dataclass(frozen=True, slots=True)
class Night:
    """What one run of seeds came to.

    Attributes:
        day: when it began, as 2026-11-27.
        commit: what was run.
        first, last: its seeds, all of them run.
        hours: that each seed simulates.
        failed: the seeds that broke an invariant.
        cpu: seconds of processor time, in all.
    """

    day: str
    commit: str
    first: int
    last: int
    hours: float
    failed: tuple[int, ...]
    cpu: float

    @property
    def days(self) -> float:
        """The agent-days."""
        return (self.last - self.first + 1) * self.hours / 24

    def __str__(self) -> str:
        """Return its row."""
        failed = ", ".join(map(str, self.failed)) or "0"
        return (
            f"| {self.day} | {self.commit} | {self.first} to {self.last} | {self.hours:g} | {self.days:,.1f}"
            f" | {failed} | {self.cpu / self.days:.2f} s |"
        )


def read(document: str) -> list[Night]:
    """Return the nights of the document; raises TableError."""
    nights = []
    for line in _table(document).splitlines()[2:]:
        found = _ROW.fullmatch(line)
        if found is None and line.startswith("| all |"):
            continue
        if found is None:
            raise TableError(f"docs/simulation.md: no row of a night: {line}")
        day, commit, first, last, hours, failed, cpu = found.groups()
        seeds = tuple(int(seed) for seed in failed.split(", ") if seed != "0")
        bare = Night(day, commit, int(first), int(last), float(hours), seeds, 0.0)
        nights.append(
            Night(day, commit, bare.first, bare.last, bare.hours, seeds, float(cpu) * bare.days)
        )
    return nights


def with_night(document: str, night: Night) -> str:
    """Return the document with one night more, and the total of all; raises TableError."""
    table = _table(document)
    return document.replace(table, render([*read(document), night]))


def render(nights: Sequence[Night]) -> str:
    """Return the table of these nights."""
    days, failed = sum(night.days for night in nights), sum(len(night.failed) for night in nights)
    cpu = sum(night.cpu for night in nights)
    total = f"| all | | | | {days:,.1f} | {failed} | {cpu / days:.2f} s |" if nights else ""
    return "\n".join([HEAD, *map(str, nights), *([total] if total else [])])


def next_seed(nights: Sequence[Night], hours: float) -> int:
    """Return the first seed that no night of so many hours has run."""
    return max((night.last for night in nights if night.hours == hours), default=0) + 1


def _table(document: str) -> str:
    return table_of(document, "docs/simulation.md", (BEGIN, END), HEAD)
