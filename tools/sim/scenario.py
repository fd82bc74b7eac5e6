"""What happens in a simulated day, made of a seed alone: who does what when, and what breaks. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

HOUR = 3600.0
# What is shorter than this is a dense seed: what is rare in a day is not there.
DAY_HOURS = 1.0


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens: at a second, to be read with ``chance``, a number from 0 to 1 of its own."""

    at: float
    what: str
    chance: float

    def __str__(self) -> str:
        """Return it for a trace."""
        return f"{self.at:9.2f} {self.what} {self.chance:.6f}"


# How often each happens in a day, if it is of this seed's.
USE = {
    "play": 40, "next": 20, "pause": 20, "stop": 12, "volume": 20, "knob": 12, "command": 60,
    "mode": 4, "sleep timer": 4, "rules": 4, "mute": 4, "lock": 3, "limits": 2,
}  # fmt: skip
FAULTS = {
    "network cut": 30, "network down": 12, "half open": 8, "slow network": 6, "name server": 6,
    "dead addresses": 4, "kill": 5, "power cut": 4, "cut at a call": 8, "full disk": 4,
    "read-only disk": 2, "no sound device": 6, "broken track": 3, "clock": 3, "cloud kill": 4,
    "cloud power cut": 2, "repository": 4, "portal": 1, "on battery": 3, "power button": 2,
}  # fmt: skip
# These came later: their chance is their own, so that the seeds that found something stay what they were.
ADDED = {
    "short outage": 10, "bit flip": 1, "speak": 8, "bedtime": 4, "nap": 6, "proxy": 4, "slow sound": 3,
    "stuck mixer": 2, "full cloud": 2, "many orders": 2, "sent again": 6,
    "second thoughts": 2, "tunnel": 2, "crowd": 12,
    "wake word": 10, "wake process": 3, "forged": 4, "short day": 3,
    "adders": 6, "loud and stuck": 2, "other packages": 3, "dead proxy": 2,
    "busy repository": 2, "says nothing": 4,
}  # fmt: skip
# Of stories from the web and their server, and of a card that wears out: in so many of all dense seeds.
HALF = 0.5
ROT = {"bit rot": 6, "setting rots": 6}
WEB = {"web story": 16, "web trouble": 6, "web edition": 1, "web name": 1, "web crowd": 6}
# Of a server of stories that is unlike others, and of stories that are kept for good; their chance is their own too.
WEB_MORE = {"web manners": 8, "pin": 24}
# Of lists and feeds, and of a server that tells no lengths, or not that it has other stories; their chance is their own too.
WEB_LISTS = {"web list": 16, "web lengths": 6, "web silent edition": 1}
# Of the machine's process, and of its card; their chance is their own too.
PROCESS = {"restart": 2, "interrupt": 1, "reload": 4, "card away": 4}
# Of what a family sets, and of a power cut in the moment of the answer; their chance is their own too.
SETTINGS = {"set twice": 8, "cut at an answer": 3, "set at once": 4, "nap taken back": 4}
# What came after that, against bugs that nothing else shows; their chance is their own too.
AIMED = {"clock set back": 3, "cut at an end": 4, "limit below": 4}
# Of stories that are kept for good, and of a server that has no time just then.
WEB_AIMED = {"pin in vain": 8}
# Of worlds with a broker between machine and cloud; their chance is their own too.
BROKER = {
    "broker kill": 4, "broker restart": 3, "broker power cut": 2, "broker stands still": 6,
    "cloud is cut off": 8, "cloud is half open": 4, "cloud is away": 4, "broken off in an order": 6,
    "held at the door": 6, "worker kill": 6, "broken off at its begin": 4,
}  # fmt: skip
# Of the cloud's side; their chance is their own too.
CLOUD = {"token ends": 2, "token is taken back": 2, "old token": 3, "flood": 2}
# A rollout takes a cloud that looks for it, and other machines: few seeds have any, of days still fewer.
ROLLOUT = {"rollout": 12, "rollout act": 30, "look for an update": 20}
RARE_PART, RARER_PART, RARE_PART_OF_DAYS, DENSE = 0.3, 0.15, 0.03, 4.0
# A cloud whose files may be damaged looks at them: few have that.
DAMAGE = {"cloud bit flip": 6}
# Its power goes while its disk is full; that has its own chance too.
CUT_WHILE_FULL = {"cloud cut while full": 8}
# Of what the cloud keeps for days of its own, where those are short; that has its own chance too.
AGES = {"old request": 30, "order without room": 12}
# Its files may be damaged while it runs, too; that has its own chance.
ROTS = {"cloud bit rot": 20}
# So may its store, which is looked at then as a server looks at it.
STORE_ROTS = {"cloud store rots": 20}
# Of who logs in at the open API, and who guesses there: in so many of dense seeds, and of days.
LOG_INS = {"guesses": 10, "family logs in": 16}
# Of updates that are ordered while a machine has no room for one more request; that has its own chance too.
ORDERED_AMONG_MANY = {"order among many": 12}
# Of a limit for the volume by night.
NIGHT_LIMIT = {"night limit": 16}
# Of two machines with one identity: in so many of dense seeds, and of days.
TWINS = {"twins": 20, "twin leaves": 6}
# Of what apps order of these, where there are two.
TWIN_ORDERS = {"twin order": 60}
# Of the child's voice where it is kept for some days: in so many of dense seeds, and of days.
VOICE = {"voice": 30, "voice is heard": 16, "voice is erased": 16}
UPDATES = {"update": 5, "bad update": 3, "cancel": 3}
# What people do by hand, by speech or with an app. A seed begins at six in the morning, which is when they get up, so that
# nothing of a short one is at night; from 21:00 on they do a tenth of that, as who turns it down before going to bed. What
# a parent sets for the evening (quiet hours, a sleep timer) and what breaks keeps no hours.
BY_PEOPLE = frozenset({
    "play", "next", "pause", "stop", "volume", "knob", "command", "mode", "mute", "lock", "limits", "speak",
    "wake word", "many orders", "crowd", "adders", "web story", "web crowd", "web list", "power button", "set twice", "set at once",
    "family logs in", "voice", "voice is heard", "pin", "says nothing",
})  # fmt: skip
BED_HOURS, NIGHT_PART = 15.0, 0.1


