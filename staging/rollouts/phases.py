"""The phases of a rollout: a share of the machines, batches, or tags; and which machine is in which. No I/O.

A phase is written as ``10%``, ``batch:2026-11`` or ``tag:nursery`` (several joined by commas). A phase that is
open stays open: a machine is in the rollout as soon as one open phase has it.

The place of a machine among the shares is a hash of its uuid and of the strategy: it is the same for ever, and
another one in another rollout, so that it is not always the same families who are first. When a share opens, the
place of its last machine is kept (its cut): 1 % of 1,000 machines are 10, and who is made later joins by its place.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from wire.errors import FieldError
from wire.text import fold

PHASES_MAX = 20
NAMES_MAX = 50
# Bits of a place: far more than there are machines, and whole in every JSON reader.
PLACE_BITS = 48
PLACES = 1 << PLACE_BITS
# The cut of a phase that is no share.
NO_CUT = -1
EXPECTED = 'a share such as "10%", "batch:NAME" or "tag:NAME"'
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%")
_BATCH, _TAG = "batch", "tag"


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: a share in percent, or batches, or tags."""

    share: float | None = None
    batches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the phase as it is written."""
        if self.share is not None:
            return f"{self.share:g}%"
        kind, names = (_BATCH, self.batches) if self.batches else (_TAG, self.tags)
        return f"{kind}:{','.join(names)}"


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides to which phase a machine belongs.

    ``place`` is its `place_of` in the strategy; ``tags`` are its tags in the form of `wire.text.fold`.
    """

    place: int
    batch: str
    tags: frozenset[str] = frozenset()


def parse(texts: Sequence[str], field: str = "phases") -> tuple[Phase, ...]:
    """Return the phases of their texts.

    Raises:
        FieldError: none or too many; one is not written so; shares do not grow.
    """
    if not 1 <= len(texts) <= PHASES_MAX:
        raise FieldError(field, list(texts), f"1 to {PHASES_MAX} phases")
    found: list[Phase] = []
    last = 0.0
    for number, text in enumerate(texts):
        phase = _parse_one(text, f"{field}[{number}]")
        if phase.share is not None:
            if phase.share <= last:
                raise FieldError(f"{field}[{number}]", text, f"a share above {last:g}%")
            last = phase.share
        found.append(phase)
    return tuple(found)


def _parse_one(text: str, field: str) -> Phase:
    share = _SHARE.fullmatch(text.strip())
    if share is not None:
        value = float(share[1])
        if not 0 < value <= 100:
            raise FieldError(field, text, "a share above 0% up to 100%")
        return Phase(share=value)
    kind, colon, rest = text.strip().partition(":")
    names = tuple(dict.fromkeys(name.strip() for name in rest.split(",") if name.strip()))
    if not colon or not names or len(names) > NAMES_MAX:
        raise FieldError(field, text, EXPECTED)
    match kind.strip().lower():
        case "batch":
            return Phase(batches=names)
        case "tag":
            return Phase(tags=names)
        case _:
            raise FieldError(field, text, EXPECTED)


def place_of(strategy_id: int, uuid: str) -> int:
    """Return the place of a machine in a strategy, 0 up to `PLACES` - 1."""
    digest = hashlib.sha256(f"{strategy_id}:{uuid}".encode()).digest()
    return int.from_bytes(digest[: PLACE_BITS // 8], "big")


def cut_of(phase: Phase, places: Collection[int], before: Sequence[int] = ()) -> int:
    """Return the place of a share's last machine, or `NO_CUT`.

    Args:
        phase: the phase that opens.
        places: of all machines that the strategy covers.
        before: the cuts of the phases before, below which it never is.
    """
    if phase.share is None:
        return NO_CUT
    if phase.share >= 100:
        return PLACES
    if places:
        # Binary fractions must not make 3 machines of 2.0000000000000004.
        count = math.ceil(round(phase.share * len(places) / 100, 6))
        cut = sorted(places)[count - 1]
    else:
        cut = round(phase.share * PLACES / 100)
    return max(cut, *before) if before else cut


def admits(phases: Sequence[Phase], cuts: Sequence[int], machine: Machine) -> bool:
    """Return whether an open phase has a machine; ``cuts`` has one for each open phase."""
    return any(_has(phase, cut, machine) for phase, cut in zip(phases, cuts, strict=False))


def _has(phase: Phase, cut: int, machine: Machine) -> bool:
    if phase.share is not None:
        return machine.place <= cut
    return machine.batch in phase.batches or not machine.tags.isdisjoint(map(fold, phase.tags))


def folded_tags(phases: Sequence[Phase]) -> frozenset[str]:
    """Return the tags of phases as `Machine.tags` has them."""
    return frozenset(fold(tag) for phase in phases for tag in phase.tags)
