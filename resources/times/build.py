"""Builds the keeper of a machine from what the last run has stored."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from base.clock import boot_id, boot_ticks
from resources.announce.cues import Cue
from resources.playing.teller import Teller
from resources.times.day_book import DayBook
from resources.times.evening import Evening
from resources.times.keeper import ChangeListener, Keeper
from resources.times.records import Records
from resources.times.rules import ParentsRules
from resources.times.rules_clock import LocalTime, RulesClock, Time
from resources.times.sleep_timer import SleepTimer
from resources.times.store import TimesStore
from wire.errors import WireError

_log = logging.getLogger(__name__)


def local_time(seconds: float) -> datetime:
    """Return the local time of a Unix time, in the zone that the machine has now."""
    time.tzset()  # /etc/localtime may have been replaced since the start
    return datetime.fromtimestamp(seconds)  # noqa: DTZ006  # local time is intended


def build_keeper(
    teller: Teller,
    trusted: Time,
    state: Path,
    on_change: ChangeListener,
    *,
    say: Callable[[Cue], bool] = lambda _cue: False,
    ticks: Callable[[], float] = boot_ticks,
    boot: str | None = None,
    local: LocalTime = local_time,
) -> Keeper:
    """Return the keeper of ``teller``.

    Args:
        teller: plays.
        trusted: the trusted time.
        state: the state folder.
        on_change: called with a data point's name and value when it changes without a PUT.
        say: says a cue, or returns False: then the level dips instead.
        ticks: seconds since the machine's start, sleep included.
        boot: the id of that start; None: the kernel's.
        local: the local time of a Unix time.
    """
    store, boot = TimesStore(state), boot_id() if boot is None else boot
    played, seen, dated = store.load_played() or (None, None, False)
    clock = RulesClock(trusted, ticks, boot, local, seen, dated=dated)
    book = DayBook(clock, ticks, played)
    timer = SleepTimer(ticks, boot)
    try:
        timer.restore(store.load_timer())
    except WireError as error:
        _log.error("the sleep timer cannot be read, and is off: %s", error)
    evening = Evening(timer, ParentsRules(clock, book, ticks, store.load_rules()), ticks)
    return Keeper(teller, evening, Records(store, evening, clock, book, ticks), on_change, say)
