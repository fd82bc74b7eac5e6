"""The parents' rules: may a story begin, may it go on, and how many seconds are left. It decides only.

Quiet hours go by the local time of `RulesClock`, the daily measure by its date and by the monotonic
clock. With ``then finish`` a story that plays at the limit is heard to its end, at most for an hour. What is
for tonight or today ends by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import field, replace
from datetime import datetime

from machine.errors import UnavailableError
from resources.times.day_book import DayBook
from resources.times.rules_clock import RulesClock
from wire.errors import FieldError
from wire.records import dataclass
from wire.rules import AtLimit, Period, Rules, Tonight, show_minute

# Seconds past the limit in which a story may end: radio has no end.
FINISH_SECONDS = 3600.0
# Seconds ahead in which the begin of quiet hours is looked for: more than the last minute's sign needs.
AHEAD_SECONDS = 180.0
# Minutes of the day. Quiet hours that span midnight, or begin in these, are those of a night.
EVENING, SMALL_HOURS = 17 * 60, 4 * 60
# When a night without quiet hours ends.
NIGHT_END = 6 * 60
DAY_SECONDS = 86400.0
# A day of 25 hours, and the hours after it.
SEARCH_SECONDS = 2 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Night:
    """A rule for one night, in place of the quiet hours ``replaces``.

    It is over at ``until`` (Unix time), in the boot of its order at ``ticks``.
    """

    rule: Period | Tonight
    until: float
    replaces: tuple[Period, ...] = ()
    ticks: float | None = None
    ordered: float = -math.inf


@dataclass(frozen=True, slots=True)
class Bonus:
    """More minutes for the date with the ordinal ``day``; ``ordered``: ticks of this boot, if in it."""

    minutes: int
    day: int
    ordered: float = -math.inf


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored: the rules for all days, and those for one.

    ``damaged``: why what was stored cannot be read, empty if it can; the next order takes its place.
    """

    rules: Rules = field(default_factory=Rules)
    bonus: Bonus | None = None
    night: Night | None = None
    damaged: str = ""


_NOTHING = Kept()


