"""The twin's data points, and who it is."""

from __future__ import annotations

from typing import Any

UUID, TOKEN = "0123456789abcd", "a-device-token"
# Of the key that has signed the bench's releases.
ROOT_SEED = bytes(range(32))
POINTS: list[dict[str, Any]] = [
    {"name": "volume", "type": "int", "pattern": {"min": 0, "max": 16, "step": 1}, "method": ["GET", "PUT"]},
    {"name": "tone", "type": "int", "pattern": {"min": 0, "max": 20, "step": 5}, "method": ["GET", "PUT"]},
    {"name": "child_lock", "type": "bool", "method": ["GET", "PUT"]},
    {"name": "play", "type": "string", "pattern": {}, "method": ["GET", "PUT"]},
    {"name": "switch", "type": "bool", "method": ["GET", "PUT"]},
    {"name": "microphone", "type": "bool", "method": ["GET", "PUT"]},
    {"name": "power", "type": "int", "pattern": {"min": 0, "max": 100, "step": 1}, "method": ["GET"]},
]  # fmt: skip
for _point in POINTS:
    _point |= {
        "resourceType": "", "label": "", "description": "", "uri": f"/{_point['name']}",
        "protocol": ["COAP"],
    }  # fmt: skip


class RefusedError(Exception):
    """A value that a data point does not take."""
