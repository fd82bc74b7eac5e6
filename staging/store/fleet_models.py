"""The tables of what operators do with many devices: tags. `models` has the others, and says how they are written."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from staging.store.models import Base, BigId


class Tag(Base):
    """A word that operators and testers put on devices; it is there as long as a device has it."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    # As it was written first, and the form by which it is known (`wire.text.fold`).
    name: Mapped[str]
    folded: Mapped[str] = mapped_column(String(255), unique=True)


class DeviceTag(Base):
    """A device has a tag."""

    __tablename__ = "device_tags"

    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id"), primary_key=True, index=True)
