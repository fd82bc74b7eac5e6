"""The schema's revisions and Alembic's environment (docs/staging.md, "The schema")."""
