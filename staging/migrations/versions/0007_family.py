"""Whose machine it is: renewed bind tokens, the ledger of the child's voice, orders to erase."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG_ID = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Add columns and tables; what is stored stays the present family's, and its ledger begins now."""
    op.add_column("devices", sa.Column("next_bind_token", sa.String(length=255), nullable=True))
    op.add_column("devices", sa.Column("renews", sa.Boolean(), nullable=True))
    barred = sa.Column("barred", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("devices", barred)
    since = sa.Column("family_since", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("devices", since)
    op.add_column("devices", sa.Column("cut_utterance", sa.BigInteger(), nullable=True))
    proven: sa.Column[bool] = sa.Column(
        "proven", sa.Boolean(), nullable=False, server_default=sa.true()
    )
    op.add_column("bindings", proven)
    _add_ledger()
    _add_erasures()


def _add_ledger() -> None:
    op.create_table(
        "voice_ledger",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("device_id", BIG_ID, nullable=False),
        sa.Column("utterance", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("segments", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(length=32), nullable=True),
        sa.Column("result", sa.String(length=32), nullable=True),
        sa.Column("erase_time", sa.BigInteger(), nullable=True),
        sa.Column("erased_by", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_voice_ledger_start", "voice_ledger", ["device_id", "start"])


def _add_erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("receipt", sa.String(length=32), nullable=False),
        sa.Column("device_id", BIG_ID, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.JSON(), nullable=False),
        sa.Column("utterances", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("order_time", sa.BigInteger(), nullable=False),
        sa.Column("done_time", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"]),
        sa.PrimaryKeyConstraint("receipt"),
    )
    op.create_index("ix_erasures_device_id", "erasures", ["device_id"])
    op.create_index("ix_erasures_done_time", "erasures", ["done_time"])
