"""The tables of what operators do with many devices (tags), and of what is known of all of them. `models` has the others, and says how they are written."""

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


class HealthPart(Base):
    """How the devices of a version and a batch did in five minutes; `staging.store.health` writes and reads it."""

    __tablename__ = "health"

    # The beginning of the five minutes, ms.
    start: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    os_version_id: Mapped[int] = mapped_column(ForeignKey("os_versions.id"), primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    # Time that its devices were connected, and that they would have been if all had been always, ms.
    connected: Mapped[int] = mapped_column(default=0)
    expected: Mapped[int] = mapped_column(default=0)
    starts: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0)
    plays: Mapped[int] = mapped_column(default=0)
    failed_plays: Mapped[int] = mapped_column(default=0)
    # Presses of the button that were answered, and how long that took together, ms.
    presses: Mapped[int] = mapped_column(default=0)
    press_time: Mapped[int] = mapped_column(default=0)
    update_bytes: Mapped[int] = mapped_column(default=0)
    # Times of listening, those with a fault of the microphone, and those of which nothing arrived.
    listened: Mapped[int] = mapped_column(default=0, server_default="0")
    mic_faults: Mapped[int] = mapped_column(default=0, server_default="0")
    unsent: Mapped[int] = mapped_column(default=0, server_default="0")
    # Spoken sentences that were recognised here, and those without a command in them.
    sentences: Mapped[int] = mapped_column(default=0, server_default="0")
    not_understood: Mapped[int] = mapped_column(default=0, server_default="0")


class FleetSample(Base):
    """What the fleet was like at one minute."""

    __tablename__ = "fleet_samples"

    ts: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    devices: Mapped[int]
    online: Mapped[int]
    updating: Mapped[int]


class Twin(Base):
    """A device that is two machines; `staging.store.twins` writes and forgets it."""

    __tablename__ = "twins"

    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    # Of the last sign, ms.
    sign_time: Mapped[int]
