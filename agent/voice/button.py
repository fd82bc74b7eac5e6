"""What the machine's own buttons do: one is held or tapped to speak, the others order what the app orders too.

The talk button works however the machine is locked; the orders of the others go through the one dispatch as
local ones, so that child lock, limits and parents' rules hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from enum import Enum, StrEnum
from functools import partial
from typing import Any, Protocol

from agent.voice.ears import Ears
from base.backoff import Backoff
from machine.button_settings import Key
from machine.button_sources import GpiozeroSource, Source
from machine.buttons import Button, Sign
from machine.errors import UnavailableError
from resources.announce.cues import Cue
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.story_points import MICROPHONE, PLAY, PLAYER, VOLUME

# A line that is busy, or a chip whose driver loads late, is asked for again after these.
RETRY_FIRST, RETRY_MAX = 5.0, 60.0
# gpiozero is imported when the link is up: the start does not wait for it. Without a network it is not waited for.
IMPORT_WAIT_SECONDS = 10.0
# Of a volume button that is held: steps a second.
REPEAT_SECONDS = 0.25
# Orders that wait: a child who drums on a button gets the last word, and no queue.
ORDERS_MAX = 4

_log = logging.getLogger(__name__)

Ask = Callable[[Request], Awaitable[Answer]]
"""The dispatch, for requests of the machine itself."""


class Hand(Enum):
    """What the talk button's press has begun."""

    NOTHING = "it is not pressed, or its press meant something else"
    BEGUN = "listening; whether until silence or while it is held is not known yet"
    HOLDING = "listening while it is held"


class Act(StrEnum):
    """What is to be done with the ears."""

    LISTEN = "listen"
    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"


def talk(hand: Hand, sign: Sign, *, listens: bool) -> tuple[Hand, Act | None]:
    """Return what a sign of the talk button means.

    A press while the machine ``listens`` cancels, and its release then means nothing. What a faulty button
    has begun ends.
    """
    match sign:
        case Sign.PRESS:
            return (Hand.NOTHING, Act.CANCEL) if listens else (Hand.BEGUN, Act.LISTEN)
        case Sign.HOLD if hand is Hand.BEGUN:
            return Hand.HOLDING, Act.HOLD
        case Sign.RELEASE if hand is Hand.HOLDING:
            return Hand.NOTHING, Act.RELEASE
        case Sign.FAULT if hand is not Hand.NOTHING:
            return Hand.NOTHING, Act.CANCEL
        case Sign.TAP | Sign.RELEASE | Sign.FAULT:
            return Hand.NOTHING, None
        case _:
            return hand, None


class Orders:
    """The buttons beside the talk button: each press is a request, one after the other."""

    def __init__(self, ask: Ask, say: Callable[[Cue], object]) -> None:
        """Send requests to ``ask``; ``say`` lets hear that the volume is at its end."""
        self._ask = ask
        self._say = say
        self._makers: Mapping[Key, Callable[[], Awaitable[object]]] = {
            Key.MUTE: self._turn_microphone,
            Key.PLAY_PAUSE: self._play_or_pause,
            Key.NEXT: partial(self._put, PLAY.name, "next"),
            Key.PREVIOUS: partial(self._put, PLAY.name, "previous"),
            Key.VOLUME_UP: partial(self._step, 1),
            Key.VOLUME_DOWN: partial(self._step, -1),
        }

    async def press(self, key: Key) -> None:
        """Do what a press of ``key`` means."""
        await self._makers[key]()

    async def _put(self, name: str, text: str) -> bool:
        answer = await self._ask(Request("PUT", (name,), payload=text.encode()))
        if answer.code != Code.CHANGED:
            _log.info("button: %s", answer.text)
        return answer.code == Code.CHANGED

    async def _get(self, name: str) -> str:
        answer = await self._ask(Request("GET", (name,)))
        if answer.code != Code.CONTENT:
            raise UnavailableError(answer.text)
        return answer.text

    async def _turn_microphone(self) -> None:
        is_on = await self._get(MICROPHONE.name) == "true"
        if await self._put(MICROPHONE.name, "false" if is_on else "true"):
            self._say(Cue.HEARD if is_on else Cue.LISTEN)

    async def _play_or_pause(self) -> None:
        plays = json.loads(await self._get(PLAYER.name))["state"] == "playing"
        await self._put(PLAY.name, "pause" if plays else "resume")

    async def _step(self, by: int) -> None:
        now = int(await self._get(VOLUME.name))
        if not await self._put(VOLUME.name, str(now + by)):
            self._say(Cue.LIMIT)


class AtStart(Protocol):
    """Is interested in what is held while the machine starts."""

    def begin(self, levels: Mapping[Key, bool]) -> None:
        """Take the levels of a source that was just opened."""

    def release(self, key: Key) -> None:
        """Take that ``key`` was let go."""

    def close(self) -> None:
        """End."""


