"""How loud the machine is: the one path to its mixer, for orders, knobs, the night and the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from base.clock import boot_id
from base.tasks import ended
from machine.errors import RefusedError, UnavailableError
from machine.level import KeptLevel
from machine.outputs import Outputs, decibels, is_same
from resources.loudness.limits import Limits, parse_limits
from resources.loudness.night import Night, parse_night, show_night
from resources.loudness.steps import level_of, step_of
from resources.record import Record
from wire.errors import FieldError
from wire.records import dataclass
from wire.volume import refusal

# A knob is reported when it has come to rest.
REST_SECONDS = 0.3
# The level is written when it has not changed for this long: a knob must not wear the card.
WRITE_SECONDS = 5.0
# A disk that did not take the level is tried again after this.
WRITE_AGAIN_SECONDS = 60.0
# When the night begins, the volume goes down so slowly that nobody wakes of it.
NIGHT_RAMP_SECONDS = 3.0
# An order for a limit waits so long for the mixer, and the mixer obeys later.
OBEY_SECONDS = 2.0
# The clock may be put forward or back, or become known: it is looked at so often.
NIGHT_LOOK_SECONDS = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoudnessParts:
    """What `Loudness` works with.

    Attributes:
        level: the machine's mixers.
        record: keeps limits, night and level across restarts.
        local_time: returns the local time, None while it is unknown.
        report: called with the step when it changes without a request.
        boot: the id of the machine's run.
    """

    level: KeptLevel
    record: Record
    local_time: Callable[[], datetime | None]
    report: Callable[[int], Awaitable[None]]
    boot: Callable[[], str] = boot_id


class Loudness:
    """The machine's volume in the document's steps, always within the limits."""

    def __init__(self, parts: LoudnessParts) -> None:
        """Read the record; `open` puts the level in force."""
        self._parts = parts
        self._level = parts.level
        self._stored = parts.record.load()
        self._limits = self._load_limits()
        self._night = self._load_night()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reported: int | None = None
        self._unstored = ""  # why the level is not on the disk
        # From what a change begins with until it is stored: two at once would each leave the other's out.
        self._changing = asyncio.Lock()
        self._level.limit = lambda: level_of(self.loudest)
        self._level.on_turn = self._on_turn
        self.after_turn: Callable[[int], Awaitable[None]] | None = None
        """Called with the step when a knob has set it, or another program, and it has come to rest."""

    @property
    def name(self) -> str:
        """The mixer in use, and what limits it now."""
        limit = "" if self.loudest == Limits().max else f", at most {self.loudest} now"
        fault = f", but only until a restart: {self._unstored}" if self._unstored else ""
        return f"{self._level.name}{limit}{fault}"

    @property
    def limits(self) -> Limits:
        """The limits by day."""
        return self._limits

    @property
    def night(self) -> Night | None:
        """The night's limit, None if there is none."""
        return self._night

    @property
    def is_night(self) -> bool:
        """Whether the night's limit holds now."""
        return self._night is not None and self._night.holds(self._parts.local_time())

    @property
    def loudest(self) -> int:
        """The loudest step now."""
        if self._night is None or not self.is_night:
            return self._limits.max
        return min(self._limits.max, self._night.max)

    @property
    def substitute_gain(self) -> float:
        """The gain in dB that a story needs to keep the limit where no mixer does: 0 or less."""
        return 0.0 if self._level.known is not None else decibels(level_of(self.loudest))

    async def open(self) -> None:
        """Put the level in force, and watch the outputs. A mixer that is missing is only logged."""
        self._remember()
        try:
            await self._level.restore()
        except UnavailableError as error:
            _log.warning("volume: %s", error)
        self._level.follow()
        self._watch_night()

    async def get(self) -> int:
        """Return the step; raises UnavailableError."""
        return step_of(await self._level.get())

    async def set(self, step: int) -> None:
        """Set the step; returns when it is in force.

        Raises:
            RefusedError: it is beyond the limits, also those that came while it was carried out.
            UnavailableError: the mixer is missing or has gone.
        """
        self._check(step, self._limits.min)
        is_last = await self._level.set(level_of(step))
        self._check(step, quietest=0)
        if is_last:
            self._note(step)

    def _check(self, step: int, quietest: int) -> None:
        """Raise RefusedError if ``step`` is louder than the limits allow now, or quieter than ``quietest``."""
        loudest = self.loudest
        quietest = min(quietest, loudest)
        if not quietest <= step <= loudest:
            why = "night" if loudest < self._limits.max and step > loudest else "volume_limits"
            raise RefusedError(refusal(step, quietest, loudest, why))

    async def turn(self, steps: int) -> int:
        """Go louder or quieter by ``steps``, as a button does, as far as the limits allow.

        Return the new step; raises UnavailableError.
        """
        loudest = self.loudest
        wanted = await self.get() + steps
        step = max(min(wanted, loudest), min(self._limits.min, loudest))
        await self.set(step)
        return step

    def note_turn(self) -> None:
        """Note that the last `set` was a turn of a knob, which has no other sign of it."""
        if self._reported is not None:
            self._start("turn", self._tell_turn(self._reported))

    async def put_limits(self, text: str) -> None:
        """Set ``volume_limits``; raises FieldError, UnavailableError if it cannot be stored."""
        async with self._changing:
            limits = parse_limits(text, self._limits)
            await self._save("volume_limits", limits=str(limits))
            self._limits = limits
        await self._begin_to_obey()

    async def put_night(self, text: str) -> None:
        """Set ``night``; raises FieldError, UnavailableError if it cannot be stored."""
        night = parse_night(text)
        async with self._changing:
            await self._save("night", night=show_night(night))
            self._night = night
        await self._begin_to_obey()
        self._watch_night()

    async def close(self) -> None:
        """End all tasks, write the level, and close the mixer."""
        pending = "write" in self._tasks
        for task in list(self._tasks.values()):
            await ended(task)
        if pending:
            await self._write_level()
        await self._level.close()

    async def _begin_to_obey(self) -> None:
        """Go down to a new limit, which holds from now on.

        A mixer that hangs does not keep the answer, which would then say that there is no such limit.
        """
        self._start("obey", self._obey())
        await asyncio.wait([self._tasks["obey"]], timeout=OBEY_SECONDS)

    async def _obey(self, seconds: float | None = None) -> None:
        """Go down to the limit if the level is above it. The limit holds also if that fails."""
        try:
            limit = level_of(self.loudest)
            # A ramp that has begun may be below the limit yet, and lead above it.
            found = max(await self._level.peek(), self._level.target or 0.0)
            if found > limit and not is_same(found, limit):
                await self._level.set(limit, seconds)
                self._start("write", self._write_soon())
                await self._report(self.loudest)
        except UnavailableError as error:
            _log.warning("volume: the limit is put on the mixer when it is found: %s", error)

    def _remember(self) -> None:
        """Give the level of the run before to the mixers, or the start level after a boot."""
        level, boot = self._stored.get("level"), self._parts.boot()
        known = None
        if boot and self._stored.get("boot") == boot:
            run, default = self._stored.get("run"), self._stored.get("default")
            # Without a name it was the stand-in for a mixer, which begins anew with each run.
            if (
                isinstance(run, str)
                and isinstance(default, str)
                and default
                and isinstance(level, float)
            ):
                known = Outputs(run, default, {default: level})
        elif self._limits.start is not None:
            level = level_of(self._limits.start)
        if isinstance(level, float) and 0 <= level <= 1:
            self._level.remember(level, known)

    def _note(self, step: int) -> None:
        self._reported = step
        self._start("write", self._write_soon())

    def _on_turn(self, level: float) -> None:
        self._start("turn", self._tell_turn(step_of(level)))

    async def _tell_turn(self, step: int) -> None:
        await asyncio.sleep(REST_SECONDS)
        self._start("write", self._write_soon())
        await self._report(step)
        if self.after_turn is not None:
            await self.after_turn(step)

    async def _report(self, step: int) -> None:
        if step != self._reported:
            self._reported = step
            await self._parts.report(step)

    def _watch_night(self) -> None:
        if self._night is not None:
            self._start("night", self._keep_night())
        elif (task := self._tasks.pop("night", None)) is not None:
            task.cancel()

    async def _keep_night(self) -> None:
        while (night := self._night) is not None:
            await self._obey(NIGHT_RAMP_SECONDS)
            local = self._parts.local_time()
            wait = NIGHT_LOOK_SECONDS if local is None else night.seconds_to_edge(local)
            await asyncio.sleep(min(wait, NIGHT_LOOK_SECONDS))

    async def _write_soon(self) -> None:
        """Write the level when it has come to rest; a disk that does not take it is tried again."""
        wait = WRITE_SECONDS
        while True:
            await asyncio.sleep(wait)
            await self._write_level()
            if not self._unstored:
                return
            wait = WRITE_AGAIN_SECONDS

    async def _write_level(self) -> None:
        level, known = self._level.kept, self._level.known
        if level is None:
            return
        place = {"run": known.run, "default": known.default} if known is not None else {}
        try:
            async with self._changing:
                await self._save("the level", level=float(level), boot=self._parts.boot(), **place)
        except UnavailableError as error:
            if not self._unstored:
                _log.warning("volume: %s", error)
            self._unstored = str(error)
        else:
            self._unstored = ""

    async def _save(self, what: str, **changed: object) -> None:
        """Store what is ``changed`` beside the rest; one at a time (`_changing`)."""
        values = self._stored | changed
        await self._parts.record.save(values, what)
        self._stored = values

    def _start(self, name: str, work: Awaitable[None]) -> None:
        """Run ``work`` as the task ``name``, in place of an earlier one."""
        if (task := self._tasks.get(name)) is not None:
            task.cancel()
        task = self._tasks[name] = asyncio.ensure_future(work)
        task.add_done_callback(lambda done: self._forget(name, done))

    def _forget(self, name: str, done: asyncio.Future[None]) -> None:
        if self._tasks.get(name) is done:
            del self._tasks[name]
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.error("volume: %s failed", name, exc_info=error)

    def _load_limits(self) -> Limits:
        try:
            return parse_limits(str(self._stored.get("limits", Limits())), Limits())
        except FieldError as error:
            _log.error("the volume's limits are lost, the defaults hold: %s", error)
            return Limits()

    def _load_night(self) -> Night | None:
        try:
            return parse_night(str(self._stored.get("night", "off")))
        except FieldError as error:
            _log.error("the night's limit is lost: %s", error)
            return None
