"""Who tries passwords at the open API's log-in in a simulated world, and what may not come of that (docs/security.md).

A family logs in at home and elsewhere; strangers guess, from one address or several, at once, each second, or as often as they
are told to. An account of its own is tried, so that the app's own log-in is another matter.
"""

from __future__ import annotations

import contextlib
import functools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StagingError
from staging.store import accounts
from tools.sim.clock import START
from tools.sim.people import begin
from tools.sim.tokens import PASSWORD, cheap_hash, consent

if TYPE_CHECKING:
    from tools.sim.open_api import OpenApi
    from tools.sim.world import World

NAME = "grandparents"
# As docs/security.md has it: tries without a wait, the first wait after them, and the longest; of one address for one account,
# of an account from everywhere, and the longest wait where the owner has logged in before.
FREE, FREE_EACH, FIRST_SECONDS, LONGEST_SECONDS, KNOWN_SECONDS = 30, 5, 15.0, 900.0, 60.0
# After so long without a try all are forgotten; and the wait of whom the queue has no room for.
FORGOTTEN_SECONDS, QUEUE_SECONDS = 3600.0, 2.0
# Waits are told in whole seconds, and requests are on their way for a moment.
ROUNDING_SECONDS, AGAIN_SECONDS = 0.05, 1.0
# How often somebody who is told to wait tries again.
TRIES = 4


@dataclass(frozen=True, slots=True)
class Place:
    """From where somebody logs in: an address, and the network that counts as one, as whoever made it knows."""

    address: str
    network: str


HOME = Place("192.0.2.1", "home")
# One line of a household has more addresses than can be counted (RFC 4291, 2.5.4).
STREET = [Place(f"2001:db8:0:7::{number:x}", "street") for number in range(1, 30)]


def elsewhere(number: int) -> Place:
    """Return one of many addresses that have nothing in common."""
    return Place(f"198.51.{number // 250}.{1 + number % 250}", f"elsewhere {number}")


@dataclass(slots=True)
class Try:
    """One that was not held back: when it was sent and answered."""

    began: float
    answered: float


@dataclass(slots=True)
class Counted:
    """Wrong passwords that one process has looked at, since a right one or a long pause."""

    tries: list[Try] = field(default_factory=list)
    since: float = 0.0
    """What was sent before is not known to be counted."""

    def add(self, one: Try) -> None:
        """Count one."""
        if self.tries and one.answered - self.tries[-1].began >= FORGOTTEN_SECONDS:
            self.tries.clear()
        if one.began >= self.since:
            self.tries.append(one)

    def is_too_many(self, free: int, longest: float) -> bool:
        """Return whether more were looked at than the waits let through in the time from the first to the last."""
        over = len(self.tries) - free
        if over <= 0:
            return False
        needs = sum(min(longest, FIRST_SECONDS * 2.0**step) for step in range(over))
        passed = self.tries[-1].answered - min(each.began for each in self.tries)
        return passed + ROUNDING_SECONDS < needs

    def forget(self, now: float) -> None:
        """Begin anew, after a right password."""
        self.tries, self.since = [], now


