"""Formats an outcome as one line: for the commands, and, without what was said, for the log."""

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


def without_words(outcome: Mapping[str, Any]) -> str:
    """Format an outcome for the log, which nobody can erase: what became of it, and nothing that was said.

    A data point's name and the device's code say enough for a tester; the words are in the console.
    """
    number = outcome["utterance"]
    parts = [outcome["source"] + (f" utterance {number}" if number is not None else "")]
    parts += [f"{step['method']} {step['name']} -> {step['code']}" for step in outcome["steps"]]
    return "; ".join([*parts, str(outcome["kind"])])
