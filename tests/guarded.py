"""Whether what a lock guards is touched while the lock is held: by a look at each touch, and not by the luck of two threads.

A lock that is left out shows only when two come at the same moment, which no quick test can promise. That the place runs
within the lock can be seen each time: `Guard` stands in the place of a lock of threads or of tasks, `FileGuard` looks
whether the lock of a file, which other processes respect, is held.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest


class Touches:
    """Notes what is touched with a lock, and without it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Note nothing yet."""
        self._patch = patch
        self.within: list[str] = []
        """What was touched with the lock."""
        self.without: list[str] = []
        """What was touched without it."""

    def locked(self) -> bool:
        """Return whether somebody holds the lock."""
        raise NotImplementedError

    def note(self, name: str) -> None:
        """Note a touch."""
        (self.within if self.locked() else self.without).append(name)

    def calls(self, holder: object, *names: str) -> Self:
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


class Guard(Touches):
    """Stands in the place of a lock of ``owner``, and notes what is touched without it."""

    def __init__(self, owner: Any, name: str, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the lock ``name``, of threads or of tasks, which is locked all the same."""
        super().__init__(patch)
        self._owner = owner
        self._lock = getattr(owner, name)
        self._depth = 0
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

    def data(self, *names: str) -> Self:
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


class FileGuard(Touches):
    """Looks at the lock of a file or folder, which keeps other processes out, and notes what is touched without it."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        """Look at the lock of ``path``, which need not be there yet."""
        super().__init__(patch)
        self._path = path

    def locked(self) -> bool:
        """Return whether the file is locked: another opening of it is refused, also one of this process."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False


async def nothing(*_words: object) -> Any:
    """Find nothing, and do nothing; stands for a work of which no more than its place matters."""
    return []
