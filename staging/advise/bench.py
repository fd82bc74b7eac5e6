"""The narrow interface between cases and a device: connections in every manner, time, and a hand at the machine.

`staging.advise.host` has it on real sockets; the tests' twins have it in one process and on a clock of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from staging.advise.record import LineSeen


class Paper(StrEnum):
    """The certificate that is shown to the device."""

    GOOD = "good"
    EXPIRED = "expired"
    FUTURE = "not yet valid"
    HOST = "another host's"
    AUTHORITY = "of an unknown CA"
    BESIDE = "of an unknown CA, with the right CA's certificate beside it"
    SELF_SIGNED = "signed by itself"
    CLIENT = "for clients only"
    LONG = "good, among twelve others"


@dataclass(frozen=True, slots=True)
class Manner:
    """How the next connection is received.

    Attributes:
        paper: the certificate.
        tls: the one version that is offered, "1.1", "1.2" or "1.3"; "": 1.2 and 1.3.
        clear: what is answered without TLS to the device's first bytes; None: TLS is spoken.
        pace: bytes a second in each direction; 0: as fast as it goes.
        delay: seconds that each byte is on its way in each direction.
    """

    paper: Paper = Paper.GOOD
    tls: str = ""
    clear: bytes | None = None
    pace: int = 0
    delay: float = 0.0


GOOD = Manner()


# Seconds of the countdown before a tester speaks.
COUNT_DOWN = 3


class AbsentError(Exception):
    """The device did not connect in time."""


class HelplessError(Exception):
    """Nobody makes this fault at the machine; the message says why."""


class Line(Protocol):
    """One connection of the device."""

    @property
    def seen(self) -> LineSeen:
        """What was seen of it."""

    async def read(self) -> bytes:
        """Return what comes next; b"" at the end."""

    def write(self, data: bytes) -> None:
        """Send bytes, in one record of TLS."""

    def hold(self) -> None:
        """Let nothing through any more, in either direction, and tell nobody."""

    def close(self) -> None:
        """End it in order."""

    def reset(self) -> None:
        """End it without a word."""


class Bench(Protocol):
    """What cases may do."""

    @property
    def link(self) -> str:
        """What the device speaks: "coap" or "mqtt"."""

    def now(self) -> float:
        """Return seconds that only grow."""

    def wall_ms(self) -> int:
        """Return the time of day (Unix, milliseconds)."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def accept(self, manner: Manner, within: float) -> Line:
        """Return the device's next connection, with or without a handshake; raises AbsentError."""

    @property
    def waiting(self) -> int:
        """How many connections of the device nobody has taken yet."""

    def needs_helper(self) -> None:
        """Raise HelplessError if no helper stands beside the machine."""

    async def strike(self, fault: str, values: Mapping[str, int | str]) -> str:
        """Have the helper make a fault (`staging.bench.faults`); return what it says. Raises HelplessError."""

    async def ease(self, fault: str) -> None:
        """End a lasting fault."""

    async def hand(self, verb: str) -> bool:
        """Have the helper at the machine do something; return whether it could."""

    @property
    def lead(self) -> float:
        """Seconds from asking who spoke last until he was to begin."""

    async def speak(self) -> bool:
        """Have somebody speak to the device; return, when he has spoken, whether anybody could."""

    def serve(self, path: str, how: Serving) -> str:
        """Offer a file by HTTP; return its URL. What is fetched is in ``how``."""


@dataclass(slots=True)
class Serving:
    """A file that is offered by HTTP, and what goes wrong with it.

    Attributes:
        content: its bytes.
        status: the answer's status; 302 sends to ``to``.
        to: where 302 sends, a path; "": to the same path again, without end.
        cut: after so many bytes of each answer the connection is cut; 0: never.
        page: whether a web page comes in its place, as behind a log-in page.
        pace: bytes a second; 0: as fast as it goes.
        times: for how many requests ``status``, ``cut`` and ``page`` hold; 0: for all.
        ranges: whether a part can be asked for.
        asked: the first byte that each request asked for, in order.
    """

    content: bytes
    status: int = 200
    to: str = ""
    cut: int = 0
    page: bool = False
    pace: int = 0
    times: int = 0
    ranges: bool = True
    asked: list[int] = field(default_factory=list)
