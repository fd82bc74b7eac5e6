"""Whether a wake word was just said: the last points of speech against a family's own recordings of it.

Dynamic time warping, one point at a time: for each recording (a template), the cheapest path through it that
ends now. A word said slower or faster is the same word. What counts is the path's worst stretch, not its mean: of
two names that differ in one syllable the mean tells little. Pure, and plain Python: numpy would be 20 MB for it.
docs/wake.md has what was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import mul

from audio.embedding import STEP_SECONDS, Point

# A path whose mean distance is above this is given up: other speech costs 0.3 and more, a word 0.02 to 0.09.
HOPELESS = 0.25
# How much a new point tells of the stretch at the path's end: about four points, 0.3 s, are a syllable.
STRETCH = 0.25
# A word may be said twice as slowly as it was recorded; twice as fast is the widest step.
SLOWEST = 2.2
# Of a threshold: what is so near above it is counted as a near miss.
NEAR = 1.4
# After a hit the word is still in the last points.
COOLDOWN_SECONDS = 2.0
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Template:
    """One recording of a word: its points, and the distance up to which speech is this word."""

    points: tuple[Point, ...]
    threshold: float


@dataclass(frozen=True, slots=True)
class Word:
    """A wake word with its recordings."""

    name: str
    templates: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A word, or what was near to one.

    Attributes:
        word: its name.
        hit: whether it was the word.
        distance: that of the worst stretch of it to the nearest recording; 0 is the recording itself.
        share: of the recording's threshold; up to 1 is a hit.
    """

    word: str
    hit: bool
    distance: float
    share: float


class Track:
    """The paths through one template, fed point by point."""

    def __init__(self, points: Sequence[Point]) -> None:
        """Follow ``points``, at least one."""
        if not points:
            raise ValueError("points: got none, expected one or more")
        self._points = points
        self._longest = SLOWEST * len(points)
        self.reset()

    def reset(self) -> None:
        """Forget the paths, as after a silence."""
        # For each point of the template the best path that ends there now: its cost, points and mean, the
        # distance of its last stretch, and of its worst one.
        size = len(self._points)
        self._costs, self._lengths, self._means = [NEVER] * size, [1] * size, [NEVER] * size
        self._lasts, self._worsts = [NEVER] * size, [NEVER] * size

    def step(self, heard: Point) -> float:
        """Return the distance of the best path through the whole template that ends with ``heard``."""
        means = self._means
        # From the last point to the first, so that what is read is still of the step before.
        for at in range(len(means) - 1, 0, -1):
            best = at if means[at] <= means[at - 1] else at - 1
            if at > 1 and means[at - 2] < means[best]:
                best = at - 2
            self._go(best, at, heard)
        first = distance(self._points[0], heard)
        means[0] = self._costs[0] = self._lasts[0] = self._worsts[0] = first
        if means[-1] == NEVER or self._lengths[-1] > self._longest:
            return NEVER
        return self._worsts[-1]

    def _go(self, before: int, at: int, heard: Point) -> None:
        """Lead the path that ended ``before`` to ``at``, unless it is hopeless."""
        if self._means[before] == NEVER:
            self._means[at] = NEVER
            return
        away = distance(self._points[at], heard)
        cost, length = self._costs[before] + away, self._lengths[before] + 1
        last = self._lasts[before] + STRETCH * (away - self._lasts[before])
        self._costs[at], self._lengths[at], self._lasts[at] = cost, length, last
        self._worsts[at] = max(self._worsts[before], last)
        mean = cost / length
        self._means[at] = mean if mean <= HOPELESS else NEVER


def distance(one: Point, other: Point) -> float:
    """Return 1 - the cosine of two points of length 1: 0 the same, 1 nothing in common."""
    product: float = sum(map(mul, one, other))
    return 1.0 - product


@dataclass(slots=True)
class _Tracked:
    """A word while it is listened for; ``nearest`` is the smallest share since it last was near."""

    word: Word
    tracks: list[Track]
    nearest: float = NEVER
    distance: float = NEVER


@dataclass(slots=True)
class Matcher:
    """Listens for words; feed it every point in its order.

    Attributes:
        hits, near: how often each word came, and came near, since the start.
    """

    words: Sequence[Word]
    cooldown: float = COOLDOWN_SECONDS
    hits: dict[str, int] = field(default_factory=dict)
    near: dict[str, int] = field(default_factory=dict)
    _followed: list[_Tracked] = field(init=False)
    _rest: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._followed = [_Tracked(w, [Track(t.points) for t in w.templates]) for w in self.words]

    def reset(self) -> None:
        """Begin again, as after a silence: a word has no gap of a second in it."""
        for each in self._followed:
            each.nearest = NEVER
            for track in each.tracks:
                track.reset()

    def step(self, heard: Point) -> Found | None:
        """Take the next point; return what it completes."""
        if self._rest > 0:
            self._rest -= 1
            return None
        found = [f for each in self._followed if (f := self._follow(each, heard)) is not None]
        best = min(found, key=lambda f: (not f.hit, f.share), default=None)
        if best is not None:
            counts = self.hits if best.hit else self.near
            counts[best.word] = counts.get(best.word, 0) + 1
            if best.hit:
                self.reset()
                self._rest = round(self.cooldown / STEP_SECONDS)
        return best

    def rest(self, seconds: float) -> None:
        """Take a time in which nothing sounded: a word has no such gap in it."""
        self._rest = max(0, self._rest - round(seconds / STEP_SECONDS))
        self.reset()

    def _follow(self, each: _Tracked, heard: Point) -> Found | None:
        shares = [
            (distance / template.threshold, distance)
            for track, template in zip(each.tracks, each.word.templates, strict=True)
            if (distance := track.step(heard)) < NEVER
        ]
        share, nearest = min(shares, default=(NEVER, NEVER))
        if share <= 1.0:
            return Found(each.word.name, hit=True, distance=nearest, share=share)
        if share <= NEAR:
            if share < each.nearest:
                each.nearest, each.distance = share, nearest
            return None
        # A near miss is told when it is over: the next point might have made it a hit.
        missed, each.nearest = each.nearest, NEVER
        if missed == NEVER:
            return None
        return Found(each.word.name, hit=False, distance=each.distance, share=missed)


def nearest(points: Sequence[Point], heard: Iterable[Point]) -> float:
    """Return the smallest distance of the template ``points`` anywhere in ``heard``."""
    track = Track(points)
    return min((track.step(point) for point in heard), default=NEVER)
