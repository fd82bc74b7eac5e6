"""The limit on log lines: a table on a virtual clock, and a real logger."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.log_limit import Allowance, LogLimit, Verdict

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KIND_BURST = 20
KIND_SECONDS = 10.0
KINDS_LIMIT = 2_000
TEXT_BURST = 1_000


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(LogLimit(Allowance(clock)))
    logger = logging.getLogger("tests.limited")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, out
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_burst_is_logged_and_then_one_line_in_a_while(clock: Clock) -> None:
    allowance = Allowance(clock)
    burst = [allowance.ask("refused", "a") for _ in range(KIND_BURST)]
    assert [each.logged for each in burst] == [True] * KIND_BURST
    assert [each.is_last for each in burst] == [False] * (KIND_BURST - 1) + [True]
    for _ in range(500):
        assert allowance.ask("refused", "a") == Verdict(logged=False)
    clock.now += KIND_SECONDS
    assert allowance.ask("refused", "a") == Verdict(True, left_out=500, is_last=True)
    assert not allowance.ask("refused", "a").logged


def test_another_peer_and_another_text_are_not_held_back(clock: Clock) -> None:
    allowance = Allowance(clock)
    for _ in range(KIND_BURST + 1):
        allowance.ask("refused", "a")
    assert allowance.ask("refused", "b").logged
    assert allowance.ask("registered", "a").logged


def test_ever_new_names_are_limited_by_the_text(clock: Clock) -> None:
    allowance = Allowance(clock)
    logged = [allowance.ask("unknown device", str(n)).logged for n in range(5 * TEXT_BURST)]
    assert sum(logged) == TEXT_BURST
    assert allowance.ask("refused", "a").logged
    assert len(allowance._buckets) <= KINDS_LIMIT


def test_beyond_its_thousand_lines_a_text_has_one_each_half_second(clock: Clock) -> None:
    allowance = Allowance(clock)
    for number in range(TEXT_BURST):
        assert allowance.ask("unknown device", str(number)).logged
    clock.now += 0.4
    assert not allowance.ask("unknown device", "a").logged
    clock.now += 0.1
    assert allowance.ask("unknown device", "b") == Verdict(True, left_out=1, is_last=True)
    clock.now += 5.0
    assert sum(allowance.ask("unknown device", f"c{n}").logged for n in range(50)) == 10


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from("ab")), max_size=200))
def test_a_day_has_a_bound_and_every_line_is_logged_or_counted(
    steps: list[tuple[float, str]],
) -> None:
    clock = Clock()
    allowance = Allowance(clock)
    told, waiting = dict.fromkeys("ab", 0), dict.fromkeys("ab", 0)
    for seconds, who in steps:
        clock.now += seconds
        verdict = allowance.ask("text", who)
        if verdict.logged:
            told[who] += 1
            assert verdict.left_out == waiting[who]
            waiting[who] = 0
        else:
            waiting[who] += 1
    for count in told.values():
        assert count <= KIND_BURST + clock.now / KIND_SECONDS + 1


def test_the_log_says_what_it_leaves_out(
    clock: Clock, log: tuple[logging.Logger, io.StringIO]
) -> None:
    logger, out = log
    for port in range(1000):  # each connection has another port
        logger.warning("<Connection %s>: refused: %s", f"10.0.0.7:{40_000 + port}", "100% nonsense")
    clock.now += KIND_SECONDS
    logger.warning("<Connection %s>: refused: %s", "10.0.0.7:1", "more")
    lines = out.getvalue().splitlines()
    assert len(lines) == KIND_BURST + 1
    assert lines[0] == "<Connection 10.0.0.7:40000>: refused: 100% nonsense"
    assert lines[-2].endswith("(more lines of this kind are left out for a while)")
    assert "(980 more lines of this kind were left out before)" in lines[-1]


@pytest.mark.parametrize("arguments", [(), ({"a": 1},), (b"\xff",), (None,)])
def test_any_record_is_logged(
    log: tuple[logging.Logger, io.StringIO], arguments: tuple[object, ...]
) -> None:
    logger, out = log
    logger.error("100% of it" if not arguments else "all of %s", *arguments)
    assert out.getvalue().count("\n") == 1
