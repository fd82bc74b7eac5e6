"""Waiting for what must not be left half done: a caller that is cancelled meanwhile is told so at its end, not before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


async def finished(work: Coroutine[Any, Any, _T]) -> _T:
    """Run ``work`` to its end however often this task is cancelled, and return what it returns.

    Raises:
        asyncio.CancelledError: this task was cancelled meanwhile; an error of ``work`` is then logged.
        Exception: what ``work`` raises.
    """
    task = asyncio.create_task(work)
    if await _was_cancelled_meanwhile(task):
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("not done, and no longer waited for: %s", error)
        raise asyncio.CancelledError
    return task.result()


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel ``task`` and wait for its end, however often this one is cancelled; what it raises is dropped.

    ``task.cancel()`` and ``await task`` with CancelledError suppressed also loses a cancellation of the caller.
    """
    task.cancel()
    cancelled = await _was_cancelled_meanwhile(task)
    if not task.cancelled():
        task.exception()  # it counts as seen
    if cancelled:
        raise asyncio.CancelledError


async def _was_cancelled_meanwhile(task: asyncio.Task[Any]) -> bool:
    """Wait for the end of ``task``; return whether this one was cancelled until then."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled
