"""The deck: one track on the player, from where and how loud. It decides nothing about what follows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from machine.errors import RefusedError
from machine.player import EndListener, Player
from resources.playing.queue import Track
from resources.titles.sound_file import check_sound


async def plain_source(track: Track) -> str:
    """Return the track's own source; raises RefusedError for a file that cannot be sound."""
    if track.is_file:
        await asyncio.to_thread(check_sound, track.source)
    return track.source


async def no_gain(_track: Track) -> float:
    """Return 0 dB."""
    return 0.0


class Deck:
    """Plays one track; the one that played before ends when another one starts.

    Attributes:
        source_for: returns what the player is given for a track that is no file: the address of a
            relay, or a file of a cache. Raises RefusedError, UnavailableError.
        gain_for: returns a track's gain in dB.
    """

    def __init__(self, player: Player) -> None:
        self.player = player
        self.source_for: Callable[[Track], Awaitable[str]] = plain_source
        self.gain_for: Callable[[Track], Awaitable[float]] = no_gain
        self._track: Track | None = None
        self._loading = False
        self._paused = False

    @property
    def track(self) -> Track | None:
        """The track that plays or is paused; None while another one is loading."""
        return self._track

    @property
    def loading(self) -> bool:
        """Whether a track is being loaded."""
        return self._loading

    @property
    def paused(self) -> bool:
        """Whether the track is paused."""
        return self._paused

    async def prepare(self, track: Track) -> tuple[str, float]:
        """Return the player's source and the gain of ``track``, while another one still plays."""
        source = await (plain_source if track.is_file else self.source_for)(track)
        return source, await self.gain_for(track)

    async def play(
        self, track: Track, ready: tuple[str, float], on_end: EndListener, *, by_itself: bool
    ) -> None:
        """Play ``track``, which is `prepare`d as ``ready``; returns when it plays.

        ``by_itself``: it follows another one without an order, so that a fade goes on.
        """
        source, gain = ready
        self._track, self._paused = None, False
        self._loading = True
        try:
            await self.player.play(source, on_end, gain=gain, keep_fade=by_itself)
        finally:
            self._loading = False
        self._track = track

    async def pause(self, *, paused: bool) -> None:
        """Pause or resume."""
        self._paused = paused
        await self.player.pause(paused=paused)

    async def go_back(self, seconds: float) -> None:
        """Go back by ``seconds``, at most to the beginning; a source that cannot is left where it is."""
        at = await self.player.position()
        if at is not None:
            with contextlib.suppress(RefusedError):
                await self.player.seek(max(0.0, at - seconds))

    async def stop(self) -> None:
        """Stop, or give up what is being loaded."""
        self._track, self._paused = None, False
        await self.player.stop()

    def forget(self) -> None:
        """Note that the track is at its end."""
        self._track, self._paused = None, False
