"""Formats an outcome as one line, for the log and the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summary(outcome: Mapping[str, Any]) -> str:
    """Format an outcome as one line: the text, the requests with their answers, and the error."""
    parts = [f"{outcome['source']} {outcome['text'] or '-'}"]
    intent = outcome["intent"]
    if intent:
        parts.append(" ".join([intent["action"], str(intent.get("title", ""))]).rstrip())
    parts += [
        f"{step['method']} {step['name']} {step['content']}".rstrip()
        + f" -> {step['code']} {step['answer']}".rstrip()
        for step in outcome["steps"]
    ]
    if outcome["error"]:
        parts.append(f"{outcome['kind']}: {outcome['error']}")
    if outcome["nearest"]:
        parts.append(f"nearest: {', '.join(outcome['nearest'])}")
    return "; ".join(parts)
