"""Work on files in a thread that a cancellation must not leave behind.

`asyncio.to_thread` returns at once when its task is cancelled, and the thread goes on: its file may be
written after the folder was removed, or beside the next writer of the same file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


async def in_thread(work: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    """Run ``work`` in a thread; returns or raises when it is over, also if cancelled.

    The work must end by itself, as what reads or writes a file does.

    Raises:
        asyncio.CancelledError: it was cancelled; what the work raised meanwhile is logged.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *values, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await _end(running)
        if not running.cancelled() and (error := running.exception()) is not None:
            _log.error("not done, and no longer waited for: %s", error)
        raise


async def _end(running: asyncio.Future[T]) -> None:
    """Wait until it is over, whoever cancels; the caller raises the cancellation."""
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            continue
