"""aiocoap's token layer, with exchanges that are gone when they are over.

aiocoap's own `Pipe` is held by closures that hold each other: each message that is asked or served would leave some
dozens of objects to Python's collector, which then looks through all of a small machine's memory again and again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiocoap.tokenmanager import TokenManager


class Asked:
    """One request of ours, of which one answer is expected; what aiocoap's token layer needs of a pipe."""

    __slots__ = ("_ends", "request", "response")

    def __init__(self, request: Any, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for what comes of ``request``; whoever awaits `response` calls `end` afterwards, whatever came."""
        self.request = request
        self.response: asyncio.Future[Any] = loop.create_future()
        self._ends: list[Callable[[], object]] = []

    def add_response(self, response: Any, *, is_last: bool = False) -> None:
        """Take the answer; one that comes after its caller has given up is ignored."""
        del is_last  # nothing is observed
        if not self.response.done():
            response.request = self.request
            self.response.set_result(response)

    def add_exception(self, error: Any) -> None:
        """Fail; ``error``: an exception, or its class."""
        if not self.response.done():
            self.response.set_exception(error)

    def on_interest_end(self, callback: Callable[[], object]) -> None:
        """Call when nobody waits any more."""
        self._ends.append(callback)

    def end(self) -> None:
        """Wait no more."""
        ends, self._ends = self._ends, []
        for callback in ends:
            callback()


class Served:
    """One request of the other side's, which is answered once; what aiocoap's sites need of a pipe."""

    __slots__ = ("_end", "_key", "_tokens", "is_over", "request")

    def __init__(self, request: Any, tokens: Tokens) -> None:
        """Belong to ``tokens``, which know this request by its token and its connection."""
        self.request, self._tokens = request, tokens
        self._key = (request.token, request.remote)
        self._end: Callable[[], object] | None = None
        self.is_over = False

    def add_response(self, response: Any, *, is_last: bool = False) -> None:
        """Send an answer; after the last one, or if nobody waits for it any more, it is dropped."""
        if self.is_over:
            return
        response.token = self.request.token
        response.remote = self.request.remote.as_response_address()
        response.request = self.request
        self._tokens.token_interface.send_message(response, self.stop)
        if is_last:
            self._let_go()

    def on_interest_end(self, callback: Callable[[], object]) -> None:
        """Call when nobody waits for the answer any more; it is one caller's, and not called after the last answer."""
        if self.is_over:
            callback()
        else:
            self._end = callback

    def stop(self) -> None:
        """Be answered no more: the connection has ended, or the same token asks again."""
        if not self.is_over:
            end = self._end
            self._let_go()
            if end is not None:
                end()

    def _let_go(self) -> None:
        self.is_over, self._end = True, None
        self._tokens.let_go(self._key, self)


class Tokens(TokenManager):
    """aiocoap's token layer, which makes a `Served` of each request; it overrides one method of aiocoap 0.4's."""

    def process_request(self, request: Any) -> None:
        """Have a request answered; one with the token of another that is served takes its place."""
        key = (request.token, request.remote)
        if key in self.incoming_requests:
            self.incoming_requests[key][1]()
        served = Served(request, self)
        self.incoming_requests[key] = (served, served.stop)
        self.context.render_to_pipe(served)

    def let_go(self, key: tuple[Any, Any], served: Served) -> None:
        """Know a request that is over no longer."""
        waiting = self.incoming_requests or {}
        if key in waiting and waiting[key][0] is served:
            del waiting[key]
