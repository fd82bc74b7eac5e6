"""A thousand of our own machines come back to a cloud that restarted: no second holds more than 3 % of their reconnects.

The pace is the agent's own (`agent.link.pace`); only the clock is the test's.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from agent.link import LostError
from agent.link.pace import Pace
from agent.settings import LinkSettings

SEEDS = 1000
# The cloud restarts five times, and each machine was registered for as many seconds before.
RESTARTS, LIVED = 5, 400.0
# Of all reconnects: what a second may hold.
SHARE = 0.03


def reconnects(seed: int, away: float) -> list[float]:
    """Return when one machine is in again after each restart, where the cloud is away for so many seconds."""
    pace = Pace(LinkSettings(), rng=random.Random(seed))
    found = []
    for restart in range(RESTARTS):
        gone = restart * 10 * LIVED
        at = gone + pace.wait_after(LostError("the cloud restarts"), LIVED)
        while at < gone + away:  # nobody listens yet
            at += pace.wait_after(LostError("refused"), None)
        found.append(at)
    return found


@pytest.mark.parametrize("away", [0.0, 2.0, 60.0])
def test_no_second_holds_more_than_its_share_of_the_reconnects(away: float) -> None:
    found = Counter(int(at) for seed in range(SEEDS) for at in reconnects(seed, away))
    assert found.total() == SEEDS * RESTARTS
    worst = max(found.values()) / found.total()
    assert worst <= SHARE, f"{worst:.1%}"
