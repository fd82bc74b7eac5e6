"""How Alembic is called: on a connection that its caller has opened, and which ends its transaction."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Connection


def alembic_config(connection: Connection) -> Config:
    """Return the configuration of one call of an Alembic command."""
    config = Config()
    # Alembic expands % in its settings.
    folder = str(Path(__file__).parent).replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.attributes["connection"] = connection
    return config
