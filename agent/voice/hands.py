"""The machine's buttons as the daemon makes them: on a machine that has none nothing of it is imported."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from agent.voice.ears import Ears
from machine.button_settings import ButtonSettings
from resources.dispatch import Dispatch
from resources.points.play import PlayPoint

if TYPE_CHECKING:
    from agent.voice.button import Buttons
    from resources.announce.cues import Cue


def build_buttons(
    settings: ButtonSettings,
    ears: Ears | None,
    dispatch: Dispatch,
    registered: asyncio.Event,
    reset: Callable[[], Awaitable[None]] | None = None,
) -> Buttons | None:
    """Return the buttons of ``settings``, None if there are none.

    Args:
        settings: which lines and devices they are on.
        ears: what the talk button is for.
        dispatch: what the others order at.
        registered: set while the link is up.
        reset: erases what the family has left; None: no button does that.
    """
    if not settings.input and not dict(settings.lines()):
        return None
    from agent.first.reset_by_hand import ResetByHand  # noqa: PLC0415  # see the module's head
    from agent.voice.button import Buttons, Orders  # noqa: PLC0415  # see the module's head
    from machine.button_sources import find_source  # noqa: PLC0415
    from machine.input_keys import InputSource  # noqa: PLC0415

    play = dispatch.points.get("play")
    voice = play.voice if isinstance(play, PlayPoint) else None

    def say(cue: Cue) -> None:
        if voice is not None:
            voice.say(cue)

    keys = settings.reset_keys()
    lines = find_source(settings)
    sources = [
        source for source in (lines, InputSource(settings) if settings.input else None) if source
    ]
    return Buttons(
        sources, ears, Orders(dispatch.handle_local, say),
        note_hand=(lambda: None) if voice is None else voice.note_hand, registered=registered,
        at_start=None if not keys or reset is None else ResetByHand(keys, settings.reset_seconds, say, reset),
    )  # fmt: skip
