"""The ring before an utterance: the newest blocks, in their order, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.ring import Ring


@given(st.integers(1, 20), st.lists(st.binary(max_size=4), max_size=60))
def test_it_holds_the_newest_blocks_in_their_order(size: int, blocks: list[bytes]) -> None:
    ring = Ring(size)
    for block in blocks:
        ring.add(block)
    assert ring.take() == tuple(blocks[-size:])
    assert ring.take() == ()


def test_a_ring_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="blocks: got 0, expected 1 or more"):
        Ring(0)
