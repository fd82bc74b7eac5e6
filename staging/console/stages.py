"""When what happened to an utterance: the device's own times, its segments' arrival and the outcome, in one row.

Pure. The device tells seconds since the wish to listen (`wire.utterance_times`), the cloud has times of day. Both are
laid together at the first segment, whose acknowledgement the device saw within a round trip of its arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from staging.store.utterances import Utterance
from wire.errors import WireError
from wire.utterance_times import UtteranceTimes, parse_times

FIRST, EOF = "first_segment", "eof"
# What the device tells that the cloud does not know better.
OF_THE_DEVICE = ("opened", "began", "ended", "answered")
OF_THE_OUTCOME = ("recognised", "ordered", "done")
# Milliseconds. Numbers of utterances come again after 100,000; an outcome or a report so much later is another's.
NEAR_MS = 10 * 60_000


@dataclass(frozen=True, slots=True)
class Told:
    """A device's report of an utterance's times, and when it arrived (ms)."""

    ts: int
    times: UtteranceTimes


def read_told(reports: Iterable[tuple[int, object]]) -> list[Told]:
    """Return the reports that can be read; an older store may hold anything under this key."""
    found = []
    for ts, value in reports:
        try:
            found.append(Told(ts, parse_times(value)))
        except WireError:
            continue
    return found


def stages(
    spoken: Utterance, told: Sequence[Told], outcomes: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the stages in their order: ``{"stage": name, "ms": since the wish to listen}``.

    Without the device's times they count from the first segment's arrival.

    Args:
        spoken: the utterance, with its segments' times of arrival.
        told: reports of utterances' times of the same device.
        outcomes: outcomes of the same device, as `Outcome.to_json` renders them.
    """
    times = _times(spoken, told)
    began = spoken.start
    at: dict[str, float] = {FIRST: spoken.start}
    if times is not None and FIRST in times.seconds:
        wish = spoken.start - times.seconds[FIRST] * 1000
        began = round(wish)
        at |= {n: wish + times.seconds[n] * 1000 for n in OF_THE_DEVICE if n in times.seconds}
    ends = [stored.ts for stored in spoken.stored if stored.segment.eof]
    if ends:
        at[EOF] = ends[0]
    outcome = _outcome(spoken, outcomes)
    at |= {name: outcome[name] for name in OF_THE_OUTCOME if name in outcome}
    ordered = sorted(at.items(), key=lambda pair: pair[1])
    return [{"stage": name, "ms": round(ts - began)} for name, ts in ordered]


def _times(spoken: Utterance, told: Sequence[Told]) -> UtteranceTimes | None:
    mine = [t.times for t in told if t.times.id == spoken.id and 0 <= t.ts - spoken.start < NEAR_MS]
    return mine[0] if mine else None


def _outcome(spoken: Utterance, outcomes: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    """Return the stages of the utterance's outcome; ``done`` only if it was done."""
    for entry in outcomes:
        if entry.get("utterance") == spoken.id and 0 <= entry["time"] - spoken.start < NEAR_MS:
            found = dict(entry.get("stages", {}))
            if not entry["done"]:
                found.pop("done", None)
            return found
    return {}
