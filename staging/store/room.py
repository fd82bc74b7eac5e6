"""How much room the store takes on its disk."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from staging.store.engine import SQLITE


def used(session: Session) -> int:
    """Return the bytes of the whole database, with pages that are free to be used again."""
    connection = session.connection()
    if connection.dialect.name == SQLITE:
        pages = connection.scalar(text("PRAGMA page_count"))
        return int(pages or 0) * int(connection.scalar(text("PRAGMA page_size")) or 0)
    return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