class LogIns:
    """What is known of all tries of one world.

    Attributes:
        broken: what may not be.
    """

    def __init__(self, now: Callable[[], float], count: Callable[[str], None]) -> None:
        """Know of none; ``now`` is the true time, ``count`` counts for the totals."""
        self._now, self._count = now, count
        self.broken: list[str] = []
        self.is_made = False
        """Whether the account is in the store for good."""
        self._known: set[str] = set()
        self._maybe_known: set[str] = set()
        self._tried: set[tuple[int, str]] = set()
        """Where wrong passwords were sent to a process."""
        self._pairs: dict[tuple[int, str], Counted] = {}
        self._names: dict[int, Counted] = {}
        self._under_way: Counter[int] = Counter()
        self._latest: dict[tuple[int, str], float] = {}
        """When a wrong password was last looked at; "" stands for all networks."""

    def sent(self, process: int, place: Place, *, right: bool) -> None:
        """Note that a password is sent to a process of the cloud."""
        self._under_way[process] += 1
        if right:
            self._maybe_known.add(place.network)
        else:
            self._tried.add((process, place.network))

    def gone(self, process: int) -> None:
        """Note that what was sent has an answer, or never will have one."""
        self._under_way[process] -= 1

    def wrong(self, process: int, place: Place, began: float, status: int) -> None:
        """Note what a wrong password was answered."""
        self._count(f"guesses answered {status}")
        if status in {429, 503}:
            return
        if status != 401:
            self.broken.append(f"a wrong password was answered {status}")
            return
        now = self._now()
        self._latest[process, place.network] = self._latest[process, ""] = now
        is_maybe_known = place.network in self._maybe_known
        pair = self._pairs.setdefault((process, place.network), Counted())
        pair.add(Try(began, now))
        if pair.is_too_many(FREE_EACH, KNOWN_SECONDS if is_maybe_known else LONGEST_SECONDS):
            self._too_many(pair, f"from {place.network}")
        if not is_maybe_known:
            of_name = self._names.setdefault(process, Counted())
            of_name.add(Try(began, now))
            if of_name.is_too_many(FREE, LONGEST_SECONDS):
                self._too_many(of_name, "from everywhere")

    def _too_many(self, counted: Counted, where: str) -> None:
        tries = counted.tries
        passed = tries[-1].answered - min(each.began for each in tries)
        self.broken.append(f"{len(tries)} wrong passwords {where} were looked at in {passed:.0f} s")

    def right(self, process: int, place: Place, status: int, *, is_noted: bool) -> None:
        """Note what the right password was answered; ``is_noted``: the store takes what it is given."""
        self._count(f"log-ins answered {status}")
        if status not in {302, 429, 503}:
            self.broken.append(f"the right password was answered {status}")
        if status in {302, 503}:
            self._pairs.setdefault((process, place.network), Counted()).forget(self._now())
        if status == 302 and is_noted:
            self._known.add(place.network)

    def held_back(self, process: int, place: Place, seconds: float) -> None:
        """Note that somebody with the right password was told to wait for so long."""
        longest, queue = LONGEST_SECONDS, self._under_way[process] > 0
        if place.network in self._known:
            is_alone = (process, place.network) not in self._tried
            longest = QUEUE_SECONDS if is_alone and queue else 0.0 if is_alone else KNOWN_SECONDS
        if seconds > longest + AGAIN_SECONDS:
            self.broken.append(
                f"the owner was told to wait for {seconds:.0f} s {_where(place)}, and {longest:.0f} s are the most there"
            )

    def still_held_back(self, process: int, place: Place, since: float) -> None:
        """Note that somebody who has waited for as long as was told is told so again."""
        network = place.network if place.network in self._known else ""
        others = self._latest.get((process, network), -1.0) >= since or self._under_way[process] > 0
        if not others:
            self.broken.append(
                "who has waited for as long as was told is held back again, and nobody else has tried"
            )


def _where(place: Place) -> str:
    return "at home" if place is HOME else "elsewhere"


# Who does it.


def with_account(world: World, work: Callable[[], None]) -> None:
    """Do something once the account is there; it is made if it is not, and nothing is done if the store takes none."""
    database, log_ins = world.cloud.database, world.log_ins

    async def make() -> None:
        if database is not None:
            with contextlib.suppress(StagingError, SQLAlchemyError):
                await database.write(_add, int((START + world.loop.time()) * 1000))
                log_ins.is_made = True
                world.later(0.0, work)

    if log_ins.is_made:
        work()
    else:
        begin(world, make())


def _add(session: Any, now: int) -> None:
    if all(account.user_name != NAME for account in accounts.every(session)):
        accounts.add(session, NAME, cheap_hash(PASSWORD), now)


