"""The deck: one track on the player, from where and how loud, and how far it was heard.

It decides nothing about what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from machine.errors import RefusedError, UnavailableError
from machine.player import EndListener, Player
from resources.playing.positions import Positions
from resources.playing.queue import Track
from resources.playing.resume import BACK_SECONDS
from resources.titles.sound_file import check_sound
from wire.records import dataclass

# Seconds between two writes of the place: after a power cut no more of a story is heard again.
BEAT_SECONDS = 5.0
# Seconds for the player's answer when a track ends: a player that hangs must not hold up a stop.
ANSWER_SECONDS = 0.1
# Seconds in which a sound server that is being restarted is back, and between two looks. The rest of the
# dispatch's 8 s is for the loading.
DEVICE_SECONDS = 3.0
LOOK_SECONDS = 0.05
# A source that begins so much earlier than asked for cannot be sent from the middle.
EARLIER_SECONDS = 3.0


async def plain_source(track: Track) -> str:
    """Return the track's own source; raises RefusedError for a file that cannot be sound."""
    if track.is_file:
        await asyncio.to_thread(check_sound, track.source)
    return track.source


async def no_gain(_track: Track) -> float:
    """Return 0 dB."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A track that can be put on the player.

    Attributes:
        track: the track.
        source: what the player is given.
        start: seconds.
        gain: dB.
    """

    track: Track
    source: str
    start: float
    gain: float


class Deck:
    """Plays one track; the one that played before ends when another one starts.

    Attributes:
        player: plays.
        memory: is told how far tracks are heard.
        source_for: returns what the player is given for a track that is no file: the address of a
            relay, or a file of a cache. Raises RefusedError, UnavailableError.
        why_cut: returns why what the player was given of a track ended before the track did, where the player cannot know;
            None: it did not.
        gain_for: returns a track's gain in dB.
        keeps_fade: whether a fade goes on whatever is ordered: the parents' rules end the evening.
    """

    def __init__(self, player: Player, memory: Positions) -> None:
        self.player = player
        self.memory = memory
        self.source_for: Callable[[Track], Awaitable[str]] = plain_source
        self.why_cut: Callable[[Track], str | None] = lambda _track: None
        self.gain_for: Callable[[Track], Awaitable[float]] = no_gain
        self.keeps_fade = False
        self._track: Track | None = None
        self._loading = False
        self._paused = False
        self._at = 0.0  # as it was when it was asked for last
        self._length: float | None = None
        self._marked: float | None = None
        self._begun = asyncio.Event()
        """A track was put on the player; while there is none, `run` wakes nobody."""

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

    async def prepare(self, track: Track, start: float | None) -> Ready:
        """Make ``track`` ready to be put on the player, while another one still plays.

        ``start`` None: where it was left, if it is a story.
        """
        if self._track is not None and self._track.key == track.key:
            await self.note()
        source = await (plain_source if track.is_file else self.source_for)(track)
        begin = await self.memory.start_of(track) if start is None else start
        return Ready(track, source, begin, await self.gain_for(track))

    async def await_device(self) -> None:
        """Return if there is a sound device, or when there is one again: a sound server may be restarting.

        Raises:
            UnavailableError: there is none; the track waits for it as before.
        """
        for _ in range(round(DEVICE_SECONDS / LOOK_SECONDS)):
            if not self.player.waiting:
                return
            await asyncio.sleep(LOOK_SECONDS)
        if self.player.waiting:
            raise UnavailableError("play: no sound device")

    async def play(self, ready: Ready, on_end: EndListener, *, by_itself: bool) -> str | None:
        """Play; returns when it plays, with a remark for people if it does not play as meant.

        ``by_itself``: it follows another one without an order, so that a fade goes on.
        """
        await self._leave()
        self._track, self._paused, self._marked = None, False, None
        self._loading = True
        try:
            await self.player.play(
                ready.source, on_end, start=ready.start, gain=ready.gain,
                keep_fade=by_itself or self.keeps_fade,
            )  # fmt: skip
        finally:
            self._loading = False
        self._track, self._at = ready.track, ready.start
        self._begun.set()
        self._length = await self.player.length()
        if not by_itself:
            # What was ordered is what was heard last, also after a power cut at once; it was left there.
            left = ready.start + BACK_SECONDS if ready.start else 0.0
            self.memory.note(ready.track, left, self._length, finished=False)
        if ready.start and (await self.player.position() or 0.0) < ready.start - EARLIER_SECONDS:
            self._at = 0.0
            return f"{ready.track.shown}: its server cannot go on in the middle: it begins anew"
        return None

    async def pause(self, *, paused: bool) -> None:
        """Pause or resume."""
        self._paused = paused
        await self.player.pause(paused=paused)
        if paused:
            await self.note()

    async def seek(self, seconds: float) -> None:
        """Go to a place, at most the last second; raises RefusedError if that cannot be."""
        await self.player.seek(seconds)
        await self.note()
        if self._marked is not None:
            self._marked = self._at

    async def go_back(self, seconds: float) -> None:
        """Go back by ``seconds``, at most to the beginning; a source that cannot is left where it is."""
        at = await self.player.position()
        if at is not None:
            with contextlib.suppress(RefusedError):
                await self.player.seek(max(0.0, at - seconds))

    async def mark(self) -> None:
        """Remember this place as the one where the track is left, whenever it is stopped; the first one counts."""
        if self._marked is None:
            self._marked = await self._position()

    def unmark(self) -> None:
        """Let the track be left where it is stopped."""
        self._marked = None

    async def stop(self) -> None:
        """Stop, or give up what is being loaded."""
        await self._leave()
        self._track, self._paused, self._marked = None, False, None
        await self.player.stop()

    async def end(self, *, finished: bool) -> None:
        """Note that the track ended by itself."""
        track, self._track, self._paused = self._track, None, False
        if track is not None:
            self.memory.note(track, self._at, self._length, finished=finished)

    async def note(self) -> None:
        """Note how far the track is, unless it ends meanwhile, which is noted then."""
        track = self._track
        if track is None:
            return
        at, length = await self._position(), await self.player.length()
        if self._track is track:
            self._at, self._length = at, length or self._length
            self.memory.note(track, self._at, self._length, finished=False)

    async def run(self) -> None:
        """Write every few seconds how far the track is, until cancelled; without one, wait for it."""
        while True:
            if self._track is None:
                self._begun.clear()
                await self._begun.wait()
            await asyncio.sleep(BEAT_SECONDS)
            await self.beat()

    async def beat(self) -> None:
        """Write how far the track is, if that is not where it was."""
        track, before = self._track, self._at
        if track is None or self._paused or self._marked is not None:
            return
        at, length = await self._position(), await self.player.length()
        if track is self._track and at != before:
            self._at, self._length = at, length or self._length
            await self.memory.beat(track, at, self._length)

    async def _leave(self) -> None:
        """Note where the track is left."""
        if self._track is not None:
            if self._marked is None:
                await self.note()
            else:
                self.memory.note(self._track, self._marked, self._length, finished=False)

    async def _position(self) -> float:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.player.position() or 0.0
        except TimeoutError:
            return self._at
