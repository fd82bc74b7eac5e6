"""Where the advisor's grades begin: on records that no device has made, just below and just above each limit.

What the checks make of whole devices is in test_catalogue.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from staging.advise.checks import control, download, link, machine, reports, tls, voice
from staging.advise.checks.model import Grade, Verdict
from staging.advise.orders import Ordered
from staging.advise.record import ANSWERED, Arrival, Known, Probe, Trace
from staging.advise.spoken import Piece, Sound, Utterance
from wire.codes import Code
from wire.voice import VoiceSegment

KNOWN = Known("a" * 14, "t" * 16)
PASS, WARN, FAIL = Grade.PASS, Grade.WARN, Grade.FAIL
Of = Callable[[float], Verdict]


def trace(**seen: Any) -> Trace:
    return Trace(seen=seen)


def probe(seconds: float = 0.0) -> Probe:
    return Probe("p", ANSWERED, int(Code.CONTENT), b"", seconds)


def arrival(at: float, payload: bytes = b"{}") -> Arrival:
    return Arrival(at, 0, "report", True, "POST", ("report",), (), payload)


def alive(apart: float) -> Trace:
    told = [arrival(at, b'{"data":{"alive":0}}') for at in (10.0, 10.0 + apart)]
    return Trace(arrivals=told, seen={"lost": False, "from": 0.0})


def round_trips(p50: float, p99: float) -> Verdict:
    return control.swift(trace(seconds=[p50, p50, p99]), KNOWN)


def refused(gap: float) -> Verdict:
    return link.bows_to_refusal(trace(talked=[], gap=gap, tries=2), KNOWN)


def storm(gap: float) -> Verdict:
    return link.waits_when_refused(trace(reports=[], gaps=[gap], back=True), KNOWN)


def near_plain(part: float) -> Verdict:
    """Waits as the reference client's, each longer by this part."""
    return link.has_jitter(trace(gaps=[wait * (1 + part) for wait in (0.5, 1.0, 2.0, 4.0)]), KNOWN)


def awake(after: float) -> Verdict:
    found = trace(after=after)
    found.probes = {"while it stands still": Probe("p", "silent"), "afterwards": probe()}
    return machine.wakes(found, KNOWN)


def begun(after: float) -> Verdict:
    order = Ordered("download", "1", probe(), 100.0, told=[(100.0 + after, {"event": 0})])
    return download.prompt(order, trace(), KNOWN)


def meanwhile(after: float) -> Verdict:
    found = trace()
    found.probes = {"read meanwhile": probe(after)}
    order = Ordered("download", "1", probe(), 0.0, seen={"running": True})
    return download.answers_meanwhile(order, found, KNOWN)


def circle(requests: float) -> Verdict:
    told: list[tuple[float, dict[str, object]]] = [(1.0, {"event": 0}), (2.0, {"event": 6})]
    order = Ordered("circle", "1", probe(), 0.0, told=told, asked=[0] * int(requests))
    return download.leaves_circle(order, trace(), KNOWN)


def busy(after: float) -> Verdict:
    return reports.repeats_busy(trace(busy=[arrival(1.0), arrival(1.0 + after)]), KNOWN)


def came(times: float) -> Verdict:
    found = {"refused": [arrival(1.0)] * int(times), "refused: ended": False}
    return reports.drops_refused(Trace(seen=found), KNOWN)


def first_segment(after: float) -> Verdict:
    said = Utterance(10.0, spoken=True, pieces=[Piece(10.0 + after, "voice", {})])
    return voice.first(said, trace())


def spread(over: float, frames: int = 100) -> Verdict:
    """An utterance of so many frames of 20 ms, whose segments come over these seconds."""
    data = (b"\x26SPX" + bytes(38)) * frames
    segment = VoiceSegment(10001, 0, 8000, eof=False, voice_data=data)
    pieces = [Piece(1.0, "voice", {}), Piece(1.0 + over, "voice", {})]
    return voice.live([segment], Utterance(0.0, spoken=True, pieces=pieces))


def sound(**level: float) -> Sound:
    return Sound(**{"seconds": 3.0, "loudness": -20.0, "clipped": 0.0, "lead": 0.2, "tail": 0.3, **level})  # fmt: skip


