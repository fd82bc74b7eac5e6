"""When a device's profile was handed out for flashing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; which devices of before were flashed is not known."""
    op.add_column("devices", sa.Column("issue_time", sa.BigInteger(), nullable=True))
