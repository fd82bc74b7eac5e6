"""Chunks of a package: which are fetched together."""

from __future__ import annotations

import random
from itertools import pairwise

from ota.fetch.parts import runs_of


def test_every_chunk_is_in_one_and_there_are_no_more_than_allowed() -> None:
    chance = random.Random(5)
    for most in (1, 3, 50):
        chunks = set(chance.sample(range(5000), 400))
        runs = runs_of(chunks, most)
        assert len(runs) <= most
        assert chunks <= {chunk for run in runs for chunk in run}
        assert all(a.stop < b.start for a, b in pairwise(runs))


def test_neighbours_and_single_gaps_are_one_run() -> None:
    assert runs_of([5, 1, 2, 9]) == [range(1, 3), range(5, 6), range(9, 10)]
    assert runs_of([1, 3]) == [range(1, 4)]
    assert runs_of([]) == []
