"""How many packets of whom are looked at: a bucket for each address, and one for all strangers together.

No I/O and no clock. Whoever has proved a key lately has a place of its own: a flood from addresses of
somebody's invention does not keep the family's phone from being heard.
"""

from __future__ import annotations

from collections import OrderedDict

from wire.records import dataclass

# Of a stranger, packets/s and at once.
RATE, BURST = 30.0, 60.0
# Of whoever has proved a key: a script that asks one question after the other sends no more to a small board.
KNOWN_RATE, KNOWN_BURST = 200.0, 400.0
# All strangers together, packets/s: an answer to each costs a small board about 0.2 ms.
STRANGERS_RATE, STRANGERS_BURST = 60.0, 120.0
# Addresses that are remembered; an address is 200 bytes.
ADDRESSES_LIMIT, KNOWN_LIMIT = 256, 32


@dataclass(slots=True)
class Bucket:
    """Holds up to a burst of packets, and gains a rate of them a second."""

    level: float
    at: float

    def take(self, now: float, rate: float, burst: float) -> bool:
        """Take one packet out at ``now`` (seconds, not going back); False if there is none."""
        self.level = min(burst, self.level + (now - self.at) * rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class FloodGate:
    """Decides about each packet by the address that it claims to come from."""

    def __init__(self, now: float) -> None:
        """Begin at ``now``, seconds of any clock that does not go back."""
        self._strangers = Bucket(STRANGERS_BURST, now)
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self.dropped = 0

    def admit(self, address: str, now: float) -> bool:
        """Return whether to look at a packet of ``address`` that comes ``now``."""
        is_known = address in self._known
        bucket = self._buckets.pop(address, None) or Bucket(KNOWN_BURST if is_known else BURST, now)
        self._buckets[address] = bucket
        if len(self._buckets) > ADDRESSES_LIMIT:
            self._forget()
        if is_known:
            admitted = bucket.take(now, KNOWN_RATE, KNOWN_BURST)
        else:
            admitted = bucket.take(now, RATE, BURST) and self._strangers.take(
                now, STRANGERS_RATE, STRANGERS_BURST
            )
        self.dropped += not admitted
        return admitted

    def know(self, address: str) -> None:
        """Note that a packet of ``address`` was made with a key of ours."""
        if address not in self._known and (bucket := self._buckets.get(address)) is not None:
            bucket.level += KNOWN_BURST - BURST
        self._known[address] = None
        self._known.move_to_end(address)
        if len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)

    def _forget(self) -> None:
        """Forget the stranger that was heard longest ago: there is one, since fewer are known than remembered."""
        del self._buckets[next(each for each in self._buckets if each not in self._known)]
