"""How devices do by version and batch, and what the fleet was like at each minute."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

BIG_ID = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
COUNTS = (
    "connected", "expected", "starts", "crashes", "plays", "failed_plays", "presses", "press_time", "update_bytes",
)  # fmt: skip


def upgrade() -> None:
    """Create the tables; of before nothing is known."""
    op.create_table(
        "health",
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("os_version_id", BIG_ID, nullable=False),
        sa.Column("batch_id", BIG_ID, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
        sa.ForeignKeyConstraint(["os_version_id"], ["os_versions.id"]),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"]),
        sa.PrimaryKeyConstraint("start", "os_version_id", "batch_id"),
    )
    op.create_table(
        "fleet_samples",
        sa.Column("ts", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("devices", sa.BigInteger(), nullable=False),
        sa.Column("online", sa.BigInteger(), nullable=False),
        sa.Column("updating", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ts"),
    )
