"""From which addresses accounts have logged in, and which web pages may call the API for an app."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

BIG_ID = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Create the table and the column; of before nothing is known, and no page may."""
    op.create_table(
        "known_addresses",
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("use_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.PrimaryKeyConstraint("account_id", "digest"),
    )
    op.add_column("apps", sa.Column("web_origins", sa.JSON(), server_default="[]", nullable=False))
