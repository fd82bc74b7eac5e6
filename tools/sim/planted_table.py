"""The planted bugs and how each was found: a table of docs/simulation.md, and a file of the rows that are known so far. Pure.

A row says which commit was looked through: on another one more may happen in the same seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tools.marked_table import TableError, table_of

BEGIN, END = "<!-- planted: begin -->", "<!-- planted: end -->"
HEAD = "| bug | looked for by | found as | commit |\n| --- | --- | --- | --- |"
NOT_FOUND = "**not found**"
# Of what is told of a finding.
HOW_LENGTH = 160
_SEED = re.compile(r"seed (\d+) fails")


@dataclass(frozen=True, slots=True)
class Row:
    """How one bug was looked for.

    Attributes:
        name: the bug's.
        by: what looked for it.
        how: what was found, or that nothing was.
        commit: of the tree that was looked through.
    """

    name: str
    by: str
    how: str
    commit: str

    @property
    def is_found(self) -> bool:
        """Whether the bug was."""
        return not self.how.startswith(NOT_FOUND)

    @property
    def seed(self) -> int | None:
        """The seed that found it, None if none did."""
        found = _SEED.match(self.how)
        return int(found[1]) if found else None

    def __str__(self) -> str:
        """Return the table's line."""
        how = self.how[:HOW_LENGTH].strip().replace("|", "/")
        return f"| {self.name} | {self.by} | {how} | {self.commit} |"


def read(text: str) -> dict[str, Row]:
    """Return the rows of a table by the bugs' names; raises TableError."""
    rows = {}
    for line in text.splitlines():
        words = [word.strip() for word in line.split("|")][1:-1]
        if not line.startswith("|") or line in HEAD:
            continue
        if len(words) != len(Row.__dataclass_fields__):
            raise TableError(f"no row of a planted bug: {line}")
        rows[words[0]] = Row(*words)
    return rows


def render(names: Iterable[str], rows: Mapping[str, Row]) -> str:
    """Return the table of those ``names`` that have a row."""
    return "\n".join([HEAD, *(str(rows[name]) for name in names if name in rows)])


def of_page(document: str) -> str:
    """Return the document's table; raises TableError."""
    return table_of(document, "docs/simulation.md", (BEGIN, END), HEAD)


def with_rows(document: str, names: Iterable[str], rows: Mapping[str, Row]) -> str:
    """Return the document with these rows in the place of its own; raises TableError."""
    table = of_page(document)
    return document.replace(table, render(names, {**read(table), **rows}))
