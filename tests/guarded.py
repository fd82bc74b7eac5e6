"""Whether what a lock guards is touched while the lock is held: by a gate at each touch, and not by the luck of two threads.

A lock that is left out shows only when two come at the same moment, which no quick test can promise. That the place runs
within the lock can be seen each time.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest


class Guard:
    """Stands in the place of a lock of ``owner``, and notes what is touched without it."""

    def __init__(self, owner: Any, name: str, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the lock ``name``, of threads or of tasks, which is locked all the same."""
        self._owner, self._patch = owner, patch
        self._lock = getattr(owner, name)
        self._depth = 0
        self.within: list[str] = []
        """What was touched with the lock."""
        self.without: list[str] = []
        """What was touched without it."""
        setattr(owner, name, self)

    def __enter__(self) -> None:
        self._lock.__enter__()
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        self._lock.__exit__(*error)

    async def __aenter__(self) -> None:
        await self._lock.__aenter__()
        self._depth += 1

    async def __aexit__(self, *error: object) -> None:
        self._depth -= 1
        await self._lock.__aexit__(*error)

    def locked(self) -> bool:
        return self._depth > 0

    def note(self, name: str) -> None:
        """Note a touch."""
        (self.within if self._depth else self.without).append(name)

    def calls(self, holder: object, *names: str) -> Guard:
        """Look at each call of these functions of a module, or methods of an object."""
        for name in names:
            real = getattr(holder, name)
            self._patch.setattr(holder, name, self._noting(name, real))
        return self

    def _noting(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def call(*words: Any, **named: Any) -> Any:
            self.note(name)
            return real(*words, **named)

        return call

    def data(self, *names: str) -> Guard:
        """Look at each use of these members of the owner."""
        owner = self._owner
        kind = type(owner)
        members = {name: self._member(name) for name in names}
        owner.__class__ = type(kind.__name__, (kind,), members)
        return self

    def _member(self, name: str) -> property:
        def get(owner: Any) -> Any:
            self.note(name)
            return owner.__dict__[name]

        def put(owner: Any, value: Any) -> None:
            self.note(name)
            owner.__dict__[name] = value

        return property(get, put)

    def check(self, *works: Callable[[], Any]) -> None:
        """Do each work, and look whether it touched something, and all with the lock."""
        for number, work in enumerate(works):
            self._begin()
            work()
            self._judge(number)

    async def check_tasks(self, *works: Callable[[], Any]) -> None:
        """As `check`, for works that are coroutines."""
        for number, work in enumerate(works):
            self._begin()
            async with asyncio.timeout(60):
                await work()
            self._judge(number)

    def _begin(self) -> None:
        self.within, self.without = [], []

    def _judge(self, number: int) -> None:
        assert self.without == [], f"work {number} touches this without the lock"
        assert self.within, f"work {number} touches nothing that the lock guards"
