"""What the list of devices sorts, filters and groups by: tags, values, the order of versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from wire.errors import FieldError
from wire.ota import version_key

revision = "0011"
down_revision = "0010"

BIG_ID = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

# The newest value that the present family's machine reported, if it is a number of at most three digits.
NEWEST = """
    UPDATE devices SET {column} = (
        SELECT {number} FROM reports
        WHERE reports.device_id = devices.id AND reports.key = '{key}' AND reports.kind = 'REPORT'
            AND reports.ts > devices.family_since
        ORDER BY reports.ts DESC LIMIT 1
    )
"""
NUMBERS = {
    "sqlite": "CASE WHEN length(value) <= 3 AND value NOT GLOB '*[^0-9]*' THEN CAST(value AS INTEGER) END",
    "postgresql": "CASE WHEN value::text ~ '^[0-9]{1,3}$' THEN (value::text)::bigint END",
}


def upgrade() -> None:
    """Create tables, columns and indexes, and fill the columns from what is stored."""
    op.create_table(
        "tags",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("folded", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("folded"),
    )
    op.create_table(
        "device_tags",
        sa.Column("device_id", BIG_ID, nullable=False),
        sa.Column("tag_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"]),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.id"]),
        sa.PrimaryKeyConstraint("device_id", "tag_id"),
    )
    op.create_index("ix_device_tags_tag_id", "device_tags", ["tag_id"])
    op.add_column(
        "os_versions", sa.Column("place", sa.String(length=255), server_default="", nullable=False)
    )
    op.add_column("devices", sa.Column("battery", sa.BigInteger(), nullable=True))
    op.add_column("devices", sa.Column("volume", sa.BigInteger(), nullable=True))
    _fill()
    op.create_index(
        "ix_devices_list",
        "devices",
        [
            "product_id", "batch_id", "os_version_id", "version", "status", "battery", "volume",
            "uuid", "name", "create_time", "id",
        ],
    )  # fmt: skip
    op.create_index("ix_ota_tasks_status", "ota_tasks", ["status", "device_id"])


def _fill() -> None:
    bind = op.get_bind()
    versions = bind.execute(sa.text("SELECT id, version FROM os_versions")).all()
    for number, version in versions:
        values = {"id": number, "place": _place(version)}
        bind.execute(sa.text("UPDATE os_versions SET place = :place WHERE id = :id"), values)
    number = NUMBERS[bind.dialect.name]
    for column, key in (("battery", "power"), ("volume", "volume")):
        bind.exec_driver_sql(NEWEST.format(column=column, key=key, number=number))


def _place(version: str) -> str:
    try:
        return ".".join(f"{part:010}" for part in version_key(version))
    except FieldError:
        return ""
