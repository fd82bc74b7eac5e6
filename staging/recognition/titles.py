"""Finds the title of a list that sounds most like what was heard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from staging.recognition.phonetics import Sound, apart, distance, distance_within, sounds
from staging.recognition.sound_index import SoundIndex
from wire.sentence import normalise

# A third of the syllables may be wrong: a recogniser's texts for five real titles stayed below
# this.
THRESHOLD = 0.35
# Two titles whose scores differ by less than this are ambiguous.
MARGIN = 0.08
# A match of a part of a title (小兔子 for 小兔子乖乖) is less certain than one of the whole.
PART_COST = 0.1
# A single syllable occurs in too many titles.
PART_MIN = 2
# A title that is said alone, without 播放, is played if it is heard so well; with less it is offered.
ALONE, ALONE_OFFERED = 0.12, 0.3
# A part that is said alone is at least so much of the title: 妈妈 is no wish for 世上只有妈妈好.
ALONE_PART, ALONE_PART_WRONG = 0.4, 0.1
# How many titles are named when none is found: more cannot be remembered by ear.
NEAREST = 2
# How many titles are compared in full; each takes some 30 µs.
COMPARED = 100


class NoTitleError(Exception):
    """No title is similar enough, or several are; ``nearest`` has up to two, nearest first."""

    def __init__(self, message: str, nearest: Sequence[str] = ()) -> None:
        """Keep the titles that the message may name."""
        super().__init__(message)
        self.nearest = tuple(nearest)


@dataclass(frozen=True, slots=True)
class Match:
    """A title and its distance from what was heard: 0.0 the same, 1.0 nothing in common."""

    title: str
    score: float


class TitleIndex:
    """A title list prepared for searches; made once and used many times."""

    def __init__(self, titles: Iterable[str]) -> None:
        """Index ``titles``, which need not be normalised."""
        # A title that occurs twice, say in two folders, must not be ambiguous with itself.
        unique = {normalise(title): title for title in titles}
        self._written = unique
        self._titles = [(title, sounds(plain)) for plain, title in unique.items()]
        self._sounds = SoundIndex(said for _, said in self._titles)

    @property
    def titles(self) -> list[str]:
        """The titles, in the order given."""
        return [title for title, _ in self._titles]

    def exact(self, heard: str) -> str | None:
        """Return the title that is written like ``heard``, but for case, script and punctuation."""
        return self._written.get(normalise(heard))

    def find(self, heard: str) -> Match:
        """Return the title that sounds most like ``heard``.

        Raises:
            NoTitleError: none is similar enough, or two are about equally similar.
        """
        wanted = sounds(normalise(heard))
        ranked = sorted(
            (Match(title, score(wanted, said)) for title, said in self._like(wanted)),
            key=lambda match: match.score,
        )
        nearest = [match.title for match in ranked[:NEAREST]]
        if not ranked or ranked[0].score > THRESHOLD:
            named = f"; the nearest is {nearest[0]}" if nearest else ""
            raise NoTitleError(f"no title sounds like {heard}{named}", nearest)
        best, rivals = ranked[0], ranked[1:2]
        if rivals and best.score and rivals[0].score - best.score < MARGIN:
            raise NoTitleError(f"{heard} may be {best.title} or {rivals[0].title}", nearest)
        return best

    def alone(self, heard: str) -> Match | None:
        """Return the title that a sentence of nothing else is, None if it is not like one.

        Raises:
            NoTitleError: it resembles a title, but may also be something else.
        """
        wanted = sounds(normalise(heard))
        ranked = sorted(
            (Match(title, _alone(wanted, said)) for title, said in self._like(wanted)),
            key=lambda match: match.score,
        )
        near = [match for match in ranked[:NEAREST] if match.score <= ALONE_OFFERED]
        if not near:
            return None
        clear = len(near) == 1 or near[0].score == 0.0 or near[1].score - near[0].score >= MARGIN
        if near[0].score <= ALONE and clear:
            return near[0]
        nearest = [match.title for match in near]
        raise NoTitleError(f"{heard} may be the title {' or '.join(nearest)}", nearest)

    def any_alone(self, names: Sequence[str]) -> Match | None:
        """Return the title that one of several readings of a sentence is, as `alone` does."""
        doubt: NoTitleError | None = None
        for name in names:
            try:
                if (match := self.alone(name)) is not None:
                    return match
            except NoTitleError as error:
                doubt = doubt or error
        if doubt is not None:
            raise doubt
        return None

    def near(self, heard: Sequence[Sequence[Sound]], count: int) -> list[Match]:
        """Return the ``count`` titles that sound most like a stretch of one of several texts."""
        found: dict[str, float] = {}
        for text in heard:
            for title, said in self._like(text):
                found[title] = min(found.get(title, 1.0), apart(said, text))
        ranked = sorted(found.items(), key=lambda pair: pair[1])
        return [Match(title, score) for title, score in ranked[:count]]

    def _like(self, heard: Sequence[Sound]) -> list[tuple[str, tuple[Sound, ...]]]:
        return [self._titles[place] for place in self._sounds.like(heard, COMPARED)]


def score(heard: Sequence[Sound], title: Sequence[Sound]) -> float:
    """Return the distance of two runs of syllables, 0.0 to 1.0; part of a title scores low too."""
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


def _alone(heard: Sequence[Sound], title: Sequence[Sound]) -> float:
    """Return the distance of a title and all that was heard; of a part that is enough to offer it, ALONE_OFFERED."""
    if not heard or not title:
        return 1.0
    whole = distance(heard, title) / max(len(heard), len(title))
    is_part = PART_MIN <= len(heard) < len(title) and len(heard) >= ALONE_PART * len(title)
    if is_part and distance_within(heard, title) / len(heard) <= ALONE_PART_WRONG:
        return min(whole, ALONE_OFFERED)
    return whole
