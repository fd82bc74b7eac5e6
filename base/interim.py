"""Answers of HTTP that come before the answer: http.client passes over 100 alone, and takes any other for the answer itself."""

from __future__ import annotations

import http.client

# Before one answer.
INTERIM_LIMIT = 20


class FinalResponse(http.client.HTTPResponse):
    """An answer behind as many interim ones as nobody has asked for (RFC 9110, 15.2): a ``response_class`` of connections."""

    def begin(self) -> None:
        """Read to the end of the answer's head; raises HTTPException if more than `INTERIM_LIMIT` came before it."""
        super().begin()
        left = INTERIM_LIMIT
        while _is_interim(self.status):
            if not left:
                raise http.client.HTTPException(f"more than {INTERIM_LIMIT} interim answers")
            left -= 1
            self.headers = self.msg = None  # type: ignore[assignment]  # as it is made: the next head is read then
            super().begin()


def _is_interim(status: int) -> bool:
    """Return whether an answer follows; none does in HTTP after the switch to another protocol, which nobody offers."""
    return 100 <= status < 200 and status != http.client.SWITCHING_PROTOCOLS
