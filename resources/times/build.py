"""Builds the keeper of a machine from what the last run has stored."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from base.clock import TrustedTime, boot_id, boot_ticks
from base.local_time import is_known
from resources.announce.cues import Cue
from resources.playing.teller import Teller
from resources.times.day_book import DayBook
from resources.times.evening import Evening
from resources.times.keeper import ChangeListener, Keeper
from resources.times.records import Records
from resources.times.rules import ParentsRules
from resources.times.rules_clock import LocalTime, RulesClock
from resources.times.sleep_timer import SleepTimer
from resources.times.store import TimesStore
from wire.errors import WireError
from wire.records import dataclass

_log = logging.getLogger(__name__)


def in_this_zone(seconds: float) -> datetime:
    """Return the local time of a Unix time, in the zone that the machine has now."""
    time.tzset()  # /etc/localtime may have been replaced since the start
    return datetime.fromtimestamp(seconds)  # noqa: DTZ006  # local time is intended


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of a machine beside the trusted time.

    Attributes:
        ticks: seconds since the machine's start, sleep included.
        boot: the id of that start.
        local: the local time of a Unix time.
        known: whether the time is known now.
    """

    ticks: Callable[[], float]
    boot: str
    local: LocalTime
    known: Callable[[], bool]


def real_clocks(trusted: TrustedTime) -> Clocks:
    """Return the clocks of the machine that this runs on."""
    return Clocks(boot_ticks, boot_id(), in_this_zone, functools.partial(is_known, trusted))


def build_keeper(
    teller: Teller,
    trusted: TrustedTime,
    state: Path,
    on_change: ChangeListener,
    *,
    say: Callable[[Cue], bool] = lambda _cue: False,
    clocks: Clocks | None = None,
) -> Keeper:
    """Return the keeper of ``teller``.

    Args:
        teller: plays.
        trusted: the trusted time.
        state: the state folder.
        on_change: called with a data point's name and value when it changes without a PUT.
        say: says a cue, or returns False: then the level dips instead.
        clocks: None: the machine's.
    """
    clocks = clocks or real_clocks(trusted)
    ticks, boot, store = clocks.ticks, clocks.boot, TimesStore(state)
    played, seen, dated = store.load_played() or (None, None, False)
    clock = RulesClock(trusted, ticks, boot, clocks.local, clocks.known, seen, dated=dated)
    book = DayBook(clock, ticks, played)
    timer = SleepTimer(ticks, boot, clock.until_minute)
    try:
        timer.restore(store.load_timer())
    except WireError as error:
        _log.error("the sleep timer cannot be read, and is off: %s", error)
    evening = Evening(timer, ParentsRules(clock, book, ticks, store.load_rules()), ticks)
    return Keeper(teller, evening, Records(store, evening, clock, book, ticks), on_change, say)
