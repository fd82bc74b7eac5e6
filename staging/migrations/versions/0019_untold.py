"""Cancellations that devices have not answered are found without looking at all orders."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_ota_tasks_cancel", "ota_tasks", ["cancel", "update_time"])
