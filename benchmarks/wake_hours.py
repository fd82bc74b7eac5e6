"""The matcher of `audio.wake_match` over many hours at once, in numpy: as exact, and a hundred times as fast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from audio.embedding import SIZE, STEP_SECONDS
from audio.wake_match import COOLDOWN_SECONDS, HOPELESS, SLOWEST, STRETCH, Template

# An array of float32: the types must hold where numpy is not installed.
Floats: TypeAlias = Any
LANES = 96
# A word is not longer: where one lane ends the next has begun so much before.
OVERLAP = 120
BIG = np.float32(1e6)


def shares(files: Sequence[Path], templates: Sequence[Template]) -> Floats:
    """Return for each point of the files the smallest share of a threshold, as `Matcher` would see it."""
    heard = np.concatenate([np.load(path) for path in files]).astype(np.float32)
    heard /= np.linalg.norm(heard, axis=1, keepdims=True)
    length = -(-len(heard) // LANES)
    padded: Floats = np.zeros((LANES * length + OVERLAP, SIZE), np.float32)
    padded[OVERLAP : OVERLAP + len(heard)] = heard
    lanes = np.stack([padded[at * length : (at + 1) * length + OVERLAP] for at in range(LANES)])
    best = np.full((LANES, length + OVERLAP), BIG)
    for template in templates:
        points = np.array(template.points, np.float32)
        away = 1 - lanes @ points.T
        best = np.minimum(best, _worst(away) / np.float32(template.threshold))
    return best[:, OVERLAP:].reshape(-1)[: len(heard)]


def _worst(away: Floats) -> Floats:
    """Return the distance of the path that ends at each step of each lane; ``away`` is lanes by steps by points."""
    lanes, steps, size = away.shape
    cost, count = np.full((lanes, size), BIG), np.ones((lanes, size), np.float32)
    mean, last, worst = cost.copy(), cost.copy(), cost.copy()
    told = np.full((lanes, steps), BIG)
    for step in range(steps):
        now = away[:, step]
        moved = [_moved(each) for each in (cost, count, mean, last, worst)]
        means = np.stack(moved[2])
        # As `Track.step`: the point itself, then the one before, then the one before that, if it is nearer.
        take = means.argmin(axis=0)[None]
        cost, count, mean, last, worst = (
            np.take_along_axis(np.stack(each), take, 0)[0] for each in moved
        )
        dead = mean >= BIG
        cost, count, last = cost + now, count + 1, last + np.float32(STRETCH) * (now - last)
        worst, mean = np.maximum(worst, last), cost / count
        mean[dead | (mean > HOPELESS)] = BIG
        for each in (cost, mean, last, worst):
            each[:, 0] = now[:, 0]
        count[:, 0] = 1
        good = (mean[:, -1] < BIG) & (count[:, -1] <= SLOWEST * size)
        told[:, step] = np.where(good, worst[:, -1], BIG)
    return told


def _moved(row: Floats) -> list[Floats]:
    """Return the row itself, and as it is one and two points later."""
    one, two = np.full_like(row, BIG), np.full_like(row, BIG)
    one[:, 1:], two[:, 2:] = row[:, :-1], row[:, :-2]
    return [row, one, two]


def count_hits(seen: Floats) -> int:
    """Return how often a word would have been heard, with its cooldown."""
    hits, rest = 0, 0
    for at in np.flatnonzero(seen <= 1.0):
        if at >= rest:
            hits, rest = hits + 1, int(at) + 1 + round(COOLDOWN_SECONDS / STEP_SECONDS)
    return hits
