"""The day until which what a device runs is supported, as it reports it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; of devices of before nothing is known until their next start."""
    op.add_column("devices", sa.Column("support_end", sa.String(length=10), nullable=True))
