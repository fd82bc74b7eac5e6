"""Which event is told aloud."""

from __future__ import annotations

import pytest

from resources.announce.cues import Cue
from resources.announce.reactions import CUES, react
from resources.playing.events import Ended, Kind, Paused, Refused, Resumed, Started, Stopped
from resources.playing.queue import Track

TRACK = Track("三只小猪", "/card/a.mp3", "a")


@pytest.mark.parametrize("kind", Kind)
def test_every_refusal_has_its_cue(kind: Kind) -> None:
    assert react(Refused(kind, "play: …"), told=True) is CUES[kind]
    assert react(Refused(kind, "play: …"), told=False) is None


@pytest.mark.parametrize("told", [False, True])
def test_a_story_that_breaks_off_is_told_and_one_that_ends_is_not(*, told: bool) -> None:
    broken = Ended(TRACK, finished=False, reason="the server gave no more")
    assert react(broken, told=told) is Cue.BROKEN_OFF
    for event in (
        Ended(TRACK, finished=False), Ended(TRACK, finished=True), Started(TRACK), Stopped(), Paused(), Resumed(),
    ):  # fmt: skip
        assert react(event, told=told) is None
