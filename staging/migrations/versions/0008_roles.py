"""Roles of accounts, what ends their sessions, and the audit log."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

BIG_ID = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

# Who could log in to the console until now is whoever has a password, and so can families on the consent page.
# A family has let an app act for it; an account that no app acts for was made for the console. None becomes an
# operator by itself (docs/accounts.md).
TESTERS = """
    UPDATE accounts SET role = 'tester'
    WHERE password IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM access_tokens WHERE access_tokens.account_id = accounts.id)
"""

TOLD = """
    INSERT INTO audit
        (ts, source, actor, role, app, action, device, subject_id, target, outcome)
    SELECT :now, 'upgrade', '', '', '', 'account.role', '', id, user_name || ' → tester', 'done'
    FROM accounts WHERE role = 'tester'
"""


def upgrade() -> None:
    """Make the columns and the table, and give the accounts of before their roles."""
    op.add_column(
        "accounts", sa.Column("role", sa.String(length=16), server_default="parent", nullable=False)
    )
    op.add_column(
        "accounts", sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.execute(TESTERS)
    op.add_column("batches", sa.Column("made_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "devices", sa.Column("token_time", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.create_index("ix_devices_token_time", "devices", ["token_time"])
    op.create_table(
        "audit",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("app", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=14), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_device", "audit", ["device", "id"])
    op.create_index("ix_audit_subject", "audit", ["subject_id", "id"])
    op.execute(sa.text(TOLD).bindparams(now=int(time.time() * 1000)))
