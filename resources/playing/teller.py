"""The teller of stories: takes orders, keeps the queue, and goes on by itself. The last order wins.

Whoever wants something of the story that plays comes here: the data points, the buttons, the voice, the
sleep timer and the parents' rules. What sounds is `Deck`'s, in which order `resources.playing.queue`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from machine.chime import SoundProof, check_position, play_chime
from machine.errors import RefusedError, ResourceError, UnavailableError
from machine.player import Player
from resources.playing.deck import Deck
from resources.playing.events import (
    AtEnd,
    AwayError,
    Ended,
    Gate,
    Kind,
    Paused,
    Refused,
    RefusedOrderError,
    Resumed,
    Snapshot,
    Started,
    State,
    Stopped,
)
from resources.playing.last_wins import GivenUpError, LastWins
from resources.playing.orders import Command, Order, Play, parse_order, starts_sound
from resources.playing.queue import Opener, PlayMode, Queue
from resources.playing.telling import Listener, Telling, TitleListener
from wire.errors import show

# Titles that one order passes over: together they must leave time for one that plays, within the
# dispatch's limit.
SKIP_LIMIT = 20
# Of these an error names so many.
SKIPS_SHOWN = 3
# Seconds that are heard again after an interruption: a child has to find back into the story.
BACK_SECONDS = 4.0
# In dB; what is fainter is not heard.
SILENT_DB = -60.0
# Seconds in which a fade that an order ended is undone.
UNFADE_SECONDS = 0.3
# Titles before and after the current one in a snapshot.
AROUND = 3

_STEPS: Mapping[Order, int] = {Command.NEXT: 1, Command.PREVIOUS: -1}

_log = logging.getLogger(__name__)


class Teller:
    """Plays what is ordered, then what follows it.

    Attributes:
        gates: asked before an order starts or resumes anything.
        at_end: asked between two tracks whether to go on.
        deck: the track on the player; its ``source_for`` and ``gain_for`` may be set.
        mode: what follows a track's end.
    """

    def __init__(self, player: Player, openers: Sequence[Opener], on_title: TitleListener) -> None:
        """Play on ``player``.

        Args:
            player: plays one source at a time.
            openers: asked in this order for what an order names; the last one refuses what is nothing.
            on_title: called with the title, "" for none, when it changes without a successful `order`.
        """
        self._openers = openers
        self._telling = Telling(on_title)
        self.deck = Deck(player)
        self.gates: list[Gate] = []
        self.at_end: list[AtEnd] = []
        self.mode = PlayMode.ORDER
        self._queue = Queue()
        self._aim = Queue()
        self._skipped: list[str] = []
        self._wins = LastWins()
        self._lock = asyncio.Lock()
        self._orders = 0
        self._obeyed = 0  # the number of the last one that was carried out
        self._holders = 0
        self._held_at = 0  # the number of the last order that came before they did
        self._fades = 0
        self._turn = 0  # counts what was put on the deck
        self._following = 0  # the turn whose track could not be played by itself, 0: none
        self._advance: asyncio.Task[None] | None = None

    # What is there.

    @property
    def player(self) -> Player:
        """The player in use."""
        return self.deck.player

    @property
    def title(self) -> str:
        """The title that plays or is paused, "" for none."""
        return self.deck.track.title if self.deck.track else ""

    @property
    def playing(self) -> bool:
        """Whether a track is playing, paused or being loaded."""
        # Between two tracks of a folder nothing is loaded, but the lock is held.
        return self.deck.track is not None or self._lock.locked() or self._orders > 0

    @property
    def skipped(self) -> list[str]:
        """Titles passed over since the last order because they cannot be played, each with why."""
        return list(self._skipped)

    @property
    def state(self) -> State:
        """What is done now."""
        if self.deck.loading:
            return State.LOADING
        if self.deck.track is None:
            return State.IDLE
        if self.deck.paused:
            return State.PAUSED
        return State.WAITING if self._is_held else State.PLAYING

    async def snapshot(self) -> Snapshot:
        """Return what plays, or what is being loaded."""
        queue = self._aim if self.deck.loading else self._queue
        track = queue.current if self.deck.loading else self.deck.track
        if track is None:
            return Snapshot()
        return Snapshot(
            self.state, track.title, track.source, track.key,
            await self.player.position(), await self.player.length(),
            queue.number, len(queue), queue.around(AROUND, AROUND),
        )  # fmt: skip

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` with each event, in their order; it must not wait or raise."""
        self._telling.subscribe(listener)

    # Orders.

    async def order(self, text: str, *, reported: bool = False) -> None:
        """Carry out an order in words or JSON (`resources.playing.orders`); see `obey`."""
        await self.obey(parse_order(text), reported=reported)

    async def obey(self, order: Order, *, reported: bool = False) -> None:
        """Carry out ``order``; returns when it plays.

        ``reported``: the caller reports the title after a success.

        Raises:
            RefusedError: it cannot be, also by a gate; what plays goes on unless it was replaced.
            UnavailableError: not now, or a newer order came.
        """
        self._orders += 1
        number = self._wins.begin()
        try:
            await self._obey(order, number)
        except ResourceError as error:
            if not isinstance(error, GivenUpError):
                self._telling.tell(Refused(_kind_of(error), str(error)))
            raise
        else:
            if reported:
                self._telling.note_told(self.title)
            else:
                await self._telling.report(self.title)
        finally:
            self._orders -= 1

    async def knows(self, text: str) -> bool:
        """Return whether ``text`` is an order by itself: a command, or something that can be played."""
        order = parse_order(text)
        try:
            for wanted in order.wanted if isinstance(order, Play) else ():
                await self._open(wanted)
        except ResourceError:
            return False
        return True

    async def pause(self) -> None:
        """Pause what plays; raises RefusedError if nothing does."""
        await self.obey(Command.PAUSE)

    async def resume(self) -> None:
        """Go on; raises RefusedError if nothing plays or a gate refuses."""
        await self.obey(Command.RESUME)

    async def stop(self) -> None:
        """Stop what plays or is being loaded."""
        await self.obey(Command.STOP)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Pause a story for a while; afterwards it goes on a little earlier.

        Also after an error, but not if an order was carried out meanwhile: what that says is done.
        Holds may overlap; the story goes on after the last one.
        """
        self._holders += 1
        self._held_at = self._wins.newest
        try:
            if self.deck.track is not None and not self.deck.paused:
                await self.player.pause(paused=True)
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                await asyncio.shield(self._go_on_earlier())

    async def fade_out(self, seconds: float) -> bool:
        """Fade what plays out, then stop it; return False if an order came meanwhile, which is done.

        An order that lets the story play on also lets it be as loud as before.
        """
        obeyed = self._obeyed
        self._fades += 1
        try:
            faded = await self.player.fade(SILENT_DB, seconds)
        finally:
            self._fades -= 1
        if obeyed != self._obeyed or self._orders:
            return False
        if faded and self.deck.track is not None:
            await self.stop()
        return self.deck.track is None

    async def set_gain(self, db: float) -> None:
        """Set the gain of what plays, in dB."""
        await self.player.set_gain(db)

    # The machine's own.

    async def prove_sound(self, volume: int) -> SoundProof:
        """Play a chime at ``volume`` percent through the story player; orders wait meanwhile.

        A story that is playing is not interrupted; its position is checked instead.
        """
        async with self._lock:
            if self.deck.track is not None:
                return check_position(self.player.output, await self.player.position())
            return await play_chime(self.player, volume)

    async def run(self) -> None:
        """Work in the background until cancelled."""
        async with asyncio.TaskGroup() as group:
            for opener in self._openers:
                group.create_task(opener.run())

    async def close(self) -> None:
        """Stop playing and close the player."""
        if self._advance is not None:
            self._advance.cancel()
        await self.player.close()
        for opener in self._openers:
            await opener.close()

    async def _obey(self, order: Order, number: int) -> None:
        if starts_sound(order):
            for gate in self.gates:
                gate.check(order)
        if order in {Command.PAUSE, Command.RESUME} and self.deck.loading:
            await self._pause(paused=order is Command.PAUSE)  # which is so once it is loaded
            self._obeyed = max(self._obeyed, number)
            return
        target = await self._target(order, number)
        if target is not None or order is Command.STOP:
            await self._take(number)
        async with self._lock:
            if number < self._wins.taken and starts_sound(order):
                raise GivenUpError
            self._skipped = []
            turn = self._turn
            try:
                await self._carry_out(order, target, number)
            except (ResourceError, asyncio.CancelledError) as error:
                if not isinstance(error, GivenUpError):
                    await self._settle(started=self._turn != turn)
                raise
            self._obeyed = max(self._obeyed, number)
            if self._fades and self._turn == turn:
                await self.player.fade(0.0, UNFADE_SECONDS)

    async def _settle(self, *, started: bool) -> None:
        """Tell that nothing plays after an order failed, if it ended what played (``started``)."""
        if self.deck.track is None and (started or self._following != self._turn):
            self._aim = Queue()
            self._telling.tell(Stopped())
            await self._telling.report(self.title)

    async def _target(self, order: Order, number: int) -> Queue | None:
        """Return the queue that takes the place of the present one, None if that is not known yet."""
        if isinstance(order, Play):
            return await self._wins.unless_newer(number, self._open(order.wanted[0]))
        if order in _STEPS and self._busy:  # not from what plays, but from what is about to
            return self._moved(order, self._aim)
        return None

    @property
    def _busy(self) -> bool:
        """Whether a track is being loaded, or one is looked for that can be."""
        return self.deck.track is None and self._aim.current is not None

    def _moved(self, command: Command, base: Queue) -> Queue:
        moved = base.move(_STEPS[command], wrap=self.mode is PlayMode.REPEAT_ALL)
        if moved is None:
            raise RefusedOrderError(Kind.NOTHING, f"play: there is no {command.value[1]} track")
        return moved

    async def _take(self, number: int) -> None:
        """Give up what is older than the order ``number`` and not playing yet."""
        self._wins.take(number)
        if self.deck.loading:
            await self.player.stop()  # what loads a slow source fails, and lets go of the lock

    async def _open(self, text: str) -> Queue:
        try:
            for opener in self._openers:
                if (found := await opener.open(text)) is not None:
                    return found
        except RefusedOrderError:
            raise
        except RefusedError as error:
            raise RefusedOrderError(Kind.NOT_FOUND, str(error)) from error
        except UnavailableError as error:
            raise (AwayError if "://" in text else UnavailableError)(str(error)) from error
        raise RefusedOrderError(Kind.NOT_FOUND, f"play: got {show(text)}, which is no title")

    async def _carry_out(self, order: Order, target: Queue | None, number: int) -> None:
        if order is Command.STOP:
            await self._stop()
        elif not isinstance(order, Command):
            if target is not None:
                await self._start_near(target, 1 if target.whole else 0, number)
        elif target is None and self._queue.current is None:
            raise RefusedOrderError(
                Kind.NOTHING, f"play: nothing is playing, so there is no {order.value[1]}"
            )
        elif order in _STEPS:
            moved = target or self._moved(order, self._queue)
            await self._start_near(moved, _STEPS[order], number)
        else:
            await self._pause(paused=order is Command.PAUSE)

    async def _pause(self, *, paused: bool) -> None:
        await self.deck.pause(paused=paused)
        self._telling.tell(Paused() if paused else Resumed())

    async def _stop(self) -> None:
        ended = self.deck.track
        self._turn += 1
        self._queue = self._aim = Queue()
        await self.deck.stop()
        if ended is not None:
            self._telling.tell(Ended(ended, finished=False))
        self._telling.tell(Stopped())

    async def _start_near(self, queue: Queue, step: int, number: int) -> None:
        """Start the current track, or the first one in steps of ``step`` that can be played.

        Raises:
            RefusedError: there is none within SKIP_LIMIT tracks; with ``step`` 0 only one is tried.
        """
        near = queue
        while True:
            try:
                await self._start(near, number)
            except RefusedError as error:
                self._skip(near, error)
                moved = near.move(step) if step and len(self._skipped) < SKIP_LIMIT else None
                if moved is None:
                    raise self._none_plays(error) from error
                near = moved
            else:
                return

    def _skip(self, queue: Queue, error: ResourceError) -> None:
        title = queue.current.title if queue.current else ""
        _log.warning("play: %s is skipped: %s", title, error)
        self._skipped = [*self._skipped, f"{title}: {error}"][-SKIP_LIMIT:]

    def _none_plays(self, last: RefusedError) -> RefusedError:
        tried = len(self._skipped)
        if tried < 2:
            return last
        shown = "; ".join(self._skipped[:SKIPS_SHOWN]) + ("; …" if tried > SKIPS_SHOWN else "")
        return RefusedError(f"play: none of {tried} titles can be played: {shown}")

    async def _start(self, queue: Queue, number: int, *, by_itself: bool = False) -> None:
        """Put the current track of ``queue`` on the deck for the order ``number``."""
        track = queue.current
        if track is None:
            raise RefusedError("play: an empty folder")
        ready = await self._wins.unless_newer(number, self.deck.prepare(track))
        ended = self.deck.track
        self._turn += 1
        turn = self._turn
        # The previous track ends here, even if the new one fails.
        self._queue, self._aim = Queue(), queue
        if ended is not None:
            self._telling.tell(Ended(ended, finished=False))
        try:
            await self.deck.play(
                track, ready, lambda why: self._on_end(turn, why), by_itself=by_itself
            )
        except UnavailableError as error:
            if number < self._wins.taken:
                raise GivenUpError from error
            raise (UnavailableError if track.is_file else AwayError)(str(error)) from error
        self._queue = queue
        self._telling.tell(Started(track))
        if self._is_held and number <= self._held_at:
            await self.player.pause(paused=True)

    # What follows by itself.

    def _on_end(self, turn: int, reason: str | None) -> None:
        if turn != self._turn:
            return
        if reason:
            _log.warning("play: %s broke off: %s", self.deck.track, reason)
        self._advance = asyncio.create_task(self._go_on(turn, reason))

    async def _go_on(self, turn: int, reason: str | None) -> None:
        """Start what follows the track that ended; tracks that cannot be played are skipped."""
        tries, more = 0, True
        while more:
            # Released between tries, so that a folder of broken files does not block an order.
            async with self._lock:
                # An order that came in between has already changed what plays; it takes precedence.
                if self._turn != turn:
                    return
                more = await self._follow(tries, reason)
                turn, tries = self._turn, tries + 1
                self._following = turn if more else 0
        await self._telling.report_anew(self.title)

    async def _follow(self, tries: int, reason: str | None) -> bool:
        """Start the next track or end the queue; return whether the next one is still to be tried."""
        moved: Queue | None = None
        if tries:  # a try that failed
            moved = self._aim.move(1, wrap=self.mode is PlayMode.REPEAT_ALL)
        elif (ended := self.deck.track) is not None:
            self.deck.forget()
            end = Ended(ended, finished=reason is None, reason=reason)
            self._telling.tell(end)
            goes_on = [hook.goes_on(end) for hook in self.at_end]
            moved = self._queue.after_end(self.mode) if all(goes_on) else None
        if moved is None or tries >= len(moved):
            self._queue = self._aim = Queue()
            self._telling.tell(Stopped())
            return False
        try:
            await self._start(moved, self._wins.taken, by_itself=True)
        except ResourceError as error:
            self._skip(moved, error)
            self._aim = moved
            return True
        return False

    @property
    def _is_held(self) -> bool:
        """Whether somebody holds the story, and no order has changed that."""
        return self._holders > 0 and self._obeyed <= self._held_at

    async def _go_on_earlier(self) -> None:
        """Go on after a hold, unless an order was carried out meanwhile."""
        async with self._lock:
            obeyed = self._obeyed > self._held_at
            if not (obeyed or self._holders or self.deck.paused) and self.deck.track is not None:
                await self.deck.go_back(BACK_SECONDS)
                await self.player.pause(paused=False)


def _kind_of(error: ResourceError) -> Kind:
    if isinstance(error, RefusedOrderError):
        return error.kind
    return Kind.NO_NETWORK if isinstance(error, AwayError) else Kind.BROKEN_OFF