# What is judged, with values and their grades: as docs/numbers.md has the limits, and the next on their other side.
LIMITS: Mapping[str, tuple[Of, list[tuple[float, Grade]]]] = {
    "back after a cut": (
        lambda at: link.back_after_close(trace(closed=at), KNOWN),
        [(20.0, PASS), (20.1, WARN), (70.0, WARN), (70.1, FAIL)],
    ),
    "a second between refusals": (refused, [(0.14, FAIL), (0.16, WARN), (0.99, WARN), (1.0, PASS)]),
    "waits of a refused": (storm, [(0.14, FAIL), (0.16, PASS)]),
    "waits as the reference client's": (near_plain, [(0.039, WARN), (0.041, PASS)]),
    "a registration that is given up": (
        lambda at: link.gives_up_unanswered(trace(tries=1, back=True, **{"gave up": at}), KNOWN),
        [(60.0, PASS), (60.1, WARN)],
    ),
    "a keepalive": (
        lambda apart: link.keeps_alive(alive(apart), KNOWN),
        [(44.9, WARN), (45.0, PASS), (65.0, PASS), (65.1, WARN), (120.0, WARN), (120.1, FAIL)],
    ),
    "a link that carries nothing": (
        lambda at: link.notices_half_open(trace(back=at), KNOWN),
        [(60.0, PASS), (60.1, WARN), (180.0, WARN), (180.1, FAIL)],
    ),
    "half of the round trips": (lambda at: round_trips(at, at), [(5.01, FAIL), (4.99, WARN)]),
    "the slowest round trip": (lambda at: round_trips(0.1, at), [(1.0, PASS), (1.01, WARN)]),
    "back after a kill": (
        lambda at: machine.back_after_kill(trace(back=at), KNOWN),
        [(25.0, PASS), (25.1, WARN), (70.0, WARN), (70.1, FAIL)],
    ),
    "awake again": (awake, [(12.0, PASS), (12.1, WARN)]),
    "an update's begin": (begun, [(10.0, PASS), (10.1, WARN), (40.0, WARN), (40.1, FAIL)]),
    "an answer while it downloads": (meanwhile, [(2.0, PASS), (2.1, WARN)]),
    "requests in a circle": (circle, [(60, PASS), (61, WARN)]),
    "idle reports": (
        lambda count: reports.rests(trace(idle=[None] * int(count)), KNOWN),
        [(3, PASS), (4, WARN), (12, WARN), (13, FAIL)],
    ),
    "a report again after 5.03": (busy, [(0.09, FAIL), (0.11, PASS)]),
    "a report that was refused": (came, [(2, PASS), (3, FAIL)]),
    "back to the right cloud": (
        lambda at: tls.forgives(trace(back=at), KNOWN), [(305.0, PASS), (305.1, WARN)],
    ),
    "the first segment": (
        first_segment, [(3.0, PASS), (3.1, WARN), (6.0, WARN), (6.1, FAIL)],
    ),
    "sent while it is spoken": (spread, [(0.99, WARN), (1.01, PASS)]),
    "too short to tell": (
        lambda frames: spread(0.0, int(frames)), [(49, Grade.NOT_APPLICABLE), (50, WARN)],
    ),
    "loudness": (
        lambda level: voice.loudness(sound(loudness=level)),
        [(-60.1, FAIL), (-60.0, WARN), (-40.1, WARN), (-40.0, PASS), (-3.0, PASS), (-2.9, WARN)],
    ),
    "clipping": (
        lambda share: voice.clipping(sound(clipped=share)),
        [(0.005, PASS), (0.006, WARN), (0.05, WARN), (0.051, FAIL)],
    ),
    "silence before": (lambda at: voice.silence(sound(lead=at)), [(1.0, PASS), (1.1, WARN)]),
    "silence after": (lambda at: voice.silence(sound(tail=at)), [(2.0, PASS), (2.1, WARN)]),
}  # fmt: skip


@pytest.mark.parametrize(("judge", "grades"), LIMITS.values(), ids=LIMITS)
def test_each_grade_begins_where_it_is_said_to(
    judge: Of, grades: list[tuple[float, Grade]]
) -> None:
    assert [(value, judge(value).grade) for value, _ in grades] == grades


@pytest.mark.parametrize(
    ("gaps", "grade"),
    [
        ([0.1, 0.14, 0.6, 1.2], FAIL),  # two waits below 0.15 s
        ([0.14, 0.16, 0.6, 1.2], PASS),
        ([0.2, 0.2, 0.29, 0.29], FAIL),  # they do not reach twice that
        ([0.2, 0.2, 0.31, 0.31], PASS),
    ],
)
def test_waits_that_grow_are_no_storm(gaps: list[float], grade: Grade) -> None:
    assert link.no_storm(trace(gaps=gaps), KNOWN).grade is grade
