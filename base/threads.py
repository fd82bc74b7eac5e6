"""Work on files in a thread that a cancellation must not leave behind.

`asyncio.to_thread` returns at once when its task is cancelled, and the thread goes on: its file may be
written after the folder was removed, or beside the next writer of the same file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from base.tasks import finished

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    """Run ``work`` in a thread; returns or raises when it is over, also if cancelled.

    The work must end by itself, as what reads or writes a file does. Under a lock, a file has one writer so: nobody
    else may begin before.

    Raises:
        asyncio.CancelledError: it was cancelled; what the work raised meanwhile is logged.
    """
    return await finished(asyncio.to_thread(work, *values, **named))