class ParentsRules:
    """The rules in force; call `tick` each second while something plays, and before each question."""

    def __init__(
        self,
        clock: RulesClock,
        book: DayBook,
        ticks: Callable[[], float],
        kept: Kept | None = None,
        name: str = "rules",
    ) -> None:
        """Judge by ``clock`` and ``book``.

        Args:
            clock: the local time.
            book: what was played, or listened to, today.
            ticks: seconds since the machine's start.
            kept: what was stored.
            name: the data point's, for messages.
        """
        self._name = name
        self._clock = clock
        self._book = book
        self._ticks = ticks
        self.kept = kept or Kept()
        """What is to be stored after `order` or `tick` has changed it."""
        self._over_since: float | None = None
        self._shown: tuple[Kept | None, Rules] = None, Rules()

    def order(self, rules: Rules) -> None:
        """Set the rules; a value that is only for today keeps the others.

        Raises:
            FieldError: a bonus without a daily measure.
            UnavailableError: hours, on a machine that never knew the time of day: it could not keep them.
        """
        self.tick(0.0)
        if (rules.quiet or isinstance(rules.tonight, Period)) and not self._clock.dated:
            raise UnavailableError(
                f"{self._name}: the time of day was never known here, so hours cannot be kept yet: "
                "connect the machine to the network first, or give minutes a day"
            )
        keeps = rules.only_today and rules != Rules()
        standing = self.kept.rules if keeps else replace(rules, bonus=None, tonight=None)
        if rules.bonus is not None and standing.daily is None:
            raise FieldError(f"{self._name}.bonus", rules.bonus, 'a "daily" measure beside it')
        bonus, night = (self.kept.bonus, self.kept.night) if keeps else (None, None)
        if rules.bonus is not None:
            bonus = Bonus(rules.bonus, self._book.day, self._ticks())
        self.kept = Kept(standing, bonus, night)
        if rules.tonight is not None:
            self.kept = replace(self.kept, night=self._coming_night(rules.tonight))
        self._over_since = None

    @property
    def rules(self) -> Rules:
        """What is in force, as the data point's value: what is over is left out."""
        self.tick(0.0)
        of, rules = self._shown
        if of is not self.kept:  # it is asked for each minute, and by each status
            bonus, night = self.kept.bonus, self.kept.night
            rules = replace(
                self.kept.rules,
                bonus=bonus.minutes if bonus else None,
                tonight=night.rule if night else None,
            )
            self._shown = self.kept, rules
        return rules

    @property
    def measured(self) -> bool:
        """Whether there is a daily measure."""
        return self.kept.rules.daily is not None

    @property
    def any(self) -> bool:
        """Whether there are rules."""
        return self.kept != _NOTHING

    def tick(self, played: float) -> None:
        """Count ``played`` seconds that end now, and drop what is over."""
        self._book.add(played)
        since_midnight = self._book.turn()
        bonus, night = self.kept.bonus, self.kept.night
        if bonus is not None and bonus.day != self._book.day:
            bonus = self._moved(bonus, since_midnight)
        if night is not None and self._is_over(night):
            night = None
        if (bonus, night) != (self.kept.bonus, self.kept.night):
            self.kept = replace(self.kept, bonus=bonus, night=night)

    def _moved(self, bonus: Bonus, since_midnight: float | None) -> Bonus | None:
        """Keep a bonus that was given today, before the date was known."""
        corrected = since_midnight is None
        if corrected or bonus.ordered >= self._ticks() - (since_midnight or 0.0):
            return replace(bonus, day=self._book.day)
        return None

    def _is_over(self, night: Night) -> bool:
        if night.ticks is not None:
            return self._ticks() >= night.ticks
        return self._clock.now() >= night.until

    # Questions.

    def refusal(self, *, begins: bool = True) -> str | None:
        """Return why nothing may play now, or None.

        Args:
            begins: whether a story is to begin; else the one that is loaded is to go on.
        """
        if not self.refuses(begins=begins):
            return None
        night = self.kept.night
        if begins and night is not None and night.rule is Tonight.LAST:
            return f"{self._name}: nothing more tonight, until {self._local_minute(night)}"
        return self._limit_reason()

    def refuses(self, *, begins: bool = True) -> bool:
        """Return whether there is a `refusal`; to tell until when takes longer."""
        self.tick(0.0)
        return self.refused(begins=begins)

    def refused(self, *, begins: bool = True) -> bool:
        """Return whether there was a `refusal` at the last `tick`."""
        night = self.kept.night
        if begins and night is not None and night.rule is Tonight.LAST:
            return True
        over = self._until_quiet(within=0.0) <= 0 or self._measure_left() <= 0
        return over and (begins or not self._finishing or self._finish_left() <= 0)

    def left(self) -> float | None:
        """Return the seconds until the story that plays must be silent; None: none within minutes.

        Call it only while one plays: the hour in which a story may end begins here.
        """
        limit = min(self._until_quiet(), self._measure_left())
        if self._finishes:
            if limit > 0:
                self._over_since = None
            elif self._over_since is None:
                self._over_since = self._ticks()
            limit = self._finish_left()
        left = min(limit, self._last_left())
        return left if left < math.inf else None

    def story_ended(self) -> None:
        """The story that was to be finished has ended."""
        self._over_since = None

    def status(self) -> dict[str, object]:
        """Return what a parent may want to know: minutes played and left, and the reason for silence."""
        refusal = self.refusal()
        left = self._measure_left()
        return {
            "rules": str(self.rules),
            "playedMinutes": round(self._book.seconds / 60.0, 1),
            "leftMinutes": round(max(left, 0.0) / 60.0, 1) if left < math.inf else None,
            "refusal": refusal,
            "damaged": self.kept.damaged or None,
            "timeIsKnown": self._clock.sure,
        }

    @property
    def _finishes(self) -> bool:
        return self.kept.rules.then is AtLimit.FINISH

    @property
    def _finishing(self) -> bool:
        return self._finishes and self._over_since is not None

    def _finish_left(self) -> float:
        if self._over_since is None:
            return math.inf
        return FINISH_SECONDS - (self._ticks() - self._over_since)

    def _last_left(self) -> float:
        night = self.kept.night
        if night is None or night.rule is not Tonight.LAST:
            return math.inf
        return max(FINISH_SECONDS - (self._ticks() - night.ordered), 0.0)

    def _limit_reason(self) -> str:
        if self._until_quiet(within=0.0) <= 0:
            left = self._clock.first(
                lambda moment: not self._is_quiet(moment), within=SEARCH_SECONDS
            )
            until = "another order" if left is None else self._minute_in(left)
            return f"{self._name}: quiet hours until {until}"
        daily, bonus = self.kept.rules.daily or 0, self.kept.bonus
        return f"{self._name}: today's {daily + (bonus.minutes if bonus else 0)} minutes are over"

    def _measure_left(self) -> float:
        if self.kept.rules.daily is None:
            return math.inf
        bonus = self.kept.bonus.minutes if self.kept.bonus else 0
        return (self.kept.rules.daily + bonus) * 60.0 - self._book.seconds

    def _until_quiet(self, within: float = AHEAD_SECONDS) -> float:
        """Return the seconds until quiet hours begin, 0 in them.

        A machine that has never known the time of day cannot keep them.
        """
        if not self._clock.dated or not (self.kept.rules.quiet or self.kept.night):
            return math.inf
        left = self._clock.first(self._is_quiet, within=within)
        return math.inf if left is None else left

    def _is_quiet(self, moment: datetime) -> bool:
        return _holds(self._periods(), moment)

    def _periods(self) -> tuple[Period, ...]:
        quiet, night = self.kept.rules.quiet, self.kept.night
        if night is None or night.rule is Tonight.LAST:
            return quiet
        others = tuple(period for period in quiet if period not in night.replaces)
        return (*others, night.rule) if isinstance(night.rule, Period) else others

    # The coming night.

    def _coming_night(self, rule: Period | Tonight) -> Night:
        """Return a rule that ends with the night that has begun or comes next."""
        replaces = self._meant_by_tonight()
        nights = [*replaces, rule] if isinstance(rule, Period) else [*replaces]
        left = self._end_of(nights) if nights else self._next(NIGHT_END)
        ticks = self._ticks()
        return Night(rule, self._clock.now() + left, replaces, ticks + left, ticks)

    def _meant_by_tonight(self) -> tuple[Period, ...]:
        """Return the night's quiet hours; where there are none, or others have begun, those."""
        quiet = self.kept.rules.quiet
        nights = tuple(period for period in quiet if _is_of_night(period)) or quiet
        now = self._clock.local(self._clock.now())
        begun = tuple(period for period in quiet if period.holds(_minute(now)))
        return nights if not begun or any(map(_is_of_night, begun)) else begun

    def _end_of(self, nights: list[Period]) -> float:
        begin = (
            self._clock.first(lambda moment: _holds(nights, moment), within=SEARCH_SECONDS) or 0.0
        )
        ends = (
            self._clock.first(
                lambda moment: not _holds(nights, moment), within=SEARCH_SECONDS, after=begin
            ),
            DAY_SECONDS,
        )
        return next(end for end in ends if end is not None)

    def _next(self, minute: int) -> float:
        left = self._clock.first(lambda moment: _minute(moment) == minute, within=SEARCH_SECONDS)
        return DAY_SECONDS if left is None else left

    def _local_minute(self, night: Night) -> str:
        left = (
            night.until - self._clock.now() if night.ticks is None else night.ticks - self._ticks()
        )
        return self._minute_in(left)

    def _minute_in(self, seconds: float) -> str:
        return show_minute(_minute(self._clock.local(self._clock.now() + seconds)))


def _minute(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


def _holds(periods: tuple[Period, ...] | list[Period], moment: datetime) -> bool:
    return any(period.holds(_minute(moment)) for period in periods)


def _is_of_night(period: Period) -> bool:
    return period.begin > period.end or period.begin >= EVENING or period.begin < SMALL_HOURS
