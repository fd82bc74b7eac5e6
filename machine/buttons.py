"""What a button's level over time means: debounced, and as signs of a hand. No I/O; the clock is the caller's.

A level counts when it has stood for 30 ms. A button that is held for very long, that was held when the machine
started, that never comes to rest, or whose line floats is faulty: it gives no signs before it has been left alone.
Times are monotonic seconds, and never go back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Generic, TypeVar

K = TypeVar("K")

# Contacts bounce for 1 to 10 ms, worn ones for 20.
DEBOUNCE_SECONDS = 0.030
# A tap of a child takes 0.1 to 0.25 s.
HOLD_SECONDS = 0.350
# The longest utterance takes 15 s: who still holds the button sits on it.
STUCK_SECONDS = 20.0
# Edges within a second that no contact makes: a floating line, or one beside a motor's.
RESTLESS_EDGES, RESTLESS_WINDOW = 200, 1.0
# Presses within a minute that no hand makes for long: a line that floats slowly.
FLOATING_PRESSES, FLOATING_WINDOW = 60, 60.0
# A faulty button is believed again when it has been at rest for this.
REST_SECONDS = 2.0
# Buttons that are held at the start for this are held on purpose, which a sound says.
WARN_SECONDS = 2.0


class Sign(Enum):
    """What a hand does with a button."""

    PRESS = "it is pressed"
    HOLD = "it is held"
    TAP = "it is released before it counts as held"
    RELEASE = "it is released after it was held"
    FAULT = "it is faulty: what the press began is to end"


class Fault(StrEnum):
    """Why a button gives no signs; the values are shown in ``status``."""

    STUCK = "stuck"
    """It has been pressed for longer than anybody speaks, or since the machine started."""
    RESTLESS = "restless"
    """Its line changes all the time: it is open, or its wire picks up a motor or a radio."""
    FLOATING = "floating"
    """It is pressed again and again, as no hand does."""


class Debounce:
    """Raw levels in, levels that stand out."""

    def __init__(self, *, pressed: bool, now: float) -> None:
        """Begin with a level that stands."""
        self.pressed = pressed
        """The level that stands."""
        self.since = now
        """When the raw level changed last."""
        self._raw = pressed

    def take(self, now: float, *, pressed: bool) -> bool:
        """Take the raw level; return whether it changed."""
        if pressed == self._raw:
            return False
        self._raw, self.since = pressed, now
        return True

    def due(self) -> float | None:
        """Return when `settle` has something to say, None if the level stands."""
        return None if self._raw == self.pressed else self.since + DEBOUNCE_SECONDS

    def settle(self, now: float) -> bool:
        """Return whether the level that stands has changed by ``now``."""
        due = self.due()
        if due is None or now < due:
            return False
        self.pressed = self._raw
        return True


class Button:
    """One button. Give it each level and each time that is `due`; it returns signs, oldest first."""

    def __init__(self, now: float, *, pressed: bool = False) -> None:
        """Begin; one that is ``pressed`` already is stuck until it is released."""
        self.fault: Fault | None = Fault.STUCK if pressed else None
        """Why it gives no signs now."""
        self._level = Debounce(pressed=pressed, now=now)
        self._pressed_at: float | None = None
        self._held = False
        self._edges: deque[float] = deque(maxlen=RESTLESS_EDGES)
        self._presses: deque[float] = deque(maxlen=FLOATING_PRESSES)

    def take(self, now: float, *, pressed: bool) -> list[Sign]:
        """Take the raw level at ``now``."""
        signs = self.tick(now)
        if self._level.take(now, pressed=pressed):
            self._edges.append(now)
            if _all_within(self._edges, RESTLESS_WINDOW):
                signs += self._fail(Fault.RESTLESS)
            signs += self.tick(now)  # a bounce is over in which it came to be held
        return signs

    def due(self) -> float | None:
        """Return when `tick` is to be called next, None if only a new level changes anything."""
        times = [self._level.due(), self._next_of_press(), self._rest_over()]
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: float) -> list[Sign]:
        """Let the time be ``now``."""
        signs: list[Sign] = []
        # Of several that are due after a late wake-up the earliest comes first: a hold before its release.
        while (due := self.due()) is not None and due <= now:
            signs += self._step(due)
        return signs

    def _step(self, now: float) -> list[Sign]:
        if self._level.settle(now):
            return self._settled(now)
        if self._rest_over() == now:
            self.fault = None
            self._edges.clear()
            self._presses.clear()
            return []
        return self._held_for(now)

    def _settled(self, now: float) -> list[Sign]:
        if self.fault is not None:
            return []
        if not self._level.pressed:
            return self._released()
        self._presses.append(now)
        if _all_within(self._presses, FLOATING_WINDOW):
            return self._fail(Fault.FLOATING)
        self._pressed_at, self._held = self._level.since, False
        return [Sign.PRESS]

    def _released(self) -> list[Sign]:
        held, self._held = self._held, False
        began, self._pressed_at = self._pressed_at, None
        if began is None:
            return []
        return [Sign.RELEASE if held else Sign.TAP]

    def _next_of_press(self) -> float | None:
        """Return when the press becomes a hold, or a stuck button; None without one."""
        if self._pressed_at is None:
            return None
        released_at = None if self._level.due() is None else self._level.since
        at = self._pressed_at + (STUCK_SECONDS if self._held else HOLD_SECONDS)
        # Released, though not yet for 30 ms: it was held only if that was later.
        return at if released_at is None or at < released_at else None

    def _held_for(self, _now: float) -> list[Sign]:
        if self._held:
            return self._fail(Fault.STUCK)
        self._held = True
        return [Sign.HOLD]

    def _fail(self, fault: Fault) -> list[Sign]:
        self.fault = fault
        pressed, self._pressed_at, self._held = self._pressed_at is not None, None, False
        return [Sign.FAULT] if pressed else []

    def _rest_over(self) -> float | None:
        """Return when a faulty button is believed again; None while it is pressed."""
        if self.fault is None or self._level.pressed or self._level.due() is not None:
            return None
        return self._level.since + REST_SECONDS


class Held(Enum):
    """What buttons that are held while the machine starts have come to."""

    WARNED = "somebody holds them: it will be done unless they let go"
    DONE = "they were held for the whole time"


class HeldAtStart(Generic[K]):
    """Tells whether all of some buttons were held when the machine started, and stay so for a time.

    What was let go once, or was not pressed at the start, never counts: a hand that comes later means something else.
    """

    def __init__(self, keys: frozenset[K], seconds: float) -> None:
        """Wait for ``keys`` to be held for ``seconds``."""
        self._keys = keys
        self._missing = set(keys)
        self._seconds = seconds
        self._since: float | None = None
        self._warned = False
        self._is_over = not keys

    def begin(self, levels: Mapping[K, bool], now: float) -> None:
        """Take the levels of a source that was just opened."""
        for key, pressed in levels.items():
            if key not in self._missing:
                continue
            if pressed:
                self._missing.discard(key)
            else:
                self._is_over = True
        if not self._missing and not self._is_over and self._since is None:
            self._since = now

    def release(self, key: K) -> None:
        """Note that ``key`` was let go."""
        self._is_over = self._is_over or key in self._keys

    def due(self) -> float | None:
        """Return when `tick` is to be called next, None if nothing is waited for."""
        if self._is_over or self._since is None:
            return None
        return self._since + (self._seconds if self._warned else min(WARN_SECONDS, self._seconds))

    def tick(self, now: float) -> Held | None:
        """Let the time be ``now``."""
        due = self.due()
        if due is None or now < due:
            return None
        if not self._warned:
            self._warned = True
            return Held.WARNED
        self._is_over = True
        return Held.DONE


def _all_within(times: deque[float], window: float) -> bool:
    """Return whether there are as many of ``times`` as are remembered, all of them within ``window`` seconds."""
    return len(times) == times.maxlen and times[-1] - times[0] <= window
