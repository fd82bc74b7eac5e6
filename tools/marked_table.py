"""A table of a document, between two marks of its own: what programs add rows to. Pure."""

from __future__ import annotations


class TableError(Exception):
    """The document has no such table, or one that cannot be read."""


def table_of(document: str, name: str, marks: tuple[str, str], head: str) -> str:
    """Return the table of ``document`` between its ``marks``, which begins with ``head``; ``name``: the document's, for the error.

    Raises TableError.
    """
    begin, end = marks
    _, begun, rest = document.partition(begin + "\n")
    table, ended, _ = rest.partition("\n" + end)
    if not begun or not ended or not table.startswith(head):
        raise TableError(f"{name}: no table between {begin} and {end}")
    return table
