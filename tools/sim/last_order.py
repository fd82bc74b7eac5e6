"""The last order wins: what the player is given is what the last order said, until that title ends by itself.

Heard at two places: what the teller of stories is ordered, by whomever (button, app, voice, sleep timer, rules), and
what its player is told to load. Titles alone count: a chime that proves the sound is nobody's order.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

from machine.errors import UnavailableError
from resources.playing.events import Ended, Event, Stopped
from resources.playing.last_wins import GivenUpError
from resources.playing.orders import Add, Command, Jump, Order, Play, SetMode, starts_sound
from resources.playing.queue import PlayMode
from resources.playing.teller import Teller
from resources.points.play import PlayPoint
from tools.sim.machine import CURRENT_MACHINE, TITLES
from tools.sim.web_server import STORIES, url_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.machine import Machine

# What may be ordered, and what is heard then: titles of the card, and stories from the web.
ORDERED = {**{title: title for title in TITLES}, **{url_of(name): name for name in STORIES}}
# What the last order said is not known: it failed, is under way, or its title has ended.
UNKNOWN = object()


def changes(order: Order) -> bool:
    """Return whether an order may change which title plays."""
    return isinstance(order, Play | Jump | Add | Command) and order is not Command.PAUSE


def decides(order: Order) -> bool:
    """Return whether an order says which title plays, whatever was ordered before; one to go on lets that begin too."""
    is_step = order in {Command.NEXT, Command.PREVIOUS, Command.STOP}
    return isinstance(order, Play | Jump) or is_step


def replaces(order: Order) -> bool:
    """Return whether an order may put another queue in place of the one that plays."""
    return isinstance(order, Play) or order in {Command.STOP, Command.RESUME, Command.RESTART}


def stem(source: str) -> str:
    """Return a file's name without folder and suffix."""
    return os.path.splitext(os.path.basename(source))[0]  # noqa: PTH119, PTH122  # at each look


