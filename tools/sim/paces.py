"""Looks at what nothing changes in a simulated world, made rarer: they would be most of a day's work.

What the product waits for, and how long (deadlines, patience, pauses between retries), stays as it is.
"""

from __future__ import annotations

import time
from typing import Any

import agent.link.outbox
import agent.vitals
import resources.energy.guard
import resources.playing.deck
import resources.times.keeper
import resources.titles.library
import staging.doorman
import staging.gateway.control_history
import staging.gateway.family
import staging.gateway.presence
import staging.gateway.renewals
from staging.gateway.silent import Pace

# Of the cloud's gateway: there are no silent updates and no rollouts, which it would look for every few seconds.
GATEWAY = Pace(scan=3600.0, look=3600.0)


def slow_down() -> None:
    """Set them, for the rest of the process."""
    # What other processes of the cloud have done to the store: there are none.
    staging.gateway.renewals.LOOK_SECONDS = staging.gateway.family.LOOK_SECONDS = 600.0
    # How late the store is with what the gateway knows.
    staging.gateway.control_history.FLUSH_SECONDS = 30.0
    staging.gateway.presence.FLUSH_SECONDS = 300.0
    staging.doorman.SWEEP_SECONDS = 120.0
    # The line for systemd, the card that nobody writes to, what is delivered and not yet deleted.
    agent.vitals.POLL_SECONDS = 60.0
    resources.titles.library.AGAIN_SECONDS = 600.0
    agent.link.outbox.TEND_SECONDS = 30.0
    # How far a story is, its voltage, and what others pause without an order: its limits are waited for to the second.
    resources.playing.deck.BEAT_SECONDS = 15.0
    resources.energy.guard.WATCH_SECONDS = 60.0
    resources.times.keeper.LOOK_SECONDS = 10.0
    names: Any = time
    names.tzset = lambda: None  # the zone stays
