"""Rollouts: the phases of a strategy, and what its orders must tell of themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

BIG_ID = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

# Orders of a strategy that has ended, which no device has taken, were sent all the same until now.
END_OF_WITHDRAWN = """
    UPDATE ota_tasks SET status = 'FAILED', cancel = 'WANTED',
        failure = 'cancelled: the strategy was withdrawn before the device took it'
    WHERE status = 'CREATED' AND NOT accepted
    AND strategy_id IN (SELECT id FROM strategies WHERE status = 'WITHDRAWN')
"""


def upgrade() -> None:
    """Create the table, the columns and the index; strategies of before have no phases."""
    op.execute(END_OF_WITHDRAWN)
    op.create_table(
        "rollouts",
        sa.Column("strategy_id", BIG_ID, nullable=False),
        sa.Column("phases", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("cuts", sa.JSON(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("phase_time", sa.BigInteger(), nullable=True),
        sa.Column("soaked", sa.BigInteger(), nullable=False),
        sa.Column("look_time", sa.BigInteger(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("retry_time", sa.BigInteger(), nullable=True),
        sa.Column("recall", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["strategy_id"], ["strategies.id"]),
        sa.PrimaryKeyConstraint("strategy_id"),
    )
    op.add_column("ota_tasks", sa.Column("from_version_id", sa.BigInteger(), nullable=True))
    op.add_column("ota_tasks", sa.Column("end_time", sa.BigInteger(), nullable=True))
    op.create_index("ix_ota_tasks_strategy", "ota_tasks", ["strategy_id", "device_id"])
