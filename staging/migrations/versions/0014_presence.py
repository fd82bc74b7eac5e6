"""When devices came on line and went."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

BIG_ID = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Create the table; of before nothing is known."""
    op.create_table(
        "presence",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("device_id", BIG_ID, nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_presence_device", "presence", ["device_id", "ts"])
