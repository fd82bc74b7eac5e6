"""A simulated board behind the drivers' protocols: player, mixer, battery, and what is heard of them."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from machine.battery import Charge
from machine.errors import RefusedError, UnavailableError
from machine.outputs import Outputs, is_near, is_same
from machine.player import EndListener
from resources.online.cache import key_of
from resources.online.policy import parse_target
from resources.playing import deck
from tools.sim.loop import LOOP
from tools.sim.web_track import WebTrack

# A title is loaded so soon, where nothing makes it slower; a player's answer and the word that a title has ended take so long.
LOAD_SECONDS, ANSWER_SECONDS, END_SECONDS = (0.02, 0.25), 0.002, (0.0, 0.15)
# A title that goes on may begin so many seconds later than it was left.
SKIP_SECONDS = 1.0
# As `machine.player.PLAY_SECONDS`.
WEB_SECONDS = 7.5
# Seconds until a place that a card has refused was written again: a store that could not be opened is tried each minute,
# one that could be takes the next beat.
PLACES_SECONDS = 65.0
# Seconds in which a full battery is empty, and an empty one full.
EMPTY_SECONDS, FULL_SECONDS = 4 * 3600.0, 2 * 3600.0


class Hears(Protocol):
    """Is told what the player of a machine does."""

    def loads(self, source: str) -> None:
        """Hear that it is told to load a source."""

    def knows(self, source: str) -> None:
        """Hear which story from the web is loaded."""

    def loaded(self, source: str) -> None:
        """Hear that a source is loaded, or given up."""

    def ended(self, source: str) -> None:
        """Hear that a title has ended."""

    def cut_short(self, how: str) -> None:
        """Hear that a title that has ended was not all of it, which its player cannot know."""


class Sounds:
    """The sound devices and the tracks of one machine; they outlive its process.

    Attributes:
        device: whether there is a sound device.
        broken: sources that no player can decode.
        level: the mixer's level, which a knob may turn.
        turns: how often the knob was turned, or the device came or went.
        stuck: whether the mixer takes no level, without a word; ``was_stuck``: whether it ever was.
        said: when somebody speaks near the microphone, from and to, in seconds of the loop.
        has_voices: whether each utterance has a sound of its own.
        word_at: when the wake word is said next; None: it is not.
        mixer_tells: whether the mixer says so; of half of the machines it must be asked.
        hears: is told what the player does.
    """

    def __init__(self, rng: random.Random) -> None:
        """Have a device; ``rng`` gives tracks their lengths."""
        self.rng = rng
        self.device = True
        self.slow = 0.0
        self.turns = 0
        self.stuck = self.was_stuck = False
        self.broken: set[str] = set()
        self.level = 0.4
        self.mixer_tells = True
        self.said = (0.0, 0.0)
        self.has_voices = False
        self.word_at: float | None = None
        self.lengths: dict[str, float] = {}
        self.left: dict[str, float] = {}
        """Where each track was left, in seconds."""
        self.skipped: list[str] = []
        """Tracks that began behind the place at which they were left."""
        self.listeners: list[Callable[[], None]] = []
        self.hears: Hears | None = None
        self.damaged: set[str] = set()
        """Files that had a bit flipped, without their endings: of a kept story its key."""
        self.unsaid: set[str] = set()
        """Stories of the web of which nobody can know which edition, or which place of it, has come."""
        self._refused_at = -math.inf

    def is_at(self, level: float) -> bool:
        """Return whether the mixer has a level; one that was stuck is taken for one with coarse steps, as by the product."""
        return (is_near if self.was_stuck else is_same)(self.level, level)

    def length(self, source: str) -> float:
        """Return a track's seconds, the same at each time."""
        if source not in self.lengths:
            # By its name: the folder's is another one in each run.
            short = random.Random(Path(source).stem).random()  # noqa: S311  # a simulation
            self.lengths[source] = 20.0 + 1200.0 * short**2
        return self.lengths[source]

    def note_refusal(self) -> None:
        """Note that the card is full, or read-only: the newest places may be in the process alone."""
        self._refused_at = LOOP.now.time()

    def end_of_process(self, *, is_refused: bool) -> None:
        """Forget the places if the card refuses them now, or has done so and may not have been asked again since."""
        if is_refused or LOOP.now.time() - self._refused_at < PLACES_SECONDS:
            self.forget_places()

    def note_damage(self, path: PurePosixPath) -> None:
        """Note that a bit of a file is another one: an older place may be the newest that can be read, a kept story others' bytes."""
        if "playing" in str(path):
            self.forget_places()
        self.damaged.add(path.stem)

    def forget_places(self) -> None:
        """Know no longer where tracks were left: older places are on the card."""
        self.left = dict.fromkeys(self.left, math.inf)

    def plug(self, *, there: bool) -> None:
        """Take the device away, or give it back."""
        self.device = there
        self.turns += 1
        self._tell()

    def turn(self, level: float) -> None:
        """Turn the machine's knob."""
        self.level = level
        self.turns += 1
        self._tell()

    def _tell(self) -> None:
        for listener in list(self.listeners):
            listener()


