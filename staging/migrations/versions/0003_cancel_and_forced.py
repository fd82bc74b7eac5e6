"""Columns for cancelled tasks, and for strategies whose updates restart devices at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the two columns; no existing row is cancelled or forced."""
    cancel = sa.Column("cancel", sa.String(length=16), nullable=False, server_default="")
    op.add_column("ota_tasks", cancel)
    forced: sa.Column[bool] = sa.Column(
        "forced", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("strategies", forced)
