"""The fuzzer finds a reader that raises what it should not, and the real readers do not."""

from __future__ import annotations

import random

import pytest

from tools import fuzz
from tools.fuzz import TARGETS
from tools.fuzz_target import Target
from tools.mutations import mutate


def test_the_readers_refuse_what_is_broken_with_their_own_errors() -> None:
    told: list[str] = []
    assert fuzz.fuzz(2000, 7, told.append) == 0, told
    assert len(told) == len(TARGETS)


def test_a_reader_that_fails_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "TARGETS", (Target("bad", [b"a" * 20], lambda data: data[19]),))
    told: list[str] = []
    assert fuzz.fuzz(200, 7, told.append) > 0
    assert "IndexError" in told[0]


# Topics of answers and voice need one part more than their kind; a server's good answer may be a refusal, or lead on.
REFUSES = {"topics", "answers of update servers", "answers of story servers"}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_each_reader_takes_its_good_inputs(target: Target) -> None:
    for good in target.good:
        try:
            target.read(good)
        except target.errors:
            assert target.name in REFUSES


def test_the_same_seed_makes_the_same_inputs() -> None:
    first, again = (
        [mutate(b"good", chance) for _ in range(100)]
        for chance in (random.Random(1), random.Random(1))
    )
    assert first == again
    assert len(set(first)) > 50
