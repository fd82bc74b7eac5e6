"""The one throttle on password guessing, for every page on which somebody enters a password. No I/O.

A try is counted before its password is checked, so that of many at once only the allowed ones are checked; a right
password takes its count back. Three counts hold: of the account from one address, of the address, and of the account
from everywhere. The last two are not asked for an address from which this account has logged in before: whoever guesses
elsewhere, or for other accounts behind the same router, does not lock out its owner there.
"""

from __future__ import annotations

from staging.crowd import network_of
from staging.times import Monotonic
from staging.tries import Allowance, Tries
from wire.text import fold

# Room for typing errors; then 15 s, 30 s … 15 min: about a hundred tries a day for one account from one address.
PAIR = Allowance(free=5, first=15.0, longest=900.0)
# At a known address somebody who guesses beside the owner makes the owner wait for this long at most (seconds).
KNOWN_LONGEST = 60.0
# A family, or a school behind one router, has more accounts.
ADDRESS = Allowance(free=30, first=5.0, longest=900.0)
# Guesses from many addresses for one account.
NAME = Allowance(free=30, first=15.0, longest=900.0)

# Characters of a name that count: no account has a longer one, and a key is kept for each.
NAME_LENGTH = 64


class Throttle:
    """Counts tries to log in; an address is an IPv4 address or an IPv6 /64 (`staging.crowd.network_of`)."""

    def __init__(self, clock: Monotonic) -> None:
        """Start without tries; ``clock`` returns seconds and is monotonic."""
        self._pairs = Tries(PAIR, clock)
        self._addresses = Tries(ADDRESS, clock)
        self._names = Tries(NAME, clock)

    def begin(self, name: str, address: str, *, known: bool) -> float:
        """Count a try, or return the seconds until it may be made, and count nothing.

        ``known``: whether the account has logged in from this address before.
        """
        pair, network, account = _keys(name, address)
        wait = self._pairs.wait(pair, KNOWN_LONGEST if known else None)
        if not known:
            wait = max(wait, self._addresses.wait(network), self._names.wait(account))
        if wait > 0:
            return wait
        self._pairs.count(pair)
        if not known:
            self._addresses.count(network)
            self._names.count(account)
        return 0.0

    def succeeded(self, name: str, address: str, *, known: bool) -> None:
        """Take back the count of a try whose password was right."""
        pair, network, account = _keys(name, address)
        self._pairs.forget(pair)
        if not known:
            self._addresses.refund(network)
            self._names.refund(account)


def _keys(name: str, address: str) -> tuple[str, str, str]:
    network, account = network_of(address), fold(name[:NAME_LENGTH])
    return f"{network} {account}", network, account
