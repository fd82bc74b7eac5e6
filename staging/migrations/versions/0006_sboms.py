"""Lists of parts (SBOM): of which parts each release is, and which list each device runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

BIG_ID = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Create the tables and columns; of devices and packages of before nothing is known."""
    op.create_table(
        "sboms",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_table(
        "sbom_parts",
        sa.Column("sbom_id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("bundled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["sbom_id"], ["sboms.id"]),
        sa.PrimaryKeyConstraint("sbom_id", "name", "version"),
    )
    op.create_index("ix_sbom_parts_name", "sbom_parts", ["name"])
    op.add_column("devices", sa.Column("sbom", sa.String(length=64), nullable=True))
    op.add_column("devices", sa.Column("base_sbom", sa.String(length=64), nullable=True))
    op.add_column("packages", sa.Column("sbom", sa.String(length=64), nullable=True))
