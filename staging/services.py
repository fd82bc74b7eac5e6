"""The services that the open API and the console share."""

from __future__ import annotations

from dataclasses import dataclass

from staging.gateway.gateway import Gateway
from staging.recognition.service import Recognition
from staging.store import Database
from staging.store.nonces import Nonces
from staging.times import Clock


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one application."""

    database: Database
    gateway: Gateway
    nonces: Nonces
    clock: Clock
    recognition: Recognition | None = None
    """Turns sentences into control requests, and records the outcomes."""
