"""Watchers of live pages: what each remembers, and how many there may be."""

from __future__ import annotations

import contextlib

import pytest

from staging.console import watchers

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
DIRTY_LIMIT = 256


async def test_a_watcher_is_told_once_and_holds_a_bounded_set() -> None:
    hub = watchers.Hub(limit=2)
    with hub.watch(None, 1) as every, hub.watch("a", 2) as one:
        with pytest.raises(watchers.TooManyWatchersError), hub.watch(None, 3):
            pass
        hub.notify("a")
        hub.notify("a")
        hub.notify("b")
        assert (every.take(), one.take()) == ({"a", "b"}, {"a"})
        assert every.take() == set()
        for number in range(DIRTY_LIMIT + 5):
            hub.notify(str(number))
        assert every.take() is None
        hub.close()
        await every.wait(60)  # returns at once: the server ends
        assert every.closed
    assert hub.is_full(1)  # closed: accepts no more watchers


async def test_one_account_leaves_room_for_others() -> None:
    hub = watchers.Hub()
    with contextlib.ExitStack() as stack:
        for _ in range(watchers.WATCHERS_EACH):
            stack.enter_context(hub.watch(None, 1))
        with pytest.raises(watchers.TooManyWatchersError), hub.watch(None, 1):
            pass
        with hub.watch(None, 2):
            assert not hub.is_full(2)
    assert not hub.is_full(1)
