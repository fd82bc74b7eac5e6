"""History entries for the values that the cloud read from devices or set on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from staging.store import history
from staging.store.history import HistoryPoint
from staging.store.models import KIND_RESOURCE, Device, Product
from wire.datapoints import parse_description, parse_value
from wire.errors import WireError


@dataclass(frozen=True, slots=True)
class Controlled:
    """A value: its device and resource, its text, and its time (ms)."""

    device_id: int
    uri: str
    text: str
    time: int


def append(session: Session, values: Sequence[Controlled]) -> None:
    """Add values to their devices' histories; skips devices that no longer exist."""
    for value in values:
        device = session.get(Device, value.device_id)
        if device is not None:
            key, typed = _point(_resources(session, device), value)
            history.append(session, device, [HistoryPoint(key, typed, KIND_RESOURCE)], value.time)


def _resources(session: Session, device: Device) -> Iterable[Mapping[str, Any]]:
    description = device.description or session.get_one(Product, device.product_id).data_points
    resources: list[Mapping[str, Any]] = description["resources"]
    return resources


def _point(resources: Iterable[Mapping[str, Any]], value: Controlled) -> tuple[str, object]:
    """Return the data point's name and the value, converted to its type if that is possible."""
    for entry in resources:
        if entry.get("uri") == value.uri:
            try:
                return str(entry["name"]), parse_value(parse_description(entry), value.text)
            except WireError:
                return str(entry["name"]), value.text
    return value.uri.strip("/"), value.text
