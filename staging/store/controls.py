"""History entries for the values that the cloud read from devices or set on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from staging.store import devices, history
from staging.store.history import HistoryPoint
from staging.store.models import KIND_RESOURCE, Device
from wire.datapoints import parse_description, parse_value
from wire.errors import WireError


@dataclass(frozen=True, slots=True)
class Controlled:
    """A value: its device and data point, its text, and its time (ms)."""

    device_id: int
    name: str
    text: str
    time: int


def append(session: Session, values: Sequence[Controlled]) -> None:
    """Add values to their devices' histories; skips devices that no longer exist, and families that have gone."""
    for value in values:
        device = session.get(Device, value.device_id)
        if device is not None and value.time > device.family_since:
            typed = _typed(devices.points_of(session, device)["resources"], value)
            point = HistoryPoint(value.name, typed, KIND_RESOURCE)
            history.append(session, device, [point], value.time)


def _typed(resources: Iterable[Mapping[str, Any]], value: Controlled) -> object:
    """Return the value, converted to its data point's type if that is possible."""
    for entry in resources:
        if entry.get("name") == value.name:
            try:
                return parse_value(parse_description(entry), value.text)
            except WireError:
                return value.text
    return value.text
