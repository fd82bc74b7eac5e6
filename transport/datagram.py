"""A CoAP server over UDP; `agent.local` decides where it listens, and who may ask."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import aiocoap
from aiocoap.numbers.codes import Code as CoapCode
from aiocoap.resource import Resource
from aiocoap.tokenmanager import TokenManager

from transport.blocks import BlockTransfers
from transport.coap import to_request
from transport.udp import Admit, BoundedMessages, UdpServer, bind_udp
from wire.errors import WireError
from wire.exchange import Handler

# RFC 6690 section 4 and table 2 in section 7.3: what is here, in the format "link format".
WELL_KNOWN = (".well-known", "core")
LINK_FORMAT = 40
# RFC 7641 section 2: this value of the option begins an observation.
REGISTER = 0
# Requests at once, of all peers together, as many as a framed connection may have; the next one is
# answered 5.03.
MAX_SERVING = 64

Links = Callable[[tuple[str, ...]], bytes]
"""Returns what ``/.well-known/core`` is answered with, for a query; raises WireError if that is none."""


class Watched(Protocol):
    """A path that is watched.

    Attributes:
        changed: set after each change.
        is_over: whether it is watched no longer; ``changed`` is set then too.
    """

    changed: asyncio.Event
    is_over: bool


Watch = Callable[[tuple[str, ...], Hashable], AbstractContextManager[Watched]]
"""Watches a path on behalf of somebody, while its context is open or until it is over."""


class DatagramServer:
    """A UDP port that passes every request to one handler."""

    def __init__(self, context: aiocoap.Context) -> None:
        """Use `create`."""
        self._context = context

    @classmethod
    async def create(
        cls,
        handler: Handler,
        host: str,
        port: int,
        *,
        links: Links | None = None,
        watch: Watch | None = None,
    ) -> DatagramServer:
        """Bind and serve whoever asks.

        ``links`` returns what ``/.well-known/core`` is answered with; with ``watch``, what is read
        can also be observed.

        Raises:
            TransportError: the address cannot be bound.
        """
        return cls.serve(bind_udp(host, port), Site(handler, links, watch))

    @classmethod
    def serve(
        cls, bound: socket.socket, site: Resource, admit: Admit = lambda _address: True
    ) -> DatagramServer:
        """Serve ``site`` on a socket that `transport.udp.bind_udp` made; ``admit`` is asked for each packet."""
        context = aiocoap.Context(
            loop=asyncio.get_running_loop(), serversite=site, loggername="coap.server"
        )
        tokens = TokenManager(context)
        messages = BoundedMessages(tokens)
        messages.message_interface = UdpServer(bound, messages, context.log, admit)
        tokens.token_interface = messages
        context.request_interfaces.append(tokens)
        return cls(context)

    async def shutdown(self) -> None:
        """Stop serving and close the socket."""
        await self._context.shutdown()


class Site(Resource):
    """Answers requests by a handler, whole bodies in blocks, and lets what is read be observed."""

    def __init__(
        self, handler: Handler, links: Links | None = None, watch: Watch | None = None
    ) -> None:
        super().__init__()
        self._handler = handler
        self._links = links
        self._watch = watch
        self._transfers = BlockTransfers()
        self._serving = 0

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request; all peers together share the limits on block-wise transfers."""
        asked = pipe.request
        if self._watch is not None and asked.code is CoapCode.GET and asked.opt.observe == REGISTER:
            await self._observe(pipe, asked, self._watch)
            return
        if self._serving >= MAX_SERVING:
            pipe.add_response(_BUSY.copy(), is_last=True)
            return
        self._serving += 1
        try:
            whole = self._transfers.assemble(asked)
            reply = await self._transfers.reply(whole, lambda: self.render(whole))
            pipe.add_response(reply, is_last=True)
        finally:
            self._serving -= 1

    async def _observe(self, pipe: Any, request: Any, watch: Watch) -> None:
        """Answer, and answer again after each change; aiocoap cancels this when the peer leaves."""
        with watch(tuple(request.opt.uri_path), request.remote.owner) as watched:
            number = 0
            while True:
                reply = await self._transfers.reply(request, lambda: self.render(request))
                is_last = watched.is_over or not reply.code.is_successful()
                if not is_last:
                    reply.opt.observe = number
                pipe.add_response(reply, is_last=is_last)
                if is_last:
                    return
                await watched.changed.wait()
                watched.changed.clear()
                number += 1

    async def render(self, request: Any) -> Any:
        """Return the whole answer to a whole request."""
        if self._links is not None and request.opt.uri_path == WELL_KNOWN:
            if request.code is not CoapCode.GET:
                return aiocoap.Message(code=CoapCode.METHOD_NOT_ALLOWED)
            return self._discover(self._links, tuple(request.opt.uri_query))
        answer = await self._handler(to_request(request))
        return aiocoap.Message(code=CoapCode(answer.code), payload=answer.payload)

    @staticmethod
    def _discover(links: Links, query: tuple[str, ...]) -> Any:
        try:
            found = links(query)
        except WireError as error:
            return aiocoap.Message(code=CoapCode.BAD_REQUEST, payload=str(error).encode())
        return aiocoap.Message(code=CoapCode.CONTENT, payload=found, content_format=LINK_FORMAT)


_BUSY = aiocoap.Message(code=CoapCode.SERVICE_UNAVAILABLE, payload=b"too many requests at once")