def is_by_mqtt(seed: int) -> bool:
    """Return whether a seed's machine and cloud have a broker between them; else they speak framed CoAP."""
    return random.Random(f"link {seed}").random() < 0.5  # noqa: S311  # a simulation


def scenario(
    seed: int, hours: float, density: float = 1.0, *, by_mqtt: bool = False
) -> list[Event]:
    """Return the events of a seed, by time; each seed has some kinds of faults, and none of others.

    ``density``: how many times as often all happens as on a usual day, for short runs; ``by_mqtt``: there is a broker.
    """
    rng = random.Random(f"scenario {seed}")  # noqa: S311  # a simulation
    faults = {name: rate for name, rate in FAULTS.items() if rng.random() < 0.5}
    rates: dict[str, float] = {**USE, **(UPDATES if rng.random() < 0.7 else {}), **faults}
    scale = rng.choice([0.3, 1.0, 1.0, 3.0])
    often = {name: rate * density for name, rate in rates.items()}
    events = [
        event
        for name, rate in often.items()
        for event in _spread(rng, name, rate * (scale if name in faults else 1.0), hours * HOUR)
    ]
    groups = {
        "added": ADDED,
        "cloud": CLOUD,
        "process": PROCESS,
        "settings": SETTINGS,
        "aimed": AIMED,
        **({"broker": BROKER} if by_mqtt else {}),
    }
    for group, of_group in groups.items():
        events += _some(random.Random(f"{group} {seed}"), of_group, density, hours * HOUR)  # noqa: S311  # a simulation
    part = RARE_PART if density > DENSE else RARE_PART_OF_DAYS
    rare = {
        "rollouts": ROLLOUT, "damage": DAMAGE, "log-ins": LOG_INS, "voice": VOICE, "web lists": WEB_LISTS, "twins": TWINS, "cloud rot": ROTS,
    }  # fmt: skip
    for group, of_group in rare.items():
        events += _rarely(random.Random(f"{group} {seed}"), of_group, density, hours * HOUR, part)  # noqa: S311  # a simulation
    part = RARER_PART if density > DENSE else RARE_PART_OF_DAYS
    rare = {
        "cut while full": CUT_WHILE_FULL,
        "ages": AGES,
        "store rot": STORE_ROTS,
        "night limit": NIGHT_LIMIT,
        "among many": ORDERED_AMONG_MANY,
    }
    for group, of_group in rare.items():
        events += _rarely(random.Random(f"{group} {seed}"), of_group, density, hours * HOUR, part)  # noqa: S311  # a simulation
    if any(event.what == "twins" for event in events):
        events += _some(random.Random(f"twin orders {seed}"), TWIN_ORDERS, density, hours * HOUR)  # noqa: S311  # a simulation
    part = HALF if density > DENSE else RARE_PART_OF_DAYS
    for group, of_group in {
        "web": WEB,
        "rot": ROT,
        "web more": WEB_MORE,
        "web aimed": WEB_AIMED,
    }.items():
        events += _rarely(random.Random(f"{group} {seed}"), of_group, density, hours * HOUR, part)  # noqa: S311  # a simulation
    return let_sleep(seed, sorted(events, key=lambda event: event.at))


def let_sleep(seed: int, events: Iterable[Event]) -> list[Event]:
    """Return what happens where people sleep: most of what they would do at night is left out, and all else stays."""
    rng = random.Random(f"night {seed}")  # noqa: S311  # a simulation
    return [
        event
        for event in events
        if event.what not in BY_PEOPLE
        or event.at % (24 * HOUR) < BED_HOURS * HOUR
        or rng.random() < NIGHT_PART
    ]


def _some(
    rng: random.Random, rates: Mapping[str, float], density: float, seconds: float
) -> Iterator[Event]:
    """Yield what happens of a group of which a seed has every second kind."""
    for name, rate in rates.items():
        if rng.random() < 0.5:
            yield from _spread(rng, name, rate * density, seconds)


def _rarely(
    rng: random.Random, rates: Mapping[str, float], density: float, seconds: float, part: float
) -> Iterator[Event]:
    """Yield what happens of a group that a ``part`` of all seeds has as a whole."""
    if rng.random() < part:
        for name, rate in rates.items():
            yield from _spread(rng, name, rate * density, seconds)


def _spread(rng: random.Random, name: str, rate: float, seconds: float) -> Iterator[Event]:
    at = rng.expovariate(rate / (24 * HOUR))
    while at < seconds:
        yield Event(round(at, 2), name, round(rng.random(), 6))
        at += rng.expovariate(rate / (24 * HOUR))
