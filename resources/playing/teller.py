"""The teller of stories: takes orders, keeps the queue, and goes on by itself. The last order wins.

Whoever wants something of the story that plays comes here: the data points, the buttons, the voice, the
sleep timer and the parents' rules. What sounds is `Deck`'s, in which order `resources.playing.queue`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from machine.chime import SoundProof, check_position, play_chime
from machine.errors import RefusedError, ResourceError
from machine.player import Player
from resources.playing.deck import Deck
from resources.playing.events import (
    AwayError,
    Changed,
    Gate,
    Keeper,
    Kind,
    Paused,
    Refused,
    RefusedOrderError,
    Resumed,
    Snapshot,
    State,
    keep_nothing,
)
from resources.playing.finder import Finder
from resources.playing.holds import Holds
from resources.playing.last_wins import GivenUpError, LastWins
from resources.playing.orders import (
    Add,
    Command,
    Forget,
    Jump,
    Keep,
    Order,
    Play,
    Seek,
    SetMode,
    SetPolicy,
    parse_order,
    starts_sound,
)
from resources.playing.policies import folder_of
from resources.playing.positions import Positions
from resources.playing.programme import Programme, Target
from resources.playing.queue import Opener, PlayMode
from resources.playing.resume import BACK_SECONDS
from resources.playing.targets import STEPS, Targets, nothing
from resources.playing.telling import Listener, Telling, TitleListener

# In dB; what is fainter is not heard.
SILENT_DB = -60.0
# Seconds in which a fade that an order ended is undone.
UNFADE_SECONDS = 0.3
# Titles before and after the current one in a snapshot.
AROUND = 3


class Teller:
    """Plays what is ordered, then what follows it.

    Attributes:
        gates: asked before an order starts or resumes anything.
        at_end: asked between two tracks whether to go on.
        deck: the track on the player; its ``source_for`` and ``gain_for`` may be set.
        memory: how far titles were heard, and the mode.
        keep: keeps a story of the web on the disk, or no longer; may be set. Raises RefusedError,
            UnavailableError.
    """

    def __init__(
        self,
        player: Player,
        openers: Sequence[Opener],
        on_title: TitleListener,
        memory: Positions | None = None,
    ) -> None:
        """Play on ``player``.

        Args:
            player: plays one source at a time.
            openers: asked in this order for what an order names; the last one refuses what is nothing.
            on_title: called with the title, "" for none, when it changes without a successful `order`.
            memory: None remembers until the end of the process.
        """
        self.memory = memory or Positions()
        self.deck = Deck(player, self.memory)
        self.gates: list[Gate] = []
        self.keep: Keeper = keep_nothing
        self._telling = Telling(on_title)
        self._wins = LastWins()
        self._holds = Holds()
        self._programme = Programme(self.deck, self._telling, self._wins, self._holds)
        self.at_end = self._programme.at_end
        self._targets = Targets(Finder(openers), self.memory, self._programme)
        self._orders = 0
        self._fades = 0

    # What is there.

    @property
    def player(self) -> Player:
        """The player in use."""
        return self.deck.player

    @property
    def title(self) -> str:
        """The title that plays or is paused, "" for none."""
        return self._programme.title

    @property
    def playing(self) -> bool:
        """Whether a track is playing, paused or being loaded."""
        # Between two tracks of a folder nothing is loaded, but the lock is held.
        return self.deck.track is not None or self._programme.lock.locked() or self._orders > 0

    @property
    def sounds(self) -> bool:
        """Whether a track is heard just now: it is there, and not paused."""
        return self.deck.track is not None and not self.deck.paused

    @property
    def skipped(self) -> list[str]:
        """Titles passed over since the last order because they cannot be played, each with why."""
        return list(self._programme.skips.notes)

    @property
    def mode(self) -> PlayMode:
        """What follows the end of a track."""
        return self.memory.mode

    @property
    def state(self) -> State:
        """What is done now."""
        if self.deck.loading:
            return State.LOADING
        if self.deck.track is None:
            return State.IDLE
        if self.deck.paused:
            return State.PAUSED
        waits = self._holds.active or self.player.waiting
        return State.WAITING if waits else State.PLAYING

    async def snapshot(self) -> Snapshot:
        """Return what plays, or what is being loaded."""
        queue = self._programme.queue
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
            if isinstance(order, Play):
                await self._targets.finder.find(order.wanted)
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
        """Pause a story for a while; afterwards it goes on a little earlier, or where an order put it.

        Also after an error, but not if an order started, stopped, paused or resumed it meanwhile.
        Holds may overlap; the story goes on after the last one.
        """
        self._holds.begin(self._wins.newest)
        try:
            if self.deck.track is not None and not self.deck.paused:
                await self.player.pause(paused=True)
            yield
        finally:
            self._holds.end()
            await asyncio.shield(self._go_on_earlier())

    async def fade_out(self, seconds: float) -> bool:
        """Fade what plays out, then stop it; return False if an order came meanwhile, which is done.

        An order that lets the story play on also lets it be as loud as before, unless the deck keeps fades: then
        the fade goes on. The story is left where the fade began.
        """
        obeyed = self._holds.obeyed
        self._fades += 1
        await self.deck.mark()
        try:
            faded = await self.player.fade(SILENT_DB, seconds)
        finally:
            self._fades -= 1
        ordered = obeyed != self._holds.obeyed or self._orders > 0
        if ordered and not self.deck.keeps_fade:
            self.deck.unmark()
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
        async with self._programme.lock:
            if self.deck.track is not None:
                return check_position(self.player.output, await self.player.position())
            return await play_chime(self.player, volume)

    async def run(self) -> None:
        """Work in the background until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.memory.run())
            group.create_task(self.deck.run())
            for opener in self._targets.finder.openers:
                group.create_task(opener.run())

    async def close(self) -> None:
        """Stop playing, note where, and close the player."""
        self._programme.close()
        await self.deck.note()
        await self.player.close()
        for opener in self._targets.finder.openers:
            await opener.close()
        await self.memory.close()

    async def _obey(self, order: Order, number: int) -> None:
        if starts_sound(order):
            for gate in self.gates:
                gate.check(order)
        if order in {Command.PAUSE, Command.RESUME} and self.deck.loading:
            await self._pause(paused=order is Command.PAUSE)  # which is so once it is loaded
            self._holds.note_obeyed(number)
            return
        await self.memory.load()
        target = await self._wins.unless_newer(number, self._targets.of(order))
        if (target is not None and not isinstance(order, Add)) or order is Command.STOP:
            await self._take(number)
        if isinstance(order, Keep):
            await self.keep(order.url, pinned=order.pinned)
        elif isinstance(order, Forget | SetPolicy):
            await self._remember(order)
        elif isinstance(order, SetMode):
            await self.memory.keep_mode(order.mode)
            self._set_mode(order.mode)
        else:
            async with self._programme.lock:
                await self._change(order, target, number)

    async def _change(self, order: Order, target: Target | None, number: int) -> None:
        """Carry out an order that changes what plays, or what follows it."""
        if number < self._wins.taken and starts_sound(order):
            raise GivenUpError
        turn = self._programme.turn
        try:
            await self._carry_out(order, target, number)
        except (ResourceError, asyncio.CancelledError) as error:
            if not isinstance(error, GivenUpError):
                await self._programme.settle(started=self._programme.turn != turn)
            raise
        decides = self._programme.turn != turn or isinstance(order, Command)
        self._holds.note_obeyed(number, decides=decides)
        if self._fades and not self.deck.keeps_fade and self._programme.turn == turn:
            self.deck.unmark()
            await self.player.fade(0.0, UNFADE_SECONDS)

    async def _take(self, number: int) -> None:
        """Give up what is older than the order ``number`` and not playing yet."""
        self._wins.take(number)
        if self.deck.loading:
            await self.player.stop()  # what loads a slow source fails, and lets go of the lock

    async def _carry_out(self, order: Order, target: Target | None, number: int) -> None:
        if target is not None and not (
            isinstance(order, Add) and self._programme.queue.current is not None
        ):
            await self._start(order, target, number)
            if isinstance(order, Play | Add):
                self.memory.last = order.wanted
        elif isinstance(order, Add) and target is not None:
            self._programme.skips.clear(target.left_out)
            add = self._programme.queue.play_next if order.next else self._programme.queue.add
            self._programme.queue = add(target.queue.tracks)
            self._telling.tell(Changed())
        elif isinstance(order, Seek):
            await self._seek(order.seconds)
        elif isinstance(order, Command):
            self._programme.skips.clear()
            await self._command(order, number)

    async def _start(self, order: Order, target: Target, number: int) -> None:
        """Start what an order names; a mode that it sets as well is stored first, or it is refused."""
        if isinstance(order, Jump) or order in STEPS:
            target = await self._wins.unless_newer(number, self._targets.as_it_is(target))
        before, mode = self.memory.mode, order.mode if isinstance(order, Play) else None
        if mode is None:
            await self._programme.start_near(target, number)
            return
        if mode is not before:
            await self.memory.keep_mode(mode)
        try:
            await self._programme.start_near(target, number)
        except BaseException:
            if mode is not before:
                self.memory.mode = before
            raise
        self._set_mode(mode)

    async def _command(self, command: Command, number: int) -> None:
        if command is Command.STOP:
            await self._programme.stop()
        elif self._programme.queue.current is None:
            raise nothing(command.value[1])
        elif command in STEPS:
            target = self._targets.moved(command)
            await self._take(number)  # an older order that waits for its title would undo it
            await self._programme.start_near(target, number)
        elif command is Command.RESTART:
            await self._restart(number)
        else:
            await self._pause(paused=command is Command.PAUSE)

    async def _restart(self, number: int) -> None:
        """Begin the track anew, also one that cannot be gone back in."""
        try:
            await self._seek(0.0)
            if self.deck.paused:
                await self._pause(paused=False)
            elif self._holds.active and not self._holds.covers(number):
                await self.player.pause(paused=False)
        except RefusedError:
            await self._programme.start_near(Target(self._programme.queue, start=0.0), number)

    async def _seek(self, seconds: float) -> None:
        if self.deck.track is None:
            raise nothing("place to go to")
        await self.deck.seek(seconds)
        self._holds.moved = True
        self._telling.tell(Changed())

    def _set_mode(self, mode: PlayMode) -> None:
        """Play in another order from now on; the track that plays stays."""
        self.memory.mode = mode
        if mode is PlayMode.SHUFFLE and self._programme.queue.order is None:
            self._programme.queue = self._programme.queue.shuffled(
                self._programme.chance, stay=True
            )
        elif mode is not PlayMode.SHUFFLE and self._programme.queue.order is not None:
            self._programme.queue = self._programme.queue.in_order()
        self._telling.tell(Changed())

    async def _remember(self, order: Forget | SetPolicy) -> None:
        """Forget titles, or set whether they go on."""
        if order.wanted is None:
            await self.memory.forget(None)
            return
        queue, _ = await self._targets.finder.find(order.wanted)
        tracks = queue.wanted
        if isinstance(order, Forget):
            await self.memory.forget([track.key for track in tracks])
        else:
            whole = queue.whole
            key = await asyncio.to_thread(folder_of, queue) if whole else tracks[0].key
            await self.memory.set_policy(key, order.policy)

    async def _pause(self, *, paused: bool) -> None:
        await self.deck.pause(paused=paused)
        self._telling.tell(Paused() if paused else Resumed())

    async def _go_on_earlier(self) -> None:
        """Go on after a hold, unless an order decided otherwise meanwhile."""
        async with self._programme.lock:
            paused = self.deck.track is None or self.deck.paused
            if self._holds.lets_go_on() and not paused:
                if not self._holds.moved:
                    await self.deck.go_back(BACK_SECONDS)
                await self.player.pause(paused=False)


def _kind_of(error: ResourceError) -> Kind:
    if isinstance(error, RefusedOrderError):
        return error.kind
    return Kind.NO_NETWORK if isinstance(error, AwayError) else Kind.BROKEN_OFF
