"""Which title of a catalogue a child meant, by how it sounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from staging.recognition.phonetics import Sound, distance, distance_within, sounds
from staging.recognition.text import normalise

# A third of the syllables may be wrong: what a recogniser made of five real titles stayed under it.
THRESHOLD = 0.35
# Nearer than this to each other two titles cannot be told apart by ear.
MARGIN = 0.08
# A part of a title (小兔子 for 小兔子乖乖) is less sure than all of it.
PART_COST = 0.1
# One syllable is in too many titles.
PART_MIN = 2


class NoTitleError(Exception):
    """No title is near enough, or several are; the message says which were near."""


@dataclass(frozen=True, slots=True)
class Match:
    """A title, and how unlike what was heard it is: 0.0 the same, 1.0 nothing in common."""

    title: str
    score: float


class TitleIndex:
    """A catalogue ready to be compared with; made once for many questions."""

    def __init__(self, titles: Iterable[str]) -> None:
        """Take the titles as people write them."""
        # The same title twice, say in two folders, must be no rival of itself.
        unique = {normalise(title): title for title in titles}
        self._titles = [(title, sounds(plain)) for plain, title in unique.items()]

    @property
    def titles(self) -> list[str]:
        """The titles, in the order given."""
        return [title for title, _ in self._titles]

    def find(self, heard: str) -> Match:
        """Return the title that was meant.

        Raises:
            NoTitleError: none is near enough, or two are as near as each other.
        """
        wanted = sounds(normalise(heard))
        ranked = sorted(
            (Match(title, score(wanted, said)) for title, said in self._titles),
            key=lambda match: match.score,
        )
        if not ranked or ranked[0].score > THRESHOLD:
            nearest = f"; the nearest is {ranked[0].title}" if ranked else ""
            raise NoTitleError(f"no title sounds like {heard}{nearest}")
        best, rivals = ranked[0], ranked[1:2]
        if rivals and best.score and rivals[0].score - best.score < MARGIN:
            raise NoTitleError(f"{heard} may be {best.title} or {rivals[0].title}")
        return best


def score(heard: Sequence[Sound], title: Sequence[Sound]) -> float:
    """Return how unlike two runs of syllables are, 0.0 to 1.0; a part counts as nearly the whole."""
    longest = max(len(heard), len(title))
    if not heard or not title:
        return 1.0
    whole = distance(heard, title) / longest
    part, all_of_it = sorted((heard, title), key=len)
    if len(part) < PART_MIN:
        return whole
    missing = 1 - len(part) / longest
    within = distance_within(part, all_of_it) / len(part)
    return min(whole, within + PART_COST * (1 + missing))
