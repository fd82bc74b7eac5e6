"""The ledger of the child's voice as people read it, on the device page and by ``story-agent voice``; no I/O."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from agent.local.page import texts
from agent.voice.ledger_book import NOWHERE, Erased
from agent.words import Words
from agent.words.causes import explain


def build_ledger(shown: Mapping[str, object], language: str) -> dict[str, object]:
    """Return ``entries``, newest first: number, time, texts in ``language``, and whether there is anything to erase."""
    entries = shown["entries"]
    listed: Sequence[Mapping[str, Any]] = entries if isinstance(entries, list) else []
    days = shown["days"]
    fault = shown.get("fault")
    return {
        "entries": [_entry(entry, days, language) for entry in listed],
        "waiting": sum(entry["erased"] == Erased.WAITING for entry in listed),
        "fault": explain(str(fault)).of(language) if fault else None,
    }


def _entry(entry: Mapping[str, Any], days: object, language: str) -> dict[str, object]:
    why = texts.WHY.get(entry["why"], Words(entry["why"], entry["why"]))
    went = texts.NOT_SENT if entry["to"] == NOWHERE else texts.SENT
    parts = [why.of(language)]
    if entry["open"]:
        parts.append(texts.OPEN.of(language).format(**entry))
    parts.append(went.of(language).format(**entry))
    return {
        "number": entry["number"],
        "time": _clock(entry["at"], with_time=True),
        "text": ("；" if language == "zh" else "; ").join(parts),
        "fate": _fate(entry, days, language),
        "erased": entry["erased"],
        "erasable": entry["erased"] == Erased.NO and entry["to"] != NOWHERE,
    }


def _fate(entry: Mapping[str, Any], days: object, language: str) -> str:
    """Return what has become of what was sent, or will."""
    if entry["to"] == NOWHERE:
        return ""
    if entry["erased"] == Erased.DONE:
        return texts.ERASED.of(language).format(date=_clock(entry["erased_at"], with_time=True))
    if entry["erased"] == Erased.WAITING:
        return texts.ERASE_WAITS.of(language)
    if entry["deleted_at"] is not None:
        return texts.DELETED.of(language).format(date=_clock(entry["deleted_at"]))
    return (texts.NOT_TOLD if days is None else texts.KEPT).of(language)


def _clock(at: int | None, *, with_time: bool = False) -> str:
    """Return a local date, and a time where that is asked for."""
    layout = "%Y-%m-%d %H:%M" if with_time else "%Y-%m-%d"
    return time.strftime(layout, time.localtime(at or 0))
