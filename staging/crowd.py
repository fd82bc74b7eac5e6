"""Who may wait at a door, who goes in next, and who must leave: the limits on connections. No I/O.

A connection has sent nothing at first (silent), then waits for its turn (ready), begins (a handshake, a
registration: what costs memory), and is settled when it is known to be somebody. Each state has a limit for all, and
one for each address, so that one address that opens thousands takes the room of its own connections only.

The states' order is also what they cost: a silent one is a socket, a begun one has the buffers of TLS.

An address of which one was settled before goes before all others, and some turns are for those alone: thousands of addresses that
begin and say no more keep nobody out who was here.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

# A site's own /64 has more addresses than can be counted one by one (RFC 4291, 2.5.4).
V6_PREFIX = 64
# Addresses of settled ones that are remembered; beyond it those that were settled longest ago are forgotten.
KNOWN_LIMIT = 20_000
# The part of all turns that strangers do not get.
KNOWN_PART = 8

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """How many connections a door takes, and how long it waits.

    Attributes:
        open: all of them.
        silent, silent_each: that have sent nothing; of one address.
        ready_each: of one address that have sent something and wait for their turn.
        begun, begun_each: that have begun and are not settled; of one address. One costs up to 160 kB.
        patience: seconds until a connection must have sent something, and have its turn.
    """

    open: int
    silent: int = 512
    silent_each: int = 64
    ready_each: int = 2048
    begun: int = 384
    begun_each: int = 96
    patience: float = 10.0


@dataclass(slots=True)
class _Member:
    network: str
    since: float


class Crowd(Generic[K]):
    """The connections at one door, each by a key of the caller's."""

    def __init__(self, limits: DoorLimits) -> None:
        """Start empty."""
        self._limits = limits
        self._members: dict[K, _Member] = {}
        self._silent: OrderedDict[K, None] = OrderedDict()
        self._silent_of: dict[str, OrderedDict[K, None]] = {}
        self._known: OrderedDict[str, None] = OrderedDict()
        # Of the known addresses, and of strangers.
        self._ready: dict[bool, OrderedDict[str, OrderedDict[K, None]]] = {
            True: OrderedDict(), False: OrderedDict()
        }  # fmt: skip
        self._begun: dict[K, str] = {}
        self._begun_of: Counter[str] = Counter()
        self._strangers: set[K] = set()
        """Those that have begun."""

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._members)

    @property
    def begun(self) -> int:
        """How many have begun and are not settled."""
        return len(self._begun)

    def arrive(self, key: K, network: str, now: float) -> list[K]:
        """Take in a new connection; return those that must be dropped for it, maybe itself."""
        dropped: list[K] = []
        mine = self._silent_of.get(network, ())
        if len(mine) >= self._limits.silent_each:
            dropped.append(next(iter(mine)))
        elif len(self._silent) >= self._limits.silent:
            dropped.append(next(iter(self._silent)))
        elif len(self._members) >= self._limits.open:
            oldest = self._oldest_waiting()
            if oldest is None:
                return [key]
            dropped.append(oldest)
        for each in dropped:
            self.leave(each)
        self._members[key] = _Member(network, now)
        self._silent[key] = None
        self._silent_of.setdefault(network, OrderedDict())[key] = None
        return dropped

    def speak(self, key: K) -> bool:
        """Note that a silent connection has sent something; return whether it may wait for its turn."""
        network = self._members[key].network
        self._forget_silent(key, network)
        ready = self._ready[network in self._known].setdefault(network, OrderedDict())
        ready[key] = None
        return len(ready) <= self._limits.ready_each

    def next(self) -> K | None:
        """Return whose turn it is, which begins; each address in turn, the known ones first. None: nobody's."""
        if len(self._begun) >= self._limits.begun:
            return None
        key = self._next_of(self._ready[True])
        if (
            key is None
            and len(self._strangers) < self._limits.begun - self._limits.begun // KNOWN_PART
        ):
            key = self._next_of(self._ready[False])
            if key is not None:
                self._strangers.add(key)
        return key

    def _next_of(self, queues: OrderedDict[str, OrderedDict[K, None]]) -> K | None:
        for network, ready in queues.items():
            if self._begun_of[network] < self._limits.begun_each:
                key, _ = ready.popitem(last=False)
                if ready:
                    queues.move_to_end(network)
                else:
                    del queues[network]
                self._begun[key] = network
                self._begun_of[network] += 1
                return key
        return None

    def settle(self, key: K) -> None:
        """Give the place of one that begun free: it is known who it is."""
        network = self._begun.get(key)
        if network is None:
            return
        self._end(key)
        self._known[network] = None
        self._known.move_to_end(network)
        if len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)

    def _end(self, key: K) -> None:
        network = self._begun.pop(key, None)
        if network is None:
            return
        self._strangers.discard(key)
        self._begun_of[network] -= 1
        if not self._begun_of[network]:
            del self._begun_of[network]

    def has_begun(self, key: K) -> bool:
        """Return whether a connection has begun and is not settled."""
        return key in self._begun

    def leave(self, key: K) -> None:
        """Forget a connection, in whatever state it is."""
        member = self._members.pop(key, None)
        if member is None:
            return
        self._forget_silent(key, member.network)
        for queues in self._ready.values():
            ready = queues.get(member.network)
            if ready is not None:
                ready.pop(key, None)
                if not ready:
                    del queues[member.network]
        self._end(key)

    def late(self, now: float) -> list[K]:
        """Return those that have waited for too long, which the caller drops."""
        oldest = now - self._limits.patience
        return [key for key in self.waiting() if self._members[key].since <= oldest]

    def waiting(self) -> list[K]:
        """Return all that have not begun."""
        queues = [each for known in (False, True) for each in self._ready[known].values()]
        return [*self._silent, *(key for ready in queues for key in ready)]

    def _oldest_waiting(self) -> K | None:
        if self._silent:
            return next(iter(self._silent))
        for known in (False, True):
            if self._ready[known]:
                crowded = max(self._ready[known].values(), key=len)
                return next(iter(crowded))
        return None

    def _forget_silent(self, key: K, network: str) -> None:
        self._silent.pop(key, None)
        mine = self._silent_of.get(network)
        if mine is not None:
            mine.pop(key, None)
            if not mine:
                del self._silent_of[network]


def network_of(address: str) -> str:
    """Return what limits count as one address: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, V6_PREFIX), strict=False))
