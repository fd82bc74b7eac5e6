"""The services that the open API and the console share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from staging.audit import Audit
from staging.bench.bench import Bench
from staging.diagnoses import Diagnoses
from staging.gateway.gateway import Gateway
from staging.log_ins import LogIns
from staging.recognition.service import Recognition
from staging.store import Database
from staging.store.nonces import Nonces
from staging.times import Clock
from staging.wirelog.log import WireLog


async def _nothing_to_erase() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one application."""

    database: Database
    gateway: Gateway
    nonces: Nonces
    clock: Clock
    recognition: Recognition | None = None
    """Turns sentences into control requests, and records the outcomes."""
    erase_rest: Callable[[], Awaitable[bool]] = _nothing_to_erase
    """Carries orders to erase out; returns whether all are done (`staging.erasing.Eraser.soon`)."""
    voice_days: int = 0
    """For how many days voice is kept; 0: until somebody erases it."""
    log_ins: LogIns = field(default_factory=LogIns)
    """Checks passwords, for the API's page and the console together."""
    bench: Bench | None = None
    """Makes faults on purpose; None: this cloud makes none."""
    wire: WireLog = field(default_factory=WireLog)
    """What devices and the cloud say to each other, of those that are watched."""
    diagnoses: Diagnoses = field(init=False)
    """Fetches machines' diagnoses."""
    audit: Audit = field(init=False)
    """Takes who did what to which device."""

    def __post_init__(self) -> None:
        """Make the parts that follow from the others."""
        object.__setattr__(self, "audit", Audit(self.database, self.clock))
        diagnoses = Diagnoses(self.gateway.sessions, self.clock)
        object.__setattr__(self, "diagnoses", diagnoses)
