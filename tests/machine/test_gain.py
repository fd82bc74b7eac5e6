"""Gains and fades on a virtual clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.gain import LOUDEST_DB, SILENT_DB, Gain, to_volume

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
STEP_DB = 0.5
VOLUME_MAX = 300

LEVELS = st.floats(SILENT_DB - 20, LOUDEST_DB + 20)
SECONDS = st.just(0.0) | st.floats(0.01, 60)


@pytest.mark.parametrize(
    ("db", "volume"),
    [(0.0, 100.0), (-20.0, 46.4), (-42.0, 20.0), (-60.0, 0.0), (-99.0, 0.0), (12.0, 158.5), (24.0, 251.2), (40.0, 251.2)],
)  # fmt: skip
def test_mpvs_volume_is_cubic(db: float, volume: float) -> None:
    assert to_volume(db) == pytest.approx(volume, abs=0.1)
    assert to_volume(db, 50.0) == pytest.approx(volume / 2, abs=0.1)


def test_the_loudest_is_within_mpvs_limit() -> None:
    assert to_volume(LOUDEST_DB) < VOLUME_MAX


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(LEVELS, SECONDS, st.floats(0, 90)), max_size=6))
def test_a_fade_goes_in_small_steps_and_ends_where_it_was_to_end(
    fades: list[tuple[float, float, float]],
) -> None:
    clock = Clock()
    gain = Gain(clock)
    level = 0.0
    for to_db, seconds, stays in fades:
        fade = gain.begin_fade(to_db, seconds)
        assert fade.db(clock.now) == pytest.approx(level if seconds else to_db)
        end, before = clock.now + stays, fade.db(clock.now)
        while (wait := gain.next_step()) is not None and clock.now + wait <= end:
            clock.now += wait
            now = fade.db(clock.now)
            assert abs(now - before) <= max(STEP_DB, 0.021 * abs(to_db - level) / seconds) + 1e-6
            before = now
        clock.now = end
        level = fade.db(clock.now)
        if stays > seconds:
            assert level == to_db


def test_a_new_source_begins_at_its_own_gain_unless_the_fade_is_kept() -> None:
    clock = Clock()
    gain = Gain(clock)
    gain.begin_fade(-40.0, 20.0)
    clock.now += 10.0
    gain.begin(-3.0, 100.0, keep_fade=True)
    assert gain.volume == pytest.approx(to_volume(-23.0))
    gain.begin(-3.0, 100.0, keep_fade=False)
    assert gain.volume == pytest.approx(to_volume(-3.0))
    gain.set(5.0)
    assert gain.volume == pytest.approx(to_volume(5.0))
    assert gain.next_step() is None


def test_a_held_fade_stays_where_it_is() -> None:
    clock = Clock()
    gain = Gain(clock)
    gain.begin_fade(-40.0, 20.0)
    clock.now += 5.0
    gain.hold()
    clock.now += 50.0
    assert gain.volume == pytest.approx(to_volume(-10.0))
