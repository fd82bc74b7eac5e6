"""How often wrong registrations are answered: a few on each connection, few from each address.

Which devices there are is not to be found out by trying: an unknown uuid and a wrong token have one answer, and who tries
many waits, longer each time. A device that was registered from the same address before is not held up by that: somebody
who tries behind the same router keeps no story machine from its cloud.
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from staging.crowd import network_of
from staging.store.devices import Identity
from staging.times import Monotonic
from staging.tries import Allowance, Tries
from transport.connection import Connection
from wire.codes import Code
from wire.errors import show
from wire.exchange import Answer
from wire.reports import Credentials

# One answer for a uuid that does not exist and a token that is wrong.
REFUSED = b"unknown device or wrong token"
# Wrong ones answered on one connection; the next one ends it. A device sends one.
TRIES_EACH = 3
# A batch on a test bench may have the wrong profile; then one try after 1 s, 2 s … a minute.
ADDRESS = Allowance(free=30, first=1.0, longest=60.0)
# Devices and their addresses that are remembered; beyond it those that came longest ago are forgotten.
KNOWN_LIMIT = 20_000

_log = logging.getLogger(__name__)


class Registrations:
    """The wrong registrations of late, by address, and where devices were right."""

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        """Start with none; ``monotonic`` counts seconds."""
        self._tries = Tries(ADDRESS, monotonic)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._wrong: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()

    async def judge(
        self, connection: object, told: Credentials, row: Awaitable[Sequence[Any] | None]
    ) -> Identity | Answer:
        """Return the device that registers, or the refusal.

        Args:
            connection: the device's, or what stands for it behind a broker.
            told: what it says.
            row: finds the device in the store; not awaited for one that must wait.
        """
        network = network_of_peer(connection)
        wait = self.wait(network, told.uuid)
        if wait > 0:
            if isinstance(row, Coroutine):
                row.close()
            self.note_wrong(connection)
            text = f"too many wrong registrations from this address, wait {math.ceil(wait)} s"
            return Answer(Code.SERVICE_UNAVAILABLE, text.encode())
        found = await row
        identity = None if found is None else Identity(*found)
        if identity is None or not identity.accepts(told.token):
            # The operator may know which of the two it is, whoever tries may not.
            why = "unknown device" if identity is None else "wrong token of device"
            _log.warning("%r: %s %s", connection, why, show(told.uuid))
            self.failed(network)
            self.note_wrong(connection)
            return Answer(Code.UNAUTHORIZED, REFUSED)
        self.succeeded(network, identity.uuid)
        return identity

    def wait(self, network: str, uuid: str) -> float:
        """Return the seconds until this device may be asked about from this address; 0: now.

        "" is no address: a broker has asked the device for its proof already.
        """
        if not network or (network, uuid.lower()) in self._known:
            return 0.0
        return self._tries.wait(network)

    def failed(self, network: str) -> None:
        """Count a wrong one."""
        if network:
            self._tries.count(network)

    def succeeded(self, network: str, uuid: str) -> None:
        """Remember where a device is."""
        key = (network, uuid.lower())
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)

    def note_wrong(self, connection: object) -> None:
        """Count a wrong one of a connection; one too many ends it before the answer."""
        # Behind a broker each device has proven who it is before anything comes here.
        if isinstance(connection, Connection):
            count = self._wrong[connection] = self._wrong.get(connection, 0) + 1
            if count > TRIES_EACH:
                connection.close("too many wrong registrations")


def network_of_peer(connection: object) -> str:
    """Return the address that a connection's tries count for; behind a broker nobody knows it."""
    if not isinstance(connection, Connection):
        return ""
    name = connection.get_extra_info("peername")
    return network_of(str(name[0])) if isinstance(name, tuple) else ""