def guesses(world: World, chance: float) -> None:
    """Let a stranger, or a child at home, guess the password."""
    with_account(world, functools.partial(_guess_some, world, chance))


def family(world: World, chance: float) -> None:
    """Let somebody of the family log in."""
    with_account(world, functools.partial(_log_in_somewhere, world, chance))


def _guess_some(world: World, chance: float) -> None:
    """Guess from several addresses or one, at once or one after another."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    places = _places(rng)
    pace = rng.choice([0.0, 0.3, 2.0, 16.0])
    for number in range(rng.randint(8, 40)):
        place = rng.choice(places)
        world.later(pace * number, functools.partial(_guess, world, place, f"guess {number}"))
    if rng.random() < 0.6:  # the family does not notice, and logs in meanwhile
        world.later(
            pace * rng.uniform(0, 40), functools.partial(_log_in_somewhere, world, rng.random())
        )


def _places(rng: random.Random) -> Sequence[Place]:
    match rng.choice(["one", "several", "several", "street", "home"]):
        case "one":
            return [elsewhere(rng.randrange(2000))]
        case "several":
            return [elsewhere(rng.randrange(2000)) for _ in range(rng.randint(2, 40))]
        case "street":
            return STREET
    return [HOME]


def _log_in_somewhere(world: World, chance: float) -> None:
    """Log in, at home or elsewhere, with typing errors elsewhere; again as soon as that is let in."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    place = HOME if rng.random() < 0.6 else elsewhere(2000 + rng.randrange(3))
    errors = 0 if place is HOME else rng.choice([0, 0, 2, 6])
    for number in range(errors):
        world.later(3.0 * number, functools.partial(_guess, world, place, f"error {number}"))
    work = functools.partial(_log_in, world, place, TRIES, None, -1.0)
    world.later(3.0 * errors + 1.0, work)


def _guess(world: World, place: Place, password: str) -> None:
    api = world.cloud.some_api()
    if api is None:
        return

    async def ask(api: OpenApi) -> None:
        began = world.loop.time()
        world.log_ins.sent(id(api), place, right=False)
        status, _ = await _send(world, api, place, password)
        world.log_ins.wrong(id(api), place, began, status)

    begin(world, ask(api), api)


async def _send(
    world: World, api: OpenApi, place: Place, password: str
) -> tuple[int, dict[str, str]]:
    """Log in; return the answer's status and headers."""
    try:
        app_id = world.cloud.template.key.app_id
        return await consent(api, app_id, (NAME, password), address=place.address)
    except Exception as error:  # any is a bug of the application's
        world.log_ins.broken.append(f"the log-in fails: {error!r}")
        raise
    finally:
        world.log_ins.gone(id(api))


def _log_in(world: World, place: Place, tries: int, at: OpenApi | None, since: float) -> None:
    """Log in, at the process that has said to wait, if there is one: since then nobody may have to wait for longer."""
    cloud = world.cloud
    second = None if cloud.second is None else cloud.second.api
    api = cloud.some_api() if at is None else at if at in (cloud.api, second) else None
    if api is None:
        return

    async def ask(api: OpenApi) -> None:
        log_ins, process = world.log_ins, id(api)
        log_ins.sent(process, place, right=True)
        is_noted = not api.is_full()
        status, headers = await _send(world, api, place, PASSWORD)
        log_ins.right(process, place, status, is_noted=is_noted and not api.is_full())
        if status != 429:
            return
        seconds = float(headers["retry-after"])
        log_ins.held_back(process, place, seconds)
        if since >= 0.0:
            log_ins.still_held_back(process, place, since)
        if tries:
            work = functools.partial(_log_in, world, place, tries - 1, api, world.loop.time())
            world.later(seconds, work)

    begin(world, ask(api), api)


HAPPENINGS = {"guesses": guesses, "family logs in": family}
