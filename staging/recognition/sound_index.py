"""Which of thousands of titles may sound like what was heard, before each is compared in full.

A syllable's key is the class of its initial and that of its final, where sounds that recognisers
confuse are of one class; two finals that follow each other are a key too. The keys of each title are looked up, not compared, so that ten thousand
titles take milliseconds.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from staging.recognition.phonetics import Sound

_INITIALS = ("b p", "d t", "g k h f", "j q x z c s zh ch sh", "m", "n l r")
_FINALS = ("a ia ua", "an ang ian iang uan uang van", "en eng in ing un ong iong ven vn", "e o uo ou iu",
           "ai uai ei ui", "i v", "u", "ao iao", "ie ve er")  # fmt: skip
_INITIAL_CLASS = {sound: group for group, line in enumerate(_INITIALS) for sound in line.split()}
_FINAL_CLASS = {sound: group for group, line in enumerate(_FINALS) for sound in line.split()}


class SoundIndex:
    """Runs of syllables by their keys; a run is known by its place in the list given."""

    def __init__(self, runs: Iterable[Sequence[Sound]]) -> None:
        """Index ``runs``."""
        self._where: dict[tuple[int | str, ...], list[int]] = defaultdict(list)
        self._sizes: list[int] = []
        for place, run in enumerate(runs):
            self._sizes.append(len(run) or 1)
            for key in _keys(run):
                self._where[key].append(place)

    def like(self, heard: Sequence[Sound], count: int) -> list[int]:
        """Return the places of the ``count`` runs that share most with ``heard``."""
        if len(self._sizes) <= count:
            return list(range(len(self._sizes)))
        hits = [0] * len(self._sizes)
        for key in _keys(heard):
            for place in self._where.get(key, ()):
                hits[place] += 1
        size = len(heard) or 1
        # A part of a title may be all that was said, and a title all of a part of what was heard.
        shares = ((hit / min(size, whole), place) for place, (hit, whole) in enumerate(zip(hits, self._sizes, strict=True)) if hit)  # fmt: skip
        return [place for _, place in heapq.nlargest(count, shares)]


def _keys(run: Sequence[Sound]) -> set[tuple[int | str, ...]]:
    """Return three keys a syllable: its final, its initial and final, its final and the next one."""
    keys: set[tuple[int | str, ...]] = set()
    finals = [_FINAL_CLASS.get(sound.final, sound.final) for sound in run]
    for sound, final in zip(run, finals, strict=True):
        keys.add((final,))
        keys.add(("both", _INITIAL_CLASS.get(sound.initial, -1), final))
    keys.update(("next", one, other) for one, other in pairwise(finals))
    return keys
