"""Settles a trial that lacked nothing but the cloud: by whether the version that runs next reaches it at once.

An outage may end at any moment. Whatever the version that runs next sees of it is enough: that one had reached the cloud
before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from ota.trial.given_up import load_given_up, settle_doubt

# Seconds in which the version that runs next must reach the cloud; else it is an outage, of its names for example. A machine
# that has just restarted has its Wi-Fi by then.
OUTAGE_SECONDS = 60.0

_log = logging.getLogger(__name__)


async def settle(state_dir: Path, reached_cloud: Callable[[], Awaitable[object]]) -> None:
    """Count the trial in doubt, if there is one; raises OSError if that is not stored.

    Args:
        state_dir: the agent's STATE folder.
        reached_cloud: returns once this version is registered with its cloud; False: a try failed at the cloud before.
    """
    trials = await asyncio.to_thread(load_given_up, state_dir)
    if trials.doubt is None:
        return
    outage = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(OUTAGE_SECONDS):
            outage = await reached_cloud() is False
    await asyncio.to_thread(settle_doubt, state_dir, outage=outage)
    how = "as an outage of the cloud" if outage else "as failed: this version reaches the cloud"
    _log.info("the trial of version %s counts %s", trials.doubt.version, how)
