"""How machines listen, by version and batch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

COUNTS = ("listened", "mic_faults", "unsent", "sentences", "not_understood")


def upgrade() -> None:
    """Add the columns; of before nothing was counted."""
    for name in COUNTS:
        op.add_column(
            "health", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
        )
