"""The report of a run: one JSON object (docs/advisor.md has its members), from which the other forms are made.

It may be handed around, so it has no secret of the device: token and bind token are blotted out of the frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from staging.advise.checks.model import Grade, Text
from staging.advise.message import decode, show
from staging.advise.record import Arrival, Frame, Known
from staging.advise.runner import Outcome, Ran, Result
from staging.errors import StagingError
from wire.errors import WireError
from wire.fields import is_object, parse_object

SCHEMA = 1
# Bytes of a frame that are quoted.
FRAME_BYTES = 256
# Bytes of a report that is read; one of a full run has about 300 kB.
SIZE_LIMIT = 16 * 2**20


def build(
    outcome: Outcome, known: Known, *, suite: str, seed: int, started_ms: int
) -> dict[str, Any]:
    """Return the report, not yet signed."""
    counts = Counter(str(result.verdict.grade) for result in outcome.results)
    return {
        "schema": SCHEMA,
        "device": {
            "uuid": known.uuid, "firmware": known.version, "product": known.product,
            "link": known.link, "reads": sorted(known.reads),
        },
        "suite": suite,
        "seed": seed,
        "startedMs": started_ms,
        "seconds": round(outcome.seconds, 1),
        "counts": {str(grade): counts[str(grade)] for grade in Grade},
        "checks": [_check(result) for result in outcome.results],
        "cases": [_case(ran, known) for ran in outcome.runs.values()],
    }  # fmt: skip


def _check(result: Result) -> dict[str, Any]:
    check, verdict = result.check, result.verdict
    return {
        "id": check.id,
        "suite": check.suite,
        "title": _both(check.title),
        "asks": check.asks,
        "verdict": str(verdict.grade),
        "seen": _both(verdict.seen),
        "change": _both(check.change),
        "case": check.case,
    }


def _both(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _case(ran: Ran, known: Known) -> dict[str, Any]:
    trace, start = ran.trace, ran.started
    origin = min((frame.at for frame in trace.frames), default=0.0)
    return {
        "name": ran.case.name,
        "says": ran.case.says,
        "after": round(start, 2),
        "seconds": round(ran.seconds, 2),
        "skipped": trace.skipped,
        "connections": [
            {"handshake": line.handshake, "fault": line.fault, "byDevice": line.by_device}
            for line in trace.lines
        ],
        "probes": [
            {"name": probe.name, "outcome": str(probe), "seconds": round(probe.seconds, 4)}
            for probe in trace.probes.values()
        ],
        "requests": [_request(arrival, origin) for arrival in trace.arrivals],
        "frames": [_frame(frame, origin, known.hidden) for frame in trace.frames],
        "faults": trace.faults,
    }


def _request(arrival: Arrival, origin: float) -> dict[str, Any]:
    return {
        "at": round(arrival.at - origin, 3),
        "kind": arrival.kind,
        "what": f"{arrival.method} /{'/'.join(arrival.path)}",
        "keys": sorted(arrival.data),
    }


def _frame(frame: Frame, origin: float, hidden: Iterable[bytes]) -> dict[str, Any]:
    data = blot(frame.data, hidden)
    told = {"at": round(frame.at - origin, 3), "way": frame.way, "bytes": len(data)}
    return told | {"says": show(decode(data)), "hex": data[:FRAME_BYTES].hex()}


def blot(data: bytes, hidden: Iterable[bytes]) -> bytes:
    """Return bytes of the same length in which nothing hidden is left."""
    for secret in hidden:
        data = data.replace(secret, b"*" * len(secret))
    return data


def worst(report: Mapping[str, Any]) -> Grade:
    """Return the worst grade of a report's checks."""
    counts = report["counts"]
    for grade in (Grade.FAIL, Grade.WARN):
        if counts.get(str(grade)):
            return grade
    return Grade.PASS


def read(data: bytes, name: str) -> dict[str, Any]:
    """Read a report; raises StagingError that names the member."""
    if len(data) > SIZE_LIMIT:
        raise StagingError(f"{name}: {len(data)} bytes, expected at most {SIZE_LIMIT}")
    try:
        report = parse_object(data, name)
    except WireError as error:
        raise StagingError(str(error)) from error
    if report.get("schema") != SCHEMA:
        raise StagingError(f"{name}: schema: got {report.get('schema')!r}, expected {SCHEMA}")
    checks = report.get("checks")
    if not isinstance(checks, list) or not all(_is_check(each) for each in checks):
        raise StagingError(f"{name}: checks: expected a list of objects with id and verdict")
    return report


def _is_check(value: object) -> bool:
    grades = {str(grade) for grade in Grade}
    return is_object(value) and isinstance(value.get("id"), str) and value.get("verdict") in grades
