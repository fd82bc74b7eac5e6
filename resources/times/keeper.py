"""Does what sleep timer and parents' rules decide: asks at each order, fades, stops, stores and reports.

It hears of each change from the teller, and looks by itself once a second while something sounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator

from machine.errors import ResourceError, UnavailableError
from resources.announce.cues import Cue
from resources.playing.events import (
    Changed,
    Ended,
    Event,
    Kind,
    Paused,
    RefusedOrderError,
    Resumed,
    Started,
    State,
    Stopped,
)
from resources.playing.orders import Command, Order
from resources.playing.teller import Teller
from resources.times.countdown import Action, Fade, Restore, Sign, Silence
from resources.times.evening import Evening, Stage, Stop, Why
from resources.times.records import Records
from wire.rules import Rules
from wire.sleep import Timer

# Seconds between two looks while something sounds or is held: what others pause and resume without an order,
# as a microphone does, is then counted to the second.
LOOK_SECONDS = 1.0
# Seconds until what hangs in the player is tried again.
PLAYER_SECONDS = 5.0
# Without a voice, the level dips: dB, and the seconds down and up.
DIP_DB, DIP_DOWN, DIP_UP = -9.0, 0.4, 0.8
# Seconds in which a fade that is taken back is undone.
UNFADE_SECONDS = 0.5

_log = logging.getLogger(__name__)

ChangeListener = Callable[[str, str], Awaitable[None]]


class Keeper:
    """The one part that ends stories because of the time; `run` it beside the teller."""

    def __init__(
        self,
        teller: Teller,
        evening: Evening,
        records: Records,
        on_change: ChangeListener,
        say: Callable[[Cue], bool] = lambda _cue: False,
    ) -> None:
        """Keep the time of ``teller``.

        Args:
            teller: plays; it is asked to refuse, to fade and to stop.
            evening: decides.
            records: keeps what must survive.
            on_change: called with a data point's name and value when it changes without a PUT.
            say: says a cue, or returns False: then the level dips instead.
        """
        self._teller = teller
        self.evening = evening
        self._records = records
        self._on_change = on_change
        self._say = say
        self._wake = asyncio.Event()
        self._ordering = asyncio.Lock()
        self._fade: asyncio.Task[None] | None = None
        self._sign: asyncio.Task[None] | None = None
        self._lowered = (
            False  # whether a fade has lowered the story, and nothing has raised it again
        )
        self._told = self._values()
        teller.gates.append(self)
        teller.at_end.append(self)
        teller.subscribe(self._hear)

    # What the teller asks and tells.

    def check(self, order: Order) -> None:
        """Refuse what the parents' rules refuse now; an order is a tap as well."""
        self.touched()
        reason = self.evening.rules.refusal(begins=order is not Command.RESUME)
        if reason is not None:
            raise RefusedOrderError(Kind.NOT_ALLOWED, reason)

    def goes_on(self, ended: Ended) -> bool:
        """Return whether another story may follow."""
        del ended
        return self.evening.goes_on()

    def touched(self) -> None:
        """Note that somebody gave an order, of whatever kind."""
        if self.evening.touched():
            self._wake.set()

    def _hear(self, event: Event) -> None:
        self.evening.account(self._stage)
        match event:
            case Started():
                self.evening.began()
            case Stopped():
                self.evening.stopped()
            case Paused() | Resumed() | Changed():
                self.touched()
            case _:
                pass
        self._wake.set()

    @property
    def _stage(self) -> Stage:
        match self._teller.state:
            case State.PLAYING:
                return Stage.SOUNDING
            case State.IDLE:
                return Stage.EMPTY
            case State.WAITING:
                return Stage.HELD
            case _:
                return Stage.SILENT

    def status(self) -> dict[str, object]:
        """Return what a parent may want to know of timer and rules."""
        timer = self.evening.timer
        left = timer.left
        return {
            "sleepTimer": str(timer.remaining),
            "sleepTimerSeconds": None if left is None or timer.waits else round(left),
            "fading": self.evening.fading,
            **self.evening.rules.status(),
        }

    # Orders.

    async def order_timer(self, timer: Timer, *, reported: bool = True) -> None:
        """Set the sleep timer; it is in force when it is on disk. ``reported``: the caller reports it.

        Raises:
            RefusedError: there is no story whose end it could wait for.
            UnavailableError: it cannot be stored, and the one before remains.
        """
        async with self._ordering:
            before = self.evening.timer.pending
            self.evening.timer.order(timer, loaded=self._teller.state is not State.IDLE)
            with self._taken_back("sleep_timer", self.evening.timer, "pending", before):
                await self._records.save_timer()
            if reported:
                self._told = self._values()
        self._wake.set()

    async def order_rules(self, rules: Rules) -> None:
        """Set the rules; they are in force when they are on disk.

        Raises:
            FieldError: a clause needs another one.
            UnavailableError: they cannot be stored, and the old ones remain.
        """
        async with self._ordering:
            before = self.evening.rules.kept
            self.evening.rules.order(rules)
            with self._taken_back("rules", self.evening.rules, "kept", before):
                await self._records.save_rules()
            self._told = self._values()
        self._wake.set()

    @contextlib.contextmanager
    def _taken_back(self, name: str, owner: object, member: str, before: object) -> Iterator[None]:
        """Put ``before`` back if storing fails: who is told of a failure must not find it in force later."""
        try:
            yield
        except BaseException as error:
            setattr(owner, member, before)
            self._records.want()
            if isinstance(error, OSError):
                raise UnavailableError(f"{name}: not stored: {error.strerror}") from error
            raise

    # Work.

    async def run(self) -> None:
        """Keep the time until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._records.run())
            while True:
                await self.look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._wait()):
                        await self._wake.wait()
                self._wake.clear()

    async def close(self) -> None:
        """Store what was played; a fade ends."""
        for task in (self._fade, self._sign):
            if task is not None:
                task.cancel()
        self.evening.account(self._stage)
        await self._records.close()

    async def look(self) -> None:
        """Do what is due now; `run` does so at each change, and each second."""
        self.evening.account(self._stage)
        natural = await self._natural()
        action = self.evening.step(natural) or self._due_again()
        if action is not None:
            await self._do(action)
        self._records.note(self._stage)
        await self._report()

    def _due_again(self) -> Action | None:
        """Return what orders and pauses have undone: the story stays at the level to which it was lowered."""
        if self._stage is Stage.EMPTY:
            self._lowered = self._teller.deck.keeps_fade = False
            return None
        if self._stage is not Stage.SOUNDING:
            if self._fade is not None:
                self._fade.cancel()  # it goes on from there when the story does
            return None
        if self.evening.fading:
            # An order has ended the fade, and has not moved the limit.
            ended = self._fade is not None and self._fade.done()
            return Fade(self.evening.wait()) if ended else None
        return Restore() if self._lowered else None

    def _wait(self) -> float:
        wait = self.evening.wait()
        by_itself = self._stage in {Stage.SOUNDING, Stage.HELD}
        return min(wait, LOOK_SECONDS) if by_itself else wait

    async def _natural(self) -> float | None:
        """Return the seconds until the end of the last story, None if that is not known."""
        if not self.evening.timer.ends_with_story:
            return None
        try:
            async with asyncio.timeout(PLAYER_SECONDS):
                now = await self._teller.snapshot()
        except (ResourceError, TimeoutError):
            return None
        return None if now.length is None or now.position is None else now.length - now.position

    async def _do(self, action: Action | Stop) -> None:
        match action:
            case Sign():
                self._sign = asyncio.create_task(self._give_sign())
            case Fade(seconds):
                if self.evening.why is Why.TIMER and not self._lowered:
                    self._say(Cue.GOOD_NIGHT)  # over the story, and not into the silence after it
                self._lowered = True
                # A tap moves the sleep timer, and nothing that a child does moves the parents' limit.
                self._teller.deck.keeps_fade = self.evening.why is Why.RULES
                self._fade = asyncio.create_task(self._fade_out(seconds))
            case Restore():
                await self._restore()
            case Silence() | Stop():
                await self._silence()

    async def _give_sign(self) -> None:
        if self._say(Cue.TIMER_SOON):
            return
        if await self._teller.player.fade(DIP_DB, DIP_DOWN):
            await self._teller.player.fade(0.0, DIP_UP)

    async def _fade_out(self, seconds: float) -> None:
        why = self.evening.why
        try:
            if await self._teller.fade_out(seconds) and why is Why.RULES:
                self._say_time_is_up()
        except ResourceError as error:  # the silence that follows is a stop
            _log.warning("the story does not fade: %s", error)
        self._wake.set()

    async def _restore(self) -> None:
        self._lowered = self._teller.deck.keeps_fade = False
        if self._fade is not None:
            self._fade.cancel()
            await asyncio.wait([self._fade])
        self._teller.deck.unmark()  # it is left where it is stopped again
        await self._teller.player.fade(0.0, UNFADE_SECONDS)

    async def _silence(self) -> None:
        """Stop what plays; a player that does not is asked again at the next look."""
        try:
            async with asyncio.timeout(PLAYER_SECONDS):
                await self._teller.stop()
        except (ResourceError, TimeoutError) as error:
            _log.error("the story cannot be stopped at its time: %s", error or "no answer")
            return
        if self.evening.why is Why.RULES:
            self._say_time_is_up()
        self.evening.silenced()

    def _say_time_is_up(self) -> None:
        """A child who is awake is told; after the sleep timer nothing is said to one who sleeps."""
        self._say(Cue.TIME_UP)

    async def _report(self) -> None:
        """Tell the cloud a value that changed by itself; minutes that pass are no change."""
        before, self._told = self._told, self._values()
        timer, rules = self._told
        if (timer, rules) == before:
            return
        self._records.want()
        if timer != before[0]:
            await self._on_change("sleep_timer", str(self.evening.timer.remaining))
        if rules != before[1]:
            await self._on_change("rules", str(self.evening.rules.rules))

    def _values(self) -> tuple[object, object]:
        return self.evening.timer.to_json(), self.evening.rules.kept
