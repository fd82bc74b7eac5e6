"""Devices as CSV, for console and command line: the columns of the list, as its viewer sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from staging import spreadsheets
from staging.times import iso_or_none

COLUMNS = (
    "uuid", "name", "presence", "product", "batch", "version", "supportEnd", "battery", "volume", "lastHeartbeat",
    "standing", "tags", "update", "updateVersion", "updateTime", "added",
)  # fmt: skip
HEAD = spreadsheets.head(COLUMNS)


def presence(status: str, *, online: bool) -> str:
    """Return a device's presence, as the list's filter calls it."""
    if online:
        return "online"
    return "never" if status == "UNACTIVATED" else "offline"


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return lines of CSV of devices as `staging.console.shapes.device` renders them."""
    return spreadsheets.lines(map(_cells, rows))


def _cells(row: Mapping[str, Any]) -> list[object]:
    update = row["update"] or {"status": "", "version": "", "updateTime": None}
    values = [row[name]["value"] if row[name] else "" for name in ("battery", "volume")]
    return [
        row["uuid"], row["name"], presence(row["status"], online=row["online"]), row["product"],
        row["batch"], row["osVersion"], row["supportEnd"] or "", *values,
        iso_or_none(row["lastHeartbeat"]) or "", row["standing"], ", ".join(row["tags"]),
        update["status"], update["version"] or "", iso_or_none(update["updateTime"]) or "",
        iso_or_none(row["added"]) or "",
    ]  # fmt: skip
