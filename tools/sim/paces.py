"""Looks at what nothing changes in a simulated world, made rarer: they would be most of a day's work.

What the product waits for, and how long (deadlines, patience, pauses between retries), stays as it is.
"""

from __future__ import annotations

import functools
import time
from typing import Any

import agent.link.outbox
import agent.product_points
import agent.vitals
import machine.chime
import ota.launch.running
import resources.energy.guard
import resources.online.opener
import resources.playing.deck
import resources.times.keeper
import resources.titles.library
import staging.doorman
import staging.gateway.control_history
import staging.gateway.family
import staging.gateway.presence
import staging.gateway.renewals
import staging.gateway.twins
from staging.gateway.silent import Pace

# Seconds between looks for what there never is.
NEVER = 86_400.0
# Of the cloud's gateway: there are no silent updates and no rollouts, which it would look for every few seconds. What a device has not
# answered is looked for, in a whole day more rarely.
GATEWAY, GATEWAY_OF_DAYS = Pace(scan=NEVER, look=NEVER), Pace(scan=NEVER, look=NEVER, again=1200.0)
# Seconds between two looks for two machines with one identity that another process has found, where there are any.
TWINS_SECONDS = 120.0
# Seconds between two saves of who was there when, in a world that prunes nothing.
PRESENCE_SECONDS = 1800.0


def slow_down() -> None:
    """Set them, for the rest of the process."""
    # What other processes of the cloud have done to the store: there are none.
    staging.gateway.renewals.LOOK_SECONDS = staging.gateway.family.LOOK_SECONDS = NEVER
    # How late the store is with what the gateway knows.
    staging.gateway.control_history.FLUSH_SECONDS = 30.0
    staging.gateway.presence.FLUSH_SECONDS = PRESENCE_SECONDS
    staging.doorman.SWEEP_SECONDS = 120.0
    # The line for systemd, the card that nobody writes to, what is delivered and not yet deleted.
    agent.vitals.POLL_SECONDS = 120.0
    resources.titles.library.AGAIN_SECONDS = 600.0
    agent.link.outbox.TEND_SECONDS = 60.0
    # How far a story is, its voltage, and what others pause without an order: its limits are waited for to the second.
    resources.playing.deck.BEAT_SECONDS = 20.0
    resources.energy.guard.WATCH_SECONDS = 60.0
    resources.times.keeper.LOOK_SECONDS = 20.0
    # What is kept for good and could not be fetched is tried again sooner: no seed would see it.
    resources.online.opener.AGAIN_SECONDS = 120.0
    # Which version this tree has, and which packages add data points, is read once and not at each start.
    tree: Any = ota.launch.running
    tree._project_version = functools.cache(tree._project_version)  # noqa: SLF001
    packages: Any = agent.product_points
    packages._mentions = functools.cache(packages._mentions)  # noqa: SLF001
    chime: Any = machine.chime
    chime.chime_samples = functools.cache(chime.chime_samples)  # they are always the same
    names: Any = time
    names.tzset = lambda: None  # the zone stays


def look_for_twins(*, are_there: bool) -> None:
    """Let the cloud of the next world look for what others know of two machines with one identity, if it may have such; who must know it at once looks by itself."""
    staging.gateway.twins.LOOK_SECONDS = TWINS_SECONDS if are_there else NEVER
