"""What one device may send: frames of an utterance, and bytes of a day, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from staging.gateway.bounds import DAY_SECONDS, UTTERANCE_FRAMES, Quota, UtteranceBound, come_again
from staging.store.effects import Effect, RunningVersion, VoiceSeen
from wire.errors import WireError
from wire.voice import HeaderStyle, VoiceSegment, pack_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
DAY_BYTES = 67_108_864
DEVICES_LIMIT = 20_000
VERSION_BYTES = 262_144

UUID = "0083000000000a"


def voice(number: int, frames: int, *, eof: bool = False) -> Sequence[Effect]:
    data = pack_frame(b"x", HeaderStyle.LENGTH32, 8000) * frames
    return [VoiceSeen("voice_control", VoiceSegment(number, 0, 8000, eof, data))]


def test_an_utterance_has_two_minutes() -> None:
    bound = UtteranceBound()
    bound.check(voice(1, UTTERANCE_FRAMES - 1))
    bound.check(voice(1, 1))
    for _ in range(2):
        with pytest.raises(
            WireError, match=r"utterance 1 has more than 120 s, expected at most 6000"
        ):
            bound.check(voice(1, 1))
    bound.check(voice(2, 10, eof=True))
    bound.check(voice(2, UTTERANCE_FRAMES))  # the same number again is another one after its end


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_days_share_comes_back_in_a_day() -> None:
    time = Time()
    quota = Quota(1000, time)
    assert quota.take(UUID, 1000, [])
    assert not quota.take(UUID, 1, [])
    assert quota.take("other", 1, [])
    time.now = DAY_SECONDS / 2
    assert not quota.take(UUID, 501, [])
    assert quota.take(UUID, 500, [])
    time.now = 9 * DAY_SECONDS
    assert quota.take(UUID, 1000, [])
    assert not quota.take(UUID, 1, [])


def test_what_waited_for_months_fits_at_once() -> None:
    quota = Quota()
    assert all(quota.take(UUID, 16 * 1024, []) for _ in range(31 * 1024 * 1024 // (16 * 1024)))


def test_new_versions_cost_more_than_their_bytes() -> None:
    quota = Quota(DAY_BYTES, Time())
    told = [quota.take(UUID, 100, [RunningVersion(f"1.0.{n}")]) for n in range(1000)]
    assert sum(told) == DAY_BYTES // (VERSION_BYTES + 100)
    quota = Quota(DAY_BYTES, Time())
    assert all(quota.take(UUID, 100, [RunningVersion("1.0.0")]) for _ in range(1000))


def test_no_limit_and_a_bounded_memory() -> None:
    assert Quota(0, Time()).take(UUID, 1 << 40, [])
    quota = Quota(10, Time())
    for number in range(DEVICES_LIMIT + 1):
        quota.take(f"{number:014x}", 1, [])
    assert len(quota._shares) == DEVICES_LIMIT


@pytest.mark.parametrize(
    ("devices", "seconds"), [(0, 10), (1, 10), (2000, 10), (5000, 20), (10_000, 40), (100_000, 60)]
)
def test_refused_reports_of_a_fleet_come_again_slowly(devices: int, seconds: int) -> None:
    assert come_again(devices) == seconds
