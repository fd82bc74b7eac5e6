"""Alembic's environment, run for every command: applies revisions on the caller's connection."""

from __future__ import annotations

from alembic import context

from staging.store.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite changes a table by recreating it; on PostgreSQL the same revision is a plain ALTER.
    render_as_batch=True,
    # Holds for SQLite too, because the store begins its transactions itself.
    transactional_ddl=True,
)
context.run_migrations()
