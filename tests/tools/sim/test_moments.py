"""When the simulation lets a machine restart for an update."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ota.restart import Restart
from resources.playing.events import State
from tools.sim import moments
from tools.sim.moments import is_due


@pytest.mark.parametrize(
    ("restart", "waited", "due"),
    [
        (Restart(to_new=True, reboot=False), 7200.0, False),
        (Restart(to_new=True, reboot=False, forced=True), 0.0, True),
        (Restart(to_new=False, reboot=False), 3599.0, False),
        (Restart(to_new=False, reboot=False), 3600.0, True),
    ],
)
def test_only_a_forced_order_and_the_way_back_interrupt_a_story(
    restart: Restart,
    waited: float,
    due: bool,  # noqa: FBT001
) -> None:
    assert is_due(restart, waited) is due


@pytest.mark.parametrize(
    ("sounding", "state", "title", "told"),
    [
        ("/media/story 04.mp3", State.PLAYING, "story 04", "story 04"),
        (None, State.PLAYING, "story 04", ""),
        ("/media/story 04.mp3", State.PAUSED, "story 04", ""),
        ("/chime.wav", State.PLAYING, "story 04", ""),
    ],
)
def test_a_story_that_sounds_and_is_told_to_is_what_may_be_interrupted(
    monkeypatch: pytest.MonkeyPatch, sounding: str | None, state: State, title: str, told: str
) -> None:
    teller = SimpleNamespace(title=title, state=state)
    monkeypatch.setattr(moments, "teller_of", lambda point: point)
    found: Any = SimpleNamespace(
        agent=SimpleNamespace(_dispatch=SimpleNamespace(points={"play": teller})),
        player=SimpleNamespace(sounding=sounding),
    )
    assert moments.interrupted(found) == told
    found.agent = None
    assert moments.interrupted(found) == ""
