"""The faults of the bench: what there is, which values each has, and within which bounds. No I/O.

Every fault is of one device and ends by itself (`SECONDS`). Those of `Where.LINK`, `PACKAGE` and `CLOUD` are the
cloud's own work and reach any machine; those of `MACHINE` need ``story-agent bench-helper`` beside the agent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from wire.errors import FieldError

# A name and a value of a command: ``bytes_per_second=8000``.
_WHOLE = re.compile(r"-?[0-9]{1,10}")

BOTH, TO_DEVICE, TO_CLOUD = "both", "to_device", "to_cloud"
WAYS = (BOTH, TO_DEVICE, TO_CLOUD)


class Where(StrEnum):
    """What a fault is in."""

    LINK = "link"
    """The connection between the machine and the cloud."""
    PACKAGE = "package"
    """What the cloud serves to the machine for an update."""
    CLOUD = "cloud"
    """What the cloud says."""
    MACHINE = "machine"
    """The machine itself, by a helper beside the agent."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a fault: a whole number of ``unit`` within bounds, or one of ``choices``."""

    name: str
    default: int | str
    unit: str = ""
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """What may be given, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return f"a whole number of {self.unit or 'times'} from {self.low} to {self.high}"

    def parse(self, given: object) -> int | str:
        """Return the value in ``given``, a number or a text; raises FieldError."""
        if self.choices:
            if given in self.choices:
                return str(given)
        elif isinstance(given, str) and _WHOLE.fullmatch(given):
            given = int(given)
        is_number = isinstance(given, int) and not isinstance(given, bool)
        if not self.choices and is_number and self.low <= given <= self.high:  # type: ignore[operator]
            return int(given)  # type: ignore[call-overload, no-any-return]
        raise FieldError(self.name, given, self.expected)


SECONDS = Value("seconds", 60, "seconds", 1, 3600)
"""After so many seconds a fault ends by itself; every lasting fault has it."""

_WAY = Value("way", BOTH, choices=WAYS)
_RATE = Value("bytes_per_second", 8000, "bytes a second", 1, 10_000_000)
_TIMES = Value("times", 1, "times", 1, 1000)
_SEED = Value("seed", 0, "numbers", 0, 1_000_000)
_MINUTES = Value("minutes", -525_600, "minutes", -30_000_000, 30_000_000)


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault that there is.

    Attributes:
        name: by which commands, the page and the API call it.
        where: what it is in.
        text: what happens, in English; the page has its own words.
        values: what can be chosen, beside `SECONDS`.
        is_lasting: whether it lasts until it ends; others happen once, at once.
    """

    name: str
    where: Where
    text: str
    values: tuple[Value, ...] = ()
    is_lasting: bool = True

    @property
    def all_values(self) -> tuple[Value, ...]:
        """The values, with the time of a lasting fault."""
        return (*self.values, SECONDS) if self.is_lasting else self.values

    def parse(self, given: Mapping[str, object]) -> dict[str, int | str]:
        """Return all values, with defaults for those that are not given; raises FieldError."""
        known = {value.name: value for value in self.all_values}
        for name, value in given.items():
            if name not in known:
                expected = f"a value of {self.name}: {', '.join(known) or 'it has none'}"
                raise FieldError(name, value, expected)
        return {name: value.parse(given.get(name, value.default)) for name, value in known.items()}


