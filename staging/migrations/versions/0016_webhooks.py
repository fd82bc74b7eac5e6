"""Webhooks that are switched off, and when a message was tried last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the columns; those of before are on, and nothing is known of their tries."""
    op.add_column(
        "webhooks", sa.Column("is_on", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.add_column("deliveries", sa.Column("try_time", sa.BigInteger(), nullable=True))
