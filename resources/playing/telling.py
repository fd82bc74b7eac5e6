"""Who is told what: events for the parts of the machine, and the title for the cloud."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from resources.playing.events import Event, Started, Stopped

_log = logging.getLogger(__name__)

Listener = Callable[[Event], None]
TitleListener = Callable[[str], Awaitable[None]]


class Telling:
    """Tells listeners, and reports the title when it is another one than was told last."""

    def __init__(self, on_title: TitleListener) -> None:
        """Report titles to ``on_title``, "" for none."""
        self._on_title = on_title
        self._listeners: list[Listener] = []
        self._started = False
        self._told = ""

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` with each event, in their order; it must not wait or raise."""
        self._listeners.append(listener)

    def tell(self, event: Event) -> None:
        """Tell an event; `Stopped` once after each `Started`."""
        if isinstance(event, Stopped) and not self._started:
            return
        if isinstance(event, Started | Stopped):
            self._started = isinstance(event, Started)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001  # one that fails must not stop the story
                _log.exception("play: a listener failed at %s", event)

    def note_told(self, title: str) -> None:
        """Note that somebody else reports ``title``."""
        self._told = title

    async def report(self, title: str) -> None:
        """Report ``title`` unless it was told last."""
        if title != self._told:
            await self.report_anew(title)

    async def report_anew(self, title: str) -> None:
        """Report ``title``, also if it is the same again."""
        self._told = title
        await self._on_title(title)