_ALL = (
    Kind("cut", Where.LINK, "the connection is reset, and every new one too"),
    Kind(
        "cut_after", Where.LINK, "the connection is reset in the middle, after so many more bytes, once",
        (Value("bytes", 100, "bytes", 0, 100_000_000), _WAY),
    ),
    Kind("slow", Where.LINK, "the link carries few bytes a second", (_RATE, _WAY)),
    Kind(
        "delay", Where.LINK, "what is sent arrives later",
        (
            Value("ms", 2000, "ms", 1, 60_000),
            Value("jitter_ms", 0, "ms", 0, 60_000),
            _WAY,
        ),
    ),
    Kind("half_open", Where.LINK, "nothing passes, and neither side is told: a black hole", (_WAY,)),
    Kind(
        "package_broken", Where.PACKAGE, "the package arrives with flipped bits",
        (Value("flips", 1, "bits", 1, 1000), _SEED),
    ),
    Kind(
        "package_cut", Where.PACKAGE, "the download breaks off after a part of it",
        (Value("percent", 50, "percent", 0, 99), _TIMES),
    ),
    Kind(
        "package_slow", Where.PACKAGE, "the download is slow", (_RATE,),
    ),
    Kind(
        "package_redirect", Where.PACKAGE, "the download is redirected so many times before it comes",
        (Value("times", 3, "times", 1, 50),),
    ),
    Kind("package_portal", Where.PACKAGE, "a captive portal's page comes in place of the package"),
    Kind(
        "package_status", Where.PACKAGE, "the download is answered with an error",
        (Value("code", 503, "HTTP statuses", 400, 599), _TIMES),
    ),
    Kind("package_no_range", Where.PACKAGE, "ranges are ignored: a download begins anew each time"),
    Kind("cloud_time", Where.CLOUD, "the cloud tells a wrong time", (_MINUTES,)),
    Kind("freeze", Where.MACHINE, "the agent's process stands still (SIGSTOP)"),
    Kind(
        "disk_full", Where.MACHINE, "the disk of the state is full",
        (Value("left_kb", 0, "KiB", 0, 1_000_000),),
    ),
    Kind(
        "disk_read_only", Where.MACHINE, "the agent is killed, and starts on a disk that can only be read",
    ),
    Kind("clock_wrong", Where.MACHINE, "the agent's clock is wrong", (_MINUTES,)),
    Kind("sound_dead", Where.MACHINE, "the sound server dies, as often as it comes back"),
    Kind("kill", Where.MACHINE, "the agent's process ends at once (kill -9)", is_lasting=False),
    Kind(
        "card", Where.MACHINE, "bits of a file on the card are flipped, and the agent starts anew",
        (
            Value("file", "state", choices=("state", "outbox", "slot", "any")),
            Value("flips", 8, "bits", 1, 1000),
            _SEED,
        ),
        is_lasting=False,
    ),
)  # fmt: skip

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
"""All faults, by their names."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault that a device has now.

    Attributes:
        kind: which.
        values: all its values.
        until: when it ends, by the board's clock, in seconds.
        number: unlike that of any other fault since the cloud's start.
    """

    kind: Kind
    values: Mapping[str, int | str]
    until: float
    number: int = 0

    @property
    def name(self) -> str:
        """The fault's name."""
        return self.kind.name

    def number_of(self, name: str) -> int:
        """Return a value that is a number."""
        return int(self.values[name])

    def to_json(self, now: float) -> dict[str, object]:
        """Return it as commands and the page see it; ``left`` in seconds."""
        return {
            "name": self.name,
            "where": self.kind.where.value,
            "values": dict(self.values),
            "left": max(0, round(self.until - now)),
        }

    @property
    def shown(self) -> str:
        """The fault in a word and its values, as the audit log names it."""
        told = " ".join(f"{name}={value}" for name, value in self.values.items())
        return f"{self.name} {told}".strip()


def kind_of(name: object) -> Kind:
    """Return the fault of this name; raises FieldError."""
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise FieldError("fault", name, f"one of {', '.join(KINDS)}")
    return kind


def parse_words(words: Iterable[str]) -> dict[str, object]:
    """Return the values in words of a command, ``name=value`` each; raises FieldError."""
    values: dict[str, object] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name or name in values:
            raise FieldError("value", word, "NAME=VALUE, each name once")
        values[name] = value
    return values


def catalogue() -> list[dict[str, object]]:
    """Return all faults and their values as JSON, in the order of the table."""
    return [
        {
            "name": kind.name,
            "where": kind.where.value,
            "text": kind.text,
            "lasting": kind.is_lasting,
            "values": [
                {
                    "name": value.name,
                    "default": value.default,
                    "unit": value.unit,
                    "low": value.low,
                    "high": value.high,
                    "choices": list(value.choices),
                }
                for value in kind.all_values
            ],
        }
        for kind in KINDS.values()
    ]
