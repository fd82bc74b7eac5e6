"""Orders to update: how one is written, and what was seen of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from staging.advise.record import ANSWERED, Known, Probe
from wire.codes import Code
from wire.fields import dump_object

BEGIN, DOWNLOADING, DOWNLOADED, INSTALLING, INSTALLED = 0, 4, 5, 7, 10
CHECKSUM_FAIL = 31
# Event numbers that end an update, and all that there are (device-protocol.md, OTA order).
ENDS = frozenset({1, 2, 3, 6, 8, 9, 10, 11, 12, *range(30, 39)})
EVENTS = ENDS | {BEGIN, DOWNLOADING, DOWNLOADED, INSTALLING}
NEW, OLD = "99.0.0.0", "0.0.0.1"
MD5 = "0123456789abcdef0123456789abcdef"

# As what a case notes why it offers no package.
NOTHING = "nothing to offer"


class Lacking(StrEnum):
    """Why no package is offered."""

    PACKAGE = "neither root nor package"
    GOOD = "no package"
    ROOT = "no root"
    READING = "the repository is not read"
    ORDERS = "it takes no orders"
    REFUSED = "it took no order just now"


def payload_of(transaction: str, where: str, **changes: object) -> bytes:
    """Return an order's payload; a change to None leaves its member out."""
    members: dict[str, object] = {
        "transaction": transaction, "version": NEW, "old_version": OLD, "url": where, "size": 521,
        "signature": MD5,
    }  # fmt: skip
    members |= changes
    return dump_object(
        {"ota": {name: value for name, value in members.items() if value is not None}}
    )


@dataclass(slots=True)
class Ordered:
    """One order, and what the device told and fetched of it.

    Attributes:
        name: what is tried by it.
        probe: how it was answered.
        at: when it was sent.
        size: bytes of its package.
        told: the values of its reports ``ota_event``, each with when it came.
        states: those of ``ota_state``.
        asked: the first byte of each request for its package.
        seen: what else the case noted.
    """

    name: str
    transaction: str
    probe: Probe
    at: float
    size: int = 0
    told: list[tuple[float, dict[str, object]]] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    seen: dict[str, object] = field(default_factory=dict)

    @property
    def taken(self) -> bool:
        """Whether the device took it."""
        return self.probe.outcome == ANSWERED and self.probe.code == Code.CHANGED

    @property
    def events(self) -> list[object]:
        """The event numbers, in order."""
        return [value.get("event") for _, value in self.told]

    @property
    def ends(self) -> list[object]:
        """Those of them that end an update."""
        return [event for event in self.events if event in ENDS]

    @property
    def percents(self) -> list[object]:
        """What the reports of the download say, in order."""
        return [value.get("percent") for _, value in self.told if value.get("event") == DOWNLOADING]

    def gather(self, known: Known) -> None:
        """Read again what was told of it."""
        self.told = [
            (at, value) for at, value in known.events if value.get("transaction") == self.transaction
        ]  # fmt: skip
        self.states = [
            state for _, value in known.states
            if value.get("transaction") == self.transaction and isinstance(state := value.get("state"), int)
        ]  # fmt: skip
