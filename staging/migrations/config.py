"""Alembic's configuration: it runs on the caller's connection, in the caller's transaction."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Connection


def alembic_config(connection: Connection) -> Config:
    """Return the configuration to run an Alembic command on ``connection``."""
    config = Config()
    # Alembic expands % in its settings.
    folder = str(Path(__file__).parent).replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.attributes["connection"] = connection
    return config
