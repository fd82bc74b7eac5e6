"""The schema's revisions and what Alembic needs to run them (docs/staging.md, "The schema")."""
