"""Which cues are heard, and when."""

from __future__ import annotations

import pytest

from resources.announce.cues import MANNERS, NIGHT_GAIN, AtNight, Cue, Saying, decide
from resources.announce.settings import Kind


@pytest.mark.parametrize(
    ("cue", "kind", "night", "heard"),
    [
        (Cue.NOT_FOUND, Kind.ALL, False, Saying(Cue.NOT_FOUND, spoken=True, gain=0.0)),
        (Cue.NOT_FOUND, Kind.ALL, True, Saying(Cue.NOT_FOUND, spoken=True, gain=NIGHT_GAIN)),
        (Cue.NOT_FOUND, Kind.TONES, False, Saying(Cue.ERROR, spoken=False, gain=0.0)),
        (Cue.NOT_FOUND, Kind.NONE, False, None),
        (Cue.LOW_BATTERY, Kind.ALL, False, Saying(Cue.LOW_BATTERY, spoken=True, gain=0.0)),
        (Cue.LOW_BATTERY, Kind.ALL, True, None),
        (Cue.BATTERY_EMPTY, Kind.ALL, True, Saying(Cue.BATTERY_EMPTY, spoken=True, gain=NIGHT_GAIN)),
        (Cue.CHARGING, Kind.ALL, False, Saying(Cue.CHARGING, spoken=False, gain=0.0)),
        (Cue.CHARGING, Kind.ALL, True, None),
        (Cue.GOOD_NIGHT, Kind.TONES, True, Saying(Cue.DONE, spoken=False, gain=NIGHT_GAIN)),
        (Cue.LISTEN, Kind.TONES, True, Saying(Cue.LISTEN, spoken=False, gain=NIGHT_GAIN)),
        (Cue.LISTEN, Kind.NONE, False, None),
    ],
)  # fmt: skip
def test_what_sounds(cue: Cue, kind: Kind, heard: Saying | None, *, night: bool) -> None:
    assert decide(cue, kind, night=night) == heard


@pytest.mark.parametrize("cue", Cue)
def test_a_cue_is_never_louder_at_night_and_never_above_its_file(cue: Cue) -> None:
    for kind in Kind:
        day, night = (decide(cue, kind, night=late) for late in (False, True))
        assert day is None or day.gain <= 0
        assert night is None or (day is not None and night.gain < day.gain)


@pytest.mark.parametrize("cue", Cue)
def test_only_tones_are_heard_where_only_tones_are_wanted(cue: Cue) -> None:
    said = decide(cue, Kind.TONES, night=False)
    assert said is not None
    assert not MANNERS[said.name].spoken
    assert not said.spoken


def test_what_wakes_a_child_for_nothing_is_silent_at_night() -> None:
    silent = {cue for cue, manner in MANNERS.items() if manner.at_night is AtNight.SILENT}
    assert silent == {Cue.LOW_BATTERY, Cue.CHARGING}
