"""The programme: what plays, what follows it by itself, and what is passed over because it cannot play."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

from machine.errors import RefusedError, ResourceError, UnavailableError
from resources.playing.deck import Deck
from resources.playing.events import AtEnd, AwayError, Ended, Started, Stopped
from resources.playing.holds import Holds
from resources.playing.last_wins import GivenUpError, LastWins
from resources.playing.queue import PlayMode, Queue
from resources.playing.skips import SKIP_LIMIT, Skips
from resources.playing.telling import Telling
from wire.records import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """What takes the place of what plays.

    Attributes:
        queue: at the track to begin with.
        step: 1 or -1 to pass over tracks that cannot be played, 0 to try only that one.
        start: its second; None: where it was left, if it is a story.
        left_out: names of the order that were not found, each with the reason.
    """

    queue: Queue
    step: int = 0
    start: float | None = None
    left_out: Sequence[str] = ()


class Programme:
    """Starts tracks of a queue; all but `queue` is changed under ``lock`` only.

    Attributes:
        queue: the queue of the track on the deck, or of the one that is about to be; others may
            change what stands around its current track.
        turn: counts what was put on the deck or taken from it.
        skips: what was passed over since the last order.
        at_end: asked between two tracks whether to go on.
        lock: whoever starts or stops a track has it.
        chance: shuffles.
    """

    def __init__(self, deck: Deck, telling: Telling, wins: LastWins, holds: Holds) -> None:
        self.deck = deck
        self._telling = telling
        self._wins = wins
        self._holds = holds
        self.queue = Queue()
        self.turn = 0
        self.skips = Skips()
        self.at_end: list[AtEnd] = []
        self.lock = asyncio.Lock()
        self.chance = random.Random()  # noqa: S311  # for songs
        self._tried = 0  # the turn whose track could not be played by itself, 0: none
        self._advance: asyncio.Task[None] | None = None

    @property
    def title(self) -> str:
        """The title that plays or is paused, "" for none."""
        return self.deck.track.title if self.deck.track else ""

    @property
    def busy(self) -> bool:
        """Whether a track is being loaded, or one is looked for that can be."""
        return self.deck.track is None and self.queue.current is not None

    async def settle(self, *, started: bool) -> None:
        """Tell that nothing plays after an order failed, if it ended what played (``started``)."""
        if self.deck.track is None and (started or self._tried != self.turn):
            self.queue = Queue()
            self._telling.tell(Stopped())
            await self._telling.report(self.title)

    def close(self) -> None:
        """Let nothing follow any more."""
        if self._advance is not None:
            self._advance.cancel()

    async def stop(self) -> None:
        """Stop what plays, and drop the queue."""
        ended = self.deck.track
        self.turn += 1
        self.queue = Queue()
        await self.deck.stop()
        if ended is not None:
            self._telling.tell(Ended(ended, finished=False))
        self._telling.tell(Stopped())

    async def start_near(self, target: Target, number: int) -> None:
        """Start the target, or the first track in its steps that can be played.

        Raises:
            RefusedError: there is none within SKIP_LIMIT tracks; with step 0 only one is tried.
        """
        near, start = target.queue, target.start
        self.skips.clear(target.left_out)
        while True:
            try:
                await self._start(near, number, start=start)
            except RefusedError as error:
                self.skips.add(near, error)
                more = target.step and self.skips.count < SKIP_LIMIT
                moved = near.move(target.step) if more else None
                if moved is None:
                    raise self.skips.none_plays(error) from error
                near, start = moved, None
            else:
                return

    async def _start(
        self, queue: Queue, number: int, *, start: float | None, by_itself: bool = False
    ) -> None:
        """Put the current track of ``queue`` on the deck for the order ``number``."""
        track = queue.current
        if track is None:
            raise RefusedError("play: an empty folder")
        before = self.queue
        if self.deck.track is not None and not by_itself:
            await self._wins.unless_newer(number, self.deck.await_device())
        ready = await self._wins.unless_newer(number, self.deck.prepare(track, start))
        ended = self.deck.track
        self.turn += 1
        turn = self.turn
        self.queue = queue if self.queue is before else self._as_set(queue)
        if ended is not None:  # also if the new one fails
            self._telling.tell(Ended(ended, finished=False))
        try:
            remark = await self.deck.play(
                ready, lambda why: self._on_end(turn, why), by_itself=by_itself
            )
        except UnavailableError as error:
            if number < self._wins.taken:
                raise GivenUpError from error
            raise (UnavailableError if track.is_file else AwayError)(str(error)) from error
        if remark is not None:
            self.skips.tell(remark)
        self._telling.tell(Started(track))
        if self._holds.covers(number):
            await self.deck.player.pause(paused=True)

    def _as_set(self, queue: Queue) -> Queue:
        """Return ``queue`` in the order of playing that was set while its track was made ready."""
        shuffles = self.queue.order is not None
        return queue.shuffled(self.chance, stay=True) if shuffles else queue.in_order()

    # What follows by itself.

    def _on_end(self, turn: int, reason: str | None) -> None:
        if turn != self.turn:
            return
        if reason is None and self.deck.track is not None:
            reason = self.deck.why_cut(self.deck.track)
        if reason:
            _log.warning("play: %s broke off: %s", self.deck.track, reason)
        self._advance = asyncio.create_task(self._go_on(turn, reason))

    async def _go_on(self, turn: int, reason: str | None) -> None:
        """Start what follows the track that ended; tracks that cannot be played are skipped."""
        tries, more = 0, True
        while more:
            # Released between tries, so that a folder of broken files does not block an order.
            async with self.lock:
                # An order that came in between has already changed what plays; it takes precedence.
                if self.turn != turn:
                    return
                more = await self._follow(tries, reason)
                turn, tries = self.turn, tries + 1
                self._tried = turn if more else 0
        await self._telling.report_anew(self.title)

    async def _follow(self, tries: int, reason: str | None) -> bool:
        """Start the next track or end the queue; return whether the next one is still to be tried."""
        moved: Queue | None = None
        if tries:  # a try that failed
            moved = self.queue.move(1, wrap=self.deck.memory.mode is PlayMode.REPEAT_ALL)
        elif (ended := self.deck.track) is not None:
            await self.deck.end(finished=reason is None)
            end = Ended(ended, finished=reason is None, reason=reason)
            self._telling.tell(end)
            goes_on = [hook.goes_on(end) for hook in self.at_end]
            moved = self.queue.after_end(self.deck.memory.mode) if all(goes_on) else None
        if moved is None or tries >= len(moved) or _is_in_vain(moved, tries):
            self.queue = Queue()
            self._telling.tell(Stopped())
            return False
        try:
            await self._start(moved, self._wins.taken, start=0.0, by_itself=True)
        except ResourceError as error:
            self.skips.add(moved, error)
            self.queue = moved
            return True
        return False


def _is_in_vain(queue: Queue, tries: int) -> bool:
    """Return whether so many titles of the web failed that the network, not the titles, is missing."""
    return tries >= SKIP_LIMIT and queue.current is not None and not queue.current.is_file
