"""The tables of alarms and of those who are told of them. `models` says how tables are written."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, true
from sqlalchemy.orm import Mapped, mapped_column

from staging.store.models import Base, BigId


class Alarm(Base):
    """Something that is wrong with a device or a version, or was."""

    __tablename__ = "alarms"
    __table_args__ = (Index("ix_alarms_end", "end_time", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    # A value of `staging.alarm_rules.Kind`.
    kind: Mapped[str] = mapped_column(String(16))
    # A device's uuid, or a product's name and version.
    subject: Mapped[str]
    device_id: Mapped[int | None] = mapped_column(ForeignKey("devices.id"))
    # What is wrong, in figures: {"minutes": 90}.
    detail: Mapped[dict[str, Any]]
    open_time: Mapped[int]
    # Since when it is not so any more; None: it is so.
    clear_time: Mapped[int | None]
    ack_time: Mapped[int | None]
    ack_by: Mapped[str] = mapped_column(default="", server_default="")
    end_time: Mapped[int | None]


class AlarmSetting(Base):
    """A setting of the alarms that is not as it is by default."""

    __tablename__ = "alarm_settings"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int]


class Webhook(Base):
    """Somebody who is told of alarms by HTTPS."""

    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    # With it each message is signed; shown once, when it is made.
    secret: Mapped[str] = mapped_column(String(64))
    create_time: Mapped[int]
    # False: it is told nothing, until it is switched on again.
    is_on: Mapped[bool] = mapped_column(default=True, server_default=true())


class Delivery(Base):
    """One message to one webhook; it goes a week after it was made."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("ix_deliveries_next", "state", "next_time"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    webhook_id: Mapped[int] = mapped_column(
        ForeignKey("webhooks.id", ondelete="CASCADE"), index=True
    )
    body: Mapped[str] = mapped_column(Text)
    # WAITING, DONE or GIVEN_UP.
    state: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int] = mapped_column(default=0)
    next_time: Mapped[int]
    create_time: Mapped[int]
    problem: Mapped[str] = mapped_column(Text, default="")
    # When it was tried last; None: not yet.
    try_time: Mapped[int | None]
