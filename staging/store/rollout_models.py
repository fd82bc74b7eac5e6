"""The table of rollouts. `models` has the others, and says how they are written."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from staging.store.models import Base


class Rollout(Base):
    """How a strategy reaches its devices a part at a time (`staging.store.rollouts`).

    A strategy without a row, or with no phases in it, is for all of its devices at once.
    """

    __tablename__ = "rollouts"

    strategy_id: Mapped[int] = mapped_column(ForeignKey("strategies.id"), primary_key=True)
    # As `staging.rollouts.phases` writes them, and as `staging.rollouts.settings` names them.
    phases: Mapped[list[str]]
    settings: Mapped[dict[str, Any]]
    # One for each open phase (`phases.cut_of`).
    cuts: Mapped[list[int]] = mapped_column(default=list)
    # Grows with each change of phase or state: of two processes that saw the same step, one changes it.
    step: Mapped[int] = mapped_column(default=0)
    # When the present phase opened, for how many ms it was watched since, and when it was looked at last.
    phase_time: Mapped[int | None]
    soaked: Mapped[int] = mapped_column(default=0)
    look_time: Mapped[int | None]
    # Orders from before this time (ms) are no evidence: somebody has resumed it in spite of them.
    since: Mapped[int] = mapped_column(default=0)
    # Devices that failed before this time (ms) may get one more order.
    retry_time: Mapped[int | None]
    # It was withdrawn, and what runs is cancelled.
    recall: Mapped[bool] = mapped_column(default=False)
    # Why the cloud halted it, with the numbers of that moment; {}: it has not.
    reason: Mapped[dict[str, Any]] = mapped_column(default=dict)
