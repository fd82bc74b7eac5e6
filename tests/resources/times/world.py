"""A house with a story machine: the true time, the machine's clocks, and starts with or without the time."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from base.clock import Known, TrustedTime
from resources.times.day_book import DayBook, Played
from resources.times.rules import Kept, ParentsRules
from resources.times.rules_clock import RulesClock
from wire.rules import parse_rules

BERLIN = "Europe/Berlin"


class World:
    """Time passes only by `advance`; what survives a start is kept in `stored`."""

    def __init__(self, local: str = "2026-11-26 18:00", zone: str = BERLIN) -> None:
        self.zone = ZoneInfo(zone)
        self.true = self.at(local)
        self.boots = 0
        self.stored: tuple[Kept, Played, Known, bool] | None = None
        self.start()

    def at(self, local: str) -> float:
        return datetime.fromisoformat(local).replace(tzinfo=self.zone).timestamp()

    def local(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, self.zone)

    @property
    def here(self) -> datetime:
        return self.local(self.true)

    def start(self, *, knows: bool = True) -> None:
        """Start the machine; without the time its clock begins in 1970."""
        self.boots += 1
        self.ticks = 0.0
        self.ahead = 0.0 if knows else -self.true
        self.trusted = TrustedTime(
            wall=lambda: self.true + self.ahead, ticks=lambda: self.ticks, boot=str(self.boots)
        )
        kept, played, seen, dated = self.stored or (Kept(), None, None, False)
        # As on disk: the ticks of an earlier start mean nothing in this one.
        bonus = replace(kept.bonus, ordered=-math.inf) if kept.bonus else None
        night = replace(kept.night, ticks=None, ordered=-math.inf) if kept.night else None
        kept = Kept(kept.rules, bonus, night)
        self.clock = RulesClock(
            self.trusted,
            lambda: self.ticks,
            str(self.boots),
            self.local,
            self.knows,
            seen,
            dated=dated,
        )
        self.book = DayBook(self.clock, lambda: self.ticks, played)
        self.rules = ParentsRules(self.clock, self.book, lambda: self.ticks, kept)
        self.rules.tick(0.0)

    def knows(self) -> bool:
        return self.trusted.from_cloud or self.trusted.believes_clock

    def restart(self, *, off: float = 20.0, knows: bool = True) -> None:
        """Store all, pull the battery, and start again ``off`` seconds later."""
        self.store()
        self.true += off
        self.start(knows=knows)

    def store(self) -> None:
        seen = self.clock.note()
        self.stored = self.rules.kept, self.book.played(), seen, self.clock.dated

    def sync(self) -> None:
        """The cloud tells the time."""
        self.ahead = 0.0
        self.trusted.note_cloud(self.true)

    def advance(self, seconds: float) -> None:
        self.true += seconds
        self.ticks += seconds
        self.rules.tick(0.0)

    def play(self, seconds: float) -> None:
        """Play for ``seconds``, counted each second as the keeper does."""
        whole = int(seconds)
        for step in (*[1.0] * whole, seconds - whole):
            self.true += step
            self.ticks += step
            self.rules.tick(step)

    def order(self, text: str) -> None:
        self.rules.order(parse_rules(text))

    @property
    def value(self) -> str:
        return str(self.rules.rules)

    @property
    def used(self) -> float:
        """Minutes played today."""
        self.rules.tick(0.0)
        return round(self.book.seconds / 60, 3)
