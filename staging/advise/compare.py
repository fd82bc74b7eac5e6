"""What a new firmware broke, and what it mended: two reports, check by check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# From best to worst; what cannot be asked is neither.
_RANKS = {"pass": 0, "warn": 1, "fail": 2}


@dataclass(frozen=True, slots=True)
class Change:
    """One check whose verdict is another one: "" where a report does not have it."""

    id: str
    before: str
    after: str

    @property
    def kind(self) -> str:
        """``broke``, ``mended`` or ``other``."""
        before, after = _RANKS.get(self.before), _RANKS.get(self.after)
        if before is not None and after is not None:
            return "broke" if after > before else "mended"
        # What could be asked before and cannot be now may be broken: it is told, and no more.
        return "other"


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return the checks whose verdicts differ, what broke first."""
    old = {check["id"]: check["verdict"] for check in before["checks"]}
    new = {check["id"]: check["verdict"] for check in after["checks"]}
    changes = [
        Change(name, old.get(name, ""), new.get(name, ""))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]
    kinds = ("broke", "other", "mended")
    return sorted(changes, key=lambda change: kinds.index(change.kind))
