"""Who may wait at a door, who goes in next, and who must leave: the limits on connections. No I/O.

A connection has sent nothing at first (silent), then waits for its turn (ready), begins (a handshake, a
registration: what costs memory), and is settled when it is known to be somebody. Each state has a limit for all, and
one for each address, so that one address that opens thousands takes the room of its own connections only.

The states' order is also what they cost: a silent one is a socket, a begun one has the buffers of TLS.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

# A site's own /64 has more addresses than can be counted one by one (RFC 4291, 2.5.4).
V6_PREFIX = 64

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """How many connections a door takes, and how long it waits.

    Attributes:
        open: all of them.
        silent, silent_each: that have sent nothing; of one address.
        ready_each: of one address that have sent something and wait for their turn.
        begun, begun_each: that have begun and are not settled; of one address.
        patience: seconds until a connection must have sent something, and have its turn.
    """

    open: int
    silent: int = 512
    silent_each: int = 64
    ready_each: int = 2048
    begun: int = 512
    begun_each: int = 128
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
        self._ready: OrderedDict[str, OrderedDict[K, None]] = OrderedDict()
        self._begun: dict[K, str] = {}
        self._begun_of: Counter[str] = Counter()

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
        ready = self._ready.setdefault(network, OrderedDict())
        ready[key] = None
        return len(ready) <= self._limits.ready_each

    def next(self) -> K | None:
        """Return whose turn it is, which begins; each address in turn. None: nobody's."""
        if len(self._begun) >= self._limits.begun:
            return None
        for network, ready in self._ready.items():
            if self._begun_of[network] < self._limits.begun_each:
                key, _ = ready.popitem(last=False)
                if ready:
                    self._ready.move_to_end(network)
                else:
                    del self._ready[network]
                self._begun[key] = network
                self._begun_of[network] += 1
                return key
        return None

    def settle(self, key: K) -> None:
        """Give the place of one that begun free: it is known who it is."""
        network = self._begun.pop(key, None)
        if network is None:
            return
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
        ready = self._ready.get(member.network)
        if ready is not None:
            ready.pop(key, None)
            if not ready:
                del self._ready[member.network]
        self.settle(key)

    def late(self, now: float) -> list[K]:
        """Return those that have waited for too long, which the caller drops."""
        oldest = now - self._limits.patience
        waiting = [*self._silent, *(key for ready in self._ready.values() for key in ready)]
        return [key for key in waiting if self._members[key].since <= oldest]

    def waiting(self) -> list[K]:
        """Return all that have not begun."""
        return [*self._silent, *(key for ready in self._ready.values() for key in ready)]

    def _oldest_waiting(self) -> K | None:
        if self._silent:
            return next(iter(self._silent))
        if self._ready:
            crowded = max(self._ready.values(), key=len)
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
