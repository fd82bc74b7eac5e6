"""The few bytes in memory around the player's place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from resources.online.stores import InMemory

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
AHEAD_IN_MEMORY = 262144
BEHIND_IN_MEMORY = 131072

BODY = bytes(range(256)) * 8000


@given(st.lists(st.integers(1, 64 * 1024), max_size=60))
async def test_memory_is_bounded_and_holds_what_is_around_the_player(pieces: list[int]) -> None:
    store, at = InMemory(), 0
    for size in pieces:
        data = BODY[at : at + size]
        if not data:
            break
        await store.write(at, data, wanted=at)
        at += len(data)
        first = max(0, at - BEHIND_IN_MEMORY)
        assert await store.read(first, 99) == BODY[first : min(at, first + 99)]
        assert len(store._bytes) <= 2 * BEHIND_IN_MEMORY + 64 * 1024 + AHEAD_IN_MEMORY
    assert store.run(at) == 0


async def test_another_place_begins_anew() -> None:
    store = InMemory()
    await store.write(0, b"abc", wanted=0)
    await store.write(3, b"def", wanted=0)
    assert (store.run(0), store.run(5), store.run(6)) == (6, 1, 0)
    assert await store.read(2, 2) == b"cd"
    await store.write(100, b"x", wanted=100)
    assert (store.run(0), store.run(100)) == (0, 1)
    assert await store.read(0, 5) == b""
    await store.sync()
    await store.close()
    assert store.run(100) == 0
