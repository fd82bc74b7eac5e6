"""Checks a name and a password, for the consent page and the console alike.

scrypt takes 16 MiB and some 100 ms of a core for each check, so few are made at once and few may wait, of one address
fewer still; `staging.throttle` decides which are made at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from staging.crowd import network_of
from staging.errors import StoreBusyError, ThrottledError
from staging.identity import passwords
from staging.store import Database, known_addresses
from staging.store.accounts import NAME_LIMIT, Login
from staging.store.known_addresses import Known
from staging.throttle import Throttle
from staging.times import Clock
from wire.text import is_printable

CHECKS_AT_ONCE = 2
CHECKS_WAITING = 20
# Of one address, so that a flood from one leaves room for others.
WAITING_EACH = 5
# Seconds after which somebody whom the queue has no room for may try again.
QUEUE_SECONDS = 2.0

_log = logging.getLogger(__name__)


class LogIns:
    """The checks of one cloud's process; a worker has its own."""

    def __init__(self, throttle: Throttle | None = None) -> None:
        """Count by ``throttle``, by default one of its own."""
        self._throttle = throttle or Throttle(time.monotonic)
        self._turn = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._waiting: Counter[str] = Counter()

    async def check(
        self, database: Database, clock: Clock, name: str, password: str, address: str
    ) -> Login | None:
        """Return the account's log-in, or None if the name or the password is wrong.

        Raises:
            ThrottledError: too many tries before, or too many at once.
            StoreBusyError: the store cannot be asked.
        """
        with self._place(network_of(address)):
            found = await _look_up(database, name, address)
            known = found.known_at is not None
            # From here to the count nothing is awaited: tries side by side are counted one by one.
            wait = self._throttle.begin(name, address, known=known)
            if wait > 0:
                raise ThrottledError("too many tries to log in", wait)
            stored = None if found.login is None else found.login.password
            async with self._turn:
                right = await asyncio.to_thread(passwords.matches, password, stored)
            if found.login is None or not right:
                return None
            self._throttle.succeeded(name, address, known=known)
            await _remember(database, clock(), found, address)
            return found.login

    @contextlib.contextmanager
    def _place(self, network: str) -> Iterator[None]:
        """Hold a place in the queue; raises ThrottledError if there is none."""
        if self._waiting.total() >= CHECKS_WAITING or self._waiting[network] >= WAITING_EACH:
            raise ThrottledError("too many log-ins at once", QUEUE_SECONDS)
        self._waiting[network] += 1
        try:
            yield
        finally:
            self._waiting[network] -= 1
            if not self._waiting[network]:
                del self._waiting[network]


async def _look_up(database: Database, name: str, address: str) -> Known:
    if len(name) > NAME_LIMIT or not is_printable(name):
        return Known(None, None)  # no account has such a name, and PostgreSQL takes no NUL
    return await database.read(known_addresses.look_up, name, network_of(address))


async def _remember(database: Database, now: int, found: Known, address: str) -> None:
    """Note the address; a store that takes nothing now does not keep its owner out."""
    if found.login is None or not known_addresses.is_due(found, now):
        return
    try:
        await database.write(known_addresses.note, found.login.account_id, network_of(address), now)
    except (StoreBusyError, SQLAlchemyError) as error:
        _log.warning("where an account logged in is not noted: %s", type(error).__name__)