class Buttons:
    """All buttons of the machine; `run` it."""

    def __init__(
        self,
        sources: Sequence[Source],
        ears: Ears | None,
        orders: Orders,
        *,
        note_hand: Callable[[], None] = lambda: None,
        registered: asyncio.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        at_start: AtStart | None = None,
    ) -> None:
        """Read ``sources``.

        Args:
            sources: give the keys' levels.
            ears: listen; None on a machine without a microphone.
            orders: do what the other keys mean.
            note_hand: called at each press: somebody is there.
            registered: set while the link is up.
            clock: monotonic seconds, as the event loop has.
            at_start: hears of the levels at the start, and of releases.
        """
        self.on_press: Callable[[Key], None] = lambda _key: None
        self._at_start = at_start
        self._sources = sources
        self._ears = ears
        self._orders = orders
        self._note_hand = note_hand
        self._registered = registered or asyncio.Event()
        self._clock = clock
        self._keys: dict[tuple[int, Key], Button] = {}
        self._hand = Hand.NOTHING
        self._faults: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._ordering = asyncio.Lock()
        self._repeats: dict[Key, asyncio.TimerHandle] = {}

    def status(self) -> dict[str, object]:
        """Return what is shown in ``story-agent status``."""
        faulty = {
            str(key): str(button.fault)
            for (_, key), button in self._keys.items()
            if button.fault is not None
        }
        names = [self._faults.get(source.name, source.name) for source in self._sources]
        unread = [self._faults.get(source.name) or source.fault for source in self._sources]
        return {
            "from": "; ".join(names), "unread": [fault for fault in unread if fault],
            "faults": faulty, "counts": dict(self._counts),
        }  # fmt: skip

    async def run(self) -> None:
        """Read until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number, source in enumerate(self._sources):
                    group.create_task(self._keep_open(number, source))
            await asyncio.Event().wait()  # all are open, and stay so
        finally:
            self._end()

    def _end(self) -> None:
        if self._at_start is not None:
            self._at_start.close()
        for source in self._sources:
            source.close()
        for timer in (self._timer, *self._repeats.values()):
            if timer is not None:
                timer.cancel()
        for task in self._tasks:
            task.cancel()

    async def _keep_open(self, number: int, source: Source) -> None:
        """Open ``source``, as often as it takes; what is wrong is logged once."""
        if isinstance(source, GpiozeroSource):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IMPORT_WAIT_SECONDS):
                    await self._registered.wait()
        backoff = Backoff(RETRY_MAX, first=RETRY_FIRST)
        while True:
            try:
                levels = await source.open(partial(self._take, number))
            except (UnavailableError, OSError) as error:
                source.close()
                if self._faults.get(source.name) != str(error):
                    _log.warning("buttons: %s", error)
                self._faults[source.name] = str(error)
                await asyncio.sleep(backoff.next())
                continue
            self._faults.pop(source.name, None)
            _log.info("buttons: %s", source.name)
            for key, pressed in levels.items():
                self._keys[number, key] = Button(self._clock(), pressed=pressed)
            if self._at_start is not None:
                self._at_start.begin(levels)
            self._plan()
            return

    def _take(self, number: int, key: Key, at: float, *, pressed: bool) -> None:
        if self._at_start is not None and not pressed:
            self._at_start.release(key)
        button = self._keys.get((number, key))
        if button is None:
            button = self._keys[number, key] = Button(at)
        self._act(key, button.take(at, pressed=pressed))
        self._plan()

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        dues = [due for due in (button.due() for button in self._keys.values()) if due is not None]
        if dues:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, min(dues) - self._clock()), self._tick)

    def _tick(self) -> None:
        now = self._clock()
        for (_, key), button in tuple(self._keys.items()):
            self._act(key, button.tick(now))
        self._plan()

    def _act(self, key: Key, signs: list[Sign]) -> None:
        for sign in signs:
            if sign is Sign.PRESS:
                self._note_hand()
                self.on_press(key)
                self._counts[key] = self._counts.get(key, 0) + 1
            if sign is Sign.FAULT:
                _log.warning("buttons: %s is faulty, and is ignored until it is left alone", key)
            if key is Key.TALK:
                self._talk(sign)
            else:
                self._order(key, sign)

    # The talk button.

    def _talk(self, sign: Sign) -> None:
        if self._ears is None:
            return
        self._hand, act = talk(self._hand, sign, listens=self._ears.listens)
        match act:
            case Act.LISTEN:
                self._start(self._listen(self._ears))
            case Act.HOLD:
                self._ears.hold()
            case Act.RELEASE:
                self._ears.release()
            case Act.CANCEL:
                self._start(self._cancel(self._ears))
            case None:
                pass

    async def _listen(self, ears: Ears) -> None:
        from agent.voice.session import End, ListeningError  # noqa: PLC0415  # at the first press

        try:
            session = await ears.listen(held=self._hand is Hand.HOLDING)
        except ListeningError:
            return  # something else has begun meanwhile: it ends by itself
        if session.end is End.MUTED:
            ears.say(Cue.NOT_LISTENING)

    @staticmethod
    async def _cancel(ears: Ears) -> None:
        await ears.cancel()

    # The others.

    def _order(self, key: Key, sign: Sign) -> None:
        if sign is Sign.PRESS:
            self._press(key)
        elif sign is Sign.HOLD and key in {Key.VOLUME_UP, Key.VOLUME_DOWN}:
            self._repeat(key)
        elif sign in {Sign.RELEASE, Sign.FAULT} and key in self._repeats:
            self._repeats.pop(key).cancel()

    def _repeat(self, key: Key) -> None:
        self._press(key)
        loop = asyncio.get_running_loop()
        self._repeats[key] = loop.call_later(REPEAT_SECONDS, self._repeat, key)

    def _press(self, key: Key) -> None:
        if self._waiting < ORDERS_MAX:
            self._waiting += 1
            self._start(self._give(key))

    async def _give(self, key: Key) -> None:
        try:
            async with self._ordering:
                await self._orders.press(key)
        except UnavailableError as error:
            _log.info("button: %s: %s", key, error)
        finally:
            self._waiting -= 1

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