class LastOrder:
    """Of one machine; `watch_teller` tells it of orders, its player of what is loaded.

    Attributes:
        broken: what was not as the last order said.
    """

    def __init__(self, machine: Machine) -> None:
        """Know of no order."""
        self._machine = machine
        self.broken: list[str] = []
        self._newest = self._done = 0
        self._wanted: object = UNKNOWN
        self._has_ended = False
        self._loading = 0
        self._again: str | None = None
        self._replacing = 0
        self._cut_short = ""
        self._length = 0
        """How many titles the queue has at least: what was added stays until another one takes its place."""
        machine.sounds.hears = self

    def gone(self) -> None:
        """Hear that the process is gone, and all that it was ordered."""
        self._newest += 1
        self._done, self._wanted, self._loading = self._newest, UNKNOWN, 0
        self._again = None
        self._replacing = self._length = 0

    # Of the teller.

    def begin(self, order: Order) -> int:
        """Note that an order comes; return its number, 0 for one that does not change which title plays."""
        if not changes(order):
            if isinstance(order, SetMode):
                self._again = None
            return 0
        self._newest += 1
        self._wanted, self._has_ended, self._again = UNKNOWN, False, None
        if replaces(order):
            self._replacing += 1
            self._length = 0
        return self._newest

    def over(self, order: Order) -> None:
        """Note that nothing more is done for an order."""
        if replaces(order):
            self._replacing = max(0, self._replacing - 1)

    def tells(self, event: Event) -> None:
        """Hear what the teller tells: that the queue is empty, or that a title has ended."""
        if isinstance(event, Stopped):
            self._length = 0
        if isinstance(event, Ended) and event.finished and self._cut_short:
            self.broken.append(f"{event.track} ended {self._cut_short}, and is told as finished")
        if isinstance(event, Ended):
            self._cut_short = ""

    def has(self, order: Order, length: int) -> None:
        """Note how many titles the queue has once an order was carried out."""
        if self._replacing:
            return
        if length < self._length:
            self.broken.append(
                f"titles were answered as added, and the queue has {length}, not {self._length}"
            )
            self._length = 0
        if isinstance(order, Add):
            self._length = max(self._length, length)

    def done(self, order: Order, number: int) -> None:
        """Note that an order was carried out, before whoever gave it has the answer."""
        if number != self._newest:
            return
        self._done = number
        if self._has_ended or not decides(order):
            return
        player = self._machine.player
        source = None if player is None else player.source
        self._wanted = source
        wanted = order.wanted if isinstance(order, Play) else None
        if order is Command.STOP and source is not None:
            self.broken.append(f"to stop was answered as done, and {stem(source)} is loaded")
        elif wanted in ORDERED and (source is None or stem(source) != ORDERED[wanted]):
            found = "nothing" if source is None else stem(source)
            self.broken.append(f"{wanted} was answered as done, and {found} is loaded")

    def failed(self, order: Order, number: int, error: UnavailableError) -> None:
        """Note that an order was given up: only a newer one that changes what plays may have done that."""
        if number == self._newest and str(error) == str(GivenUpError()):
            self.broken.append(f"{order} was given up for a newer order, and there is none")

    # Of the player.

    def loads(self, source: str) -> None:
        """Hear that the player is told to load a source."""
        if stem(source) not in TITLES:
            return
        self._loading += 1
        if self._loading > 1:
            self.broken.append(f"{stem(source)} is loaded while another title is")
        self._judge(source)

    def knows(self, source: str) -> None:
        """Hear which story from the web has begun to come: until then nobody knows it by its address at the relay."""
        self._judge(source)

    def _judge(self, source: str) -> None:
        """Compare what is loaded with what was ordered last, and with what is to be repeated."""
        again, self._again = self._again, None
        is_free = self._done == self._newest  # else an order that came before the end is under way
        if again is not None and source != again and is_free:
            self.broken.append(f"{stem(again)} is to be repeated, and {stem(source)} is loaded")
        if self._wanted is not UNKNOWN and is_free and source != self._wanted:
            last = "silence" if self._wanted is None else stem(str(self._wanted))
            self.broken.append(f"{last} was ordered last, and {stem(source)} is loaded")

    def loaded(self, source: str) -> None:
        """Hear that the player has loaded a source, or has given it up."""
        if stem(source) in TITLES:
            self._loading = max(0, self._loading - 1)

    def ended(self, source: str) -> None:
        """Hear that a title has ended: what follows is the queue's matter, and the same if the mode is so."""
        self._wanted, self._has_ended = UNKNOWN, True
        points = getattr(getattr(self._machine.agent, "_dispatch", None), "points", {})
        teller = teller_of(points.get("play"))
        is_repeated = teller is not None and teller.mode is PlayMode.REPEAT_ONE
        self._again = source if is_repeated else None

    def cut_short(self, how: str) -> None:
        """Hear how the title that ends now was not all of it, "" if it was."""
        self._cut_short = how

    # At each look.

    def look(self, teller: Any) -> None:
        """Compare queue, deck and player while nobody changes them."""
        programme, player = teller._programme, self._machine.player  # noqa: SLF001  # its state
        deck, current = programme.deck, programme.queue.current
        is_busy = teller._orders or programme.lock.locked() or deck.loading  # noqa: SLF001
        if player is None or player.is_closed or is_busy or player.has_ended:
            return
        track = deck.track
        if (None if track is None else track.key) != (None if current is None else current.key):
            self.broken.append(f"the queue is at {current}, and {track} is on the deck")
        elif track is not None and stem(player.source or "") != stem(track.source):
            self.broken.append(f"{track} is on the deck, and {player.source} on the player")


def watch_teller(watching: Callable[[], LastOrder | None]) -> None:
    """Tell of all orders that a teller gets, for the rest of the process."""
    obey, change = Teller.obey, Teller._change  # noqa: SLF001  # what waits for its turn is seen nowhere else
    heard: weakref.WeakSet[Teller] = weakref.WeakSet()

    async def noted_obey(self: Teller, order: Order, *, reported: bool = False) -> None:
        machine = CURRENT_MACHINE.get()
        known = None if machine is None or machine.life is None else watching()
        if known is None:
            await obey(self, order, reported=reported)
            return
        if self not in heard:
            heard.add(self)
            self.subscribe(known.tells)
        number = known.begin(order)
        try:
            await obey(self, order, reported=reported)
        except UnavailableError as error:
            if number and machine is not None and machine.life is not None:
                known.failed(order, number, error)
            raise
        finally:
            known.over(order)
        if number:
            known.done(order, number)
            known.has(order, len(self._programme.queue))  # its state

    async def noted_change(self: Teller, order: Order, target: Any, number: int) -> None:
        is_over = number < self._wins.taken and starts_sound(order)
        await change(self, order, target, number)
        machine = CURRENT_MACHINE.get()
        known = None if machine is None or machine.life is None else watching()
        if known is not None and is_over:
            known.broken.append(f"{order} was begun, and a newer order had been taken before")

    Teller.obey = noted_obey  # type: ignore[method-assign]
    Teller._change = noted_change  # type: ignore[method-assign]  # noqa: SLF001


def teller_of(point: Any) -> Teller | None:
    """Return the teller of stories behind a data point."""
    return point.teller if isinstance(point, PlayPoint) else None
