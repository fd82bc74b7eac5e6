"""What Alembic runs for every command: revisions against the connection that the caller holds."""

from __future__ import annotations

from alembic import context

from staging.store.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite changes a table by making it anew; elsewhere the same revision is a plain ALTER.
    render_as_batch=True,
    # True of SQLite too, since the store begins its transactions itself.
    transactional_ddl=True,
)
context.run_migrations()
