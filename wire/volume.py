"""The device's answer to a volume beyond its limits: written there, read by the cloud's recognition.

``volume: got 14, expected 0 to 12 now, see volume_limits``. So a wish for "louder" can be carried out as
far as the family allows.
"""

from __future__ import annotations

import re

_REFUSAL = re.compile(r"volume: got -?\d+, expected (\d{1,3}) to (\d{1,3}) now, see \w+")


def refusal(step: int, low: int, high: int, see: str) -> str:
    """Return the answer to ``step``, where ``low`` to ``high`` are allowed by the data point ``see``."""
    return f"volume: got {step}, expected {low} to {high} now, see {see}"


def parse_refusal(text: str) -> tuple[int, int] | None:
    """Return the lowest and the highest volume of such an answer, None if it is another one."""
    found = _REFUSAL.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None
