"""Columns for the whole open API: passwords, scopes, redirect URIs, verification, history kinds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# SQLite assigns row ids only for a column of type INTEGER.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# The redirect URI of every app before apps could register their own.
DOCUMENT_REDIRECT = "http://iam.iot.baidu.com/v1/iam/oauth/receive_implicit_token/"


def upgrade() -> None:
    """Add the columns and indexes; the defaults keep the meaning of existing rows."""
    _add("products", "type", sa.String(length=16), "WIFI")
    _add("products", "series_name", sa.String(length=255), "故事机")
    _add("apps", "scopes", sa.JSON(), '["allScope"]')
    _add("apps", "redirect_uris", sa.JSON(), "[]")
    apps = sa.table("apps", sa.column("redirect_uris", sa.JSON()))
    op.execute(apps.update().values(redirect_uris=[DOCUMENT_REDIRECT]))
    _add("access_tokens", "scope", sa.String(length=255), "allScope")
    op.add_column("accounts", sa.Column("password", sa.String(length=255), nullable=True))
    with op.batch_alter_table("ota_tasks") as table:
        table.alter_column("strategy_id", existing_type=ID, nullable=True)
    op.create_index("ix_reports_kind", "reports", ["device_id", "kind", "ts"])
    op.create_index("ix_reports_key_kind", "reports", ["device_id", "key", "kind", "ts"])


def _add(table: str, name: str, kind: sa.types.TypeEngine[Any], default: str) -> None:
    column = sa.Column(name, kind, nullable=False, server_default=default)
    op.add_column(table, column)