class SimPlayer:
    """A `machine.player.Player` that plays in virtual time.

    As with a program of its own, loading takes time and is given up by the next order, each answer takes a moment, and
    that a title has ended is told late, or not at all if an order comes before.
    """

    name = "simulated player"

    def __init__(self, sounds: Sounds, folder: Path | None) -> None:
        """Play on ``sounds``."""
        self.sounds, self.folder = sounds, folder
        self.source: str | None = None
        self.paused = False
        self._at = self._since = self._before = self._begun = 0.0
        self._on_end: EndListener | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._orders = 0
        self._web: WebTrack | None = None
        self._starves = False
        """Whether what comes from the web has not come yet."""
        self.has_ended = False
        """Whether a title has ended, and nobody was told yet."""
        self.is_closed = False
        """Whether its process ends."""
        self._given_up = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._had_device = sounds.device
        sounds.listeners.append(self._changed)

    @property
    def output(self) -> str | None:
        """The device, while something is loaded."""
        return "simulated" if self.source is not None and self.sounds.device else None

    @property
    def waiting(self) -> bool:
        """Whether the track is held until there is a device, or more of it."""
        return self.source is not None and (not self.sounds.device or self._starves)

    @property
    def sounding(self) -> str | None:
        """What a child hears."""
        return None if self.paused or self.waiting else self.source

    async def play(
        self, source: str, on_end: EndListener, *, start: float = 0.0, gain: float = 0.0,
        volume: int = 100, keep_fade: bool = False,
    ) -> None:  # fmt: skip
        """See `machine.player.Player`."""
        del gain, volume, keep_fade
        order = self._give_up()
        self.paused = False  # a pause from now on is of this title, and so once it is loaded
        hears = self.sounds.hears
        if hears is not None:
            hears.loads(source)
        try:
            await self._load(order, source)
            web = await self._load_web(order, source, start)
        finally:
            if hears is not None:
                hears.loaded(source)
        source = source if web is None else web.url
        if web is not None and hears is not None:
            hears.knows(source)
        self._web = web
        length, left = self._length_of(source), self.sounds.left.get(source, 0.0)
        if start > left + SKIP_SECONDS:
            told = f"{Path(source).stem} begins at {start:.0f} s, and was left at {left:.0f} s"
            self.sounds.skipped.append(told)
        self.source, self._on_end = source, on_end
        self._before, self._begun = left, self._loop.time()
        # What has no end that is told has no places either.
        begins = 0.0 if math.isinf(length) else min(start, max(0.0, length - 1.0))
        self._at, self._since = begins, self._loop.time()
        self._schedule()

    def _give_up(self) -> int:
        """Unload what is there, and give up what is being loaded; return the number of the order that does so."""
        self._orders += 1
        self._given_up.set()
        self._given_up = asyncio.Event()
        self._unload()
        return self._orders

    async def _load(self, order: int, source: str) -> None:
        """Open a source; raises RefusedError, UnavailableError."""
        await self._wait(order, self.sounds.rng.uniform(*LOAD_SECONDS) + self.sounds.slow)
        if source in self.sounds.broken:
            raise RefusedError("play: cannot be played: no sound in it")
        if not self.sounds.device:
            await self._wait(order, 7.0)
            if not self.sounds.device:
                raise UnavailableError("play: no sound device")

    async def _load_web(self, order: int, source: str, start: float) -> WebTrack | None:
        """Begin to read a story from the web; None: it is none. Raises RefusedError, UnavailableError."""
        if not source.startswith("http://"):
            return None
        web = WebTrack(source, self._more_came)
        try:
            async with asyncio.timeout(WEB_SECONDS):
                await web.open(start)
            await self._wait(order, 0.0)
        except TimeoutError as error:
            raise UnavailableError("play: it does not come in time") from error
        except BaseException:
            web.close()
            raise
        return web

    def _length_of(self, source: str) -> float:
        return self.sounds.length(source) if self._web is None else self._web.length

    def _more_came(self) -> None:
        """Go on with a story that waited for more, or end it where it breaks off."""
        web = self._web
        if web is None or self.source is None:
            return
        is_damaged = key_of(parse_target(web.url)) in self.sounds.damaged
        if not is_damaged and web.name not in self.sounds.unsaid:
            self.sounds.skipped += web.wrong
        web.wrong.clear()
        if self._starves and (web.is_over or web.there > self._at):
            self._starves, self._since = False, self._loop.time()
            if not web.is_whole and web.there <= self._at:
                self._end("it broke off")
                return
        self._schedule()

    async def _wait(self, order: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._given_up.wait()
        except TimeoutError:
            pass
        if order != self._orders:
            raise UnavailableError("play: given up for a newer order")

    def note_left(self, *, killed: bool = False) -> None:
        """Note where the track is left; of one that is ``killed`` before the first beat the place of before may count."""
        if self.source is not None:
            at, is_new = self._now(), self._loop.time() - self._begun < deck.BEAT_SECONDS + 1.0
            self.sounds.left[self.source] = max(at, self._before) if killed and is_new else at

    def _unload(self) -> None:
        self.note_left()
        self.source, self._on_end, self.has_ended = None, None, False
        self._starves = False
        if self._web is not None:
            self._web.close()
            self._web = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> float:
        runs = self.source is not None and not self.paused and not self.waiting
        return self._at + (self._loop.time() - self._since if runs else 0.0)

    def die(self) -> None:
        """End with the process, as a program of its own does."""
        self._orders += 1
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        if self.has_ended:  # nothing plays that could end
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.sounding is not None:
            web = self._web
            if web is not None and not web.is_whole:
                left = web.there - self._now()
                self._timer = self._loop.call_later(max(0.01, left), self._starve)
                return
            left = self._length_of(self.sounding) - self._now()
            self._timer = self._loop.call_later(max(0.01, left), self._end)

    def _starve(self) -> None:
        """Hold the story until there is more of it."""
        self._at, self._starves = self._now(), True
        self._more_came()

    def _end(self, reason: str | None = None) -> None:
        on_end, hears, source = self._on_end, self.sounds.hears, self.source
        cut_short = (
            "" if self._web is None or self._web.name in self.sounds.unsaid else self._web.cut_short
        )
        self._unload()
        if hears is not None and source is not None:
            hears.cut_short(cut_short)
            hears.ended(source)
        if on_end is not None:
            self.has_ended = True
            late = self.sounds.rng.uniform(*END_SECONDS)
            self._timer = self._loop.call_later(late, self._tell_end, on_end, reason)

    def _tell_end(self, on_end: EndListener, reason: str | None) -> None:
        self.has_ended, self._timer = False, None
        on_end(reason)

    def _changed(self) -> None:
        now, had_device, self._had_device = self._loop.time(), self._had_device, self.sounds.device
        if had_device and self.source is not None and not self.paused:
            self._at += now - self._since
        self._since = now
        self._schedule()

    async def pause(self, *, paused: bool) -> None:
        """See `machine.player.Player`."""
        at = self._now()
        self.paused, self._at, self._since = paused, at, self._loop.time()
        self._schedule()

    async def stop(self) -> None:
        """See `machine.player.Player`."""
        self._give_up()

    async def position(self) -> float | None:
        """See `machine.player.Player`."""
        await asyncio.sleep(ANSWER_SECONDS)
        return None if self.source is None else self._now()

    async def length(self) -> float | None:
        """See `machine.player.Player`."""
        length = math.inf if self.source is None else self._length_of(self.source)
        return None if math.isinf(length) else length

    async def seek(self, seconds: float) -> None:
        """See `machine.player.Player`."""
        if self.source is None:
            raise RefusedError("play: nothing is playing, so there is no place to go to")
        if math.isinf(length := self._length_of(self.source)):
            raise RefusedError("play: it has no places to go to")
        self._at = min(seconds, length - 1.0)
        self._since = self._loop.time()
        self._starves = False  # until it is found that the place has not come
        self._schedule()

    async def set_gain(self, db: float) -> None:
        """See `machine.player.Player`."""

    async def fade(self, to_db: float, seconds: float) -> bool:
        """See `machine.player.Player`."""
        order = self._orders
        await asyncio.sleep(seconds)
        del to_db
        return order == self._orders and self.source is not None

    async def close(self) -> None:
        """See `machine.player.Player`."""
        self.is_closed = True
        self._unload()


class SimMixer:
    """A `machine.mixers.Mixer` of one output."""

    name, rank, alive = "simulated mixer", 2, True

    def __init__(self, sounds: Sounds, on_change: Callable[[], None]) -> None:
        """Set the level of ``sounds``; ``on_change`` is called when something else does, if this board's mixer tells."""
        self._sounds, self.tells = sounds, sounds.mixer_tells
        if self.tells:
            sounds.listeners.append(on_change)

    async def read(self) -> Outputs:
        """See `machine.mixers.Mixer`."""
        if not self._sounds.device:
            raise UnavailableError("volume: no sound device")
        return Outputs("run", "speaker", {"speaker": self._sounds.level})

    async def put(self, levels: Mapping[str, float]) -> None:
        """See `machine.mixers.Mixer`."""
        if not self._sounds.device:
            raise UnavailableError("volume: no sound device")
        if not self._sounds.stuck:
            self._sounds.level = levels["speaker"]

    async def close(self) -> None:
        """See `machine.mixers.Mixer`."""


class SimBattery:
    """A `machine.battery.Battery` that empties while the machine runs, and fills on mains; it outlives processes.

    Attributes:
        level: percent.
        powered: whether the charger is in.
    """

    name = "simulated battery"

    def __init__(self) -> None:
        """Be full, on mains."""
        self.level, self.powered = 100.0, True

    def read(self) -> Charge:
        """See `machine.battery.Battery`."""
        return Charge(round(self.level), powered=self.powered)

    def pass_time(self, seconds: float, *, runs: bool) -> None:
        """Fill, or empty if the machine ``runs``."""
        if self.powered:
            self.level = min(100.0, self.level + 100.0 * seconds / FULL_SECONDS)
        elif runs:
            self.level = max(0.0, self.level - 100.0 * seconds / EMPTY_SECONDS)


class SimPowerOff:
    """A `machine.logind.PowerOff` of a machine; ``off`` is called when its system has ended."""

    name = "simulated power-off"

    def __init__(self, off: Callable[[], None]) -> None:
        """Call ``off`` for a power-off."""
        self._off = off

    async def check(self) -> None:
        """See `machine.logind.PowerOff`."""

    async def power_off(self) -> None:
        """See `machine.logind.PowerOff`."""
        self._off()
