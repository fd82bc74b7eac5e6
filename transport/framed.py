"""CoAP in both directions over framed streams: aiocoap below, plain requests and replies above.

aiocoap keeps message ids, deduplication, separate responses and block-wise transfer; this module is
its MessageInterface (the part that for UDP would be a socket) and hides it from the callers, who see
`Request`, `Reply` and `FramedEndpoint`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiocoap
from aiocoap import error as coap_error
from aiocoap import interfaces
from aiocoap.numbers.codes import Code as CoapCode
from aiocoap.numbers.constants import TransportTuning
from aiocoap.resource import Resource

from transport.connection import Connection
from transport.errors import RequestRejectedError, RequestTimeoutError, StreamClosedError
from wire.framing import MAX_LENGTH, FrameDecoder, FramingError

READ_SIZE = 16 * 1024
# How long an orderly close may take before the socket is cut; TLS close_notify needs one way only.
CLOSE_TIMEOUT = 2.0

_log = logging.getLogger(__name__)


class _StreamTuning(TransportTuning):
    """CoAP's timers for a reliable stream (RFC 7252 section 4.8 is for datagrams)."""

    # TCP retransmits; a second copy of a message would only be work for the other side's
    # deduplication. The exchange still ends, a little after every deadline that callers set.
    MAX_RETRANSMIT = 0
    ACK_TIMEOUT = 60.0
    # How long a message id is remembered. 2017 firmware retransmits a CON for up to 45 s.
    EXCHANGE_LIFETIME = 60.0
    reliability = True


class _UnreliableTuning(_StreamTuning):
    """The same, sent NON."""

    reliability = False


_STREAM = _StreamTuning()
_UNRELIABLE = _UnreliableTuning()


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came in; ``path`` and ``query`` are the decoded options, in order."""

    connection: Connection
    method: str
    path: tuple[str, ...]
    query: tuple[str, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a CoAP code byte (`wire.codes` or any other) and its payload."""

    code: int
    payload: bytes = b""


Handler = Callable[[Request], Awaitable[Reply]]


class FramedEndpoint:
    """One end of any number of framed connections; sends requests and serves them."""

    def __init__(self, context: aiocoap.Context) -> None:
        """Use `create`."""
        self._context = context
        self._interface: _FramedInterface = context.request_interfaces[
            0
        ].token_interface.message_interface

    @classmethod
    async def create(cls, handler: Handler) -> FramedEndpoint:
        """Make an endpoint whose incoming requests all go to ``handler``."""
        context = aiocoap.Context(
            loop=asyncio.get_running_loop(), serversite=_Site(handler), loggername="coap"
        )

        async def interface(manager: Any) -> _FramedInterface:
            return _FramedInterface(manager)

        await context._append_tokenmanaged_messagemanaged_transport(interface)  # noqa: SLF001  # aiocoap's only way to add a transport of one's own
        return cls(context)

    async def serve(
        self,
        connection: Connection,
        *,
        idle_timeout: float | None = None,
        max_length: int = MAX_LENGTH,
    ) -> str:
        """Carry a connection until it ends and return why it did, in words.

        Pending requests on it fail with StreamClosedError. ``idle_timeout``: seconds without a byte
        from the other side after which the connection is given up.
        """
        reason = "the endpoint shut down"
        try:
            reason = await self._interface.read(connection, idle_timeout, max_length)
        finally:
            connection.close(reason)
            self._interface.forget(connection, reason)
        await connection.wait_closed(CLOSE_TIMEOUT)
        return reason

    async def request(
        self,
        connection: Connection,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        *,
        query: tuple[str, ...] = (),
        deadline: float,
        confirmable: bool = True,
    ) -> Reply:
        """Send a request and return the answer, whatever its code.

        Raises:
            RequestTimeoutError: no answer within ``deadline`` seconds.
            StreamClosedError: the connection ended first.
            RequestRejectedError: the other side reset the exchange.
        """
        message = aiocoap.Message(
            code=CoapCode[method],
            payload=payload,
            uri_path=path,
            uri_query=query,
            transport_tuning=_STREAM if confirmable else _UNRELIABLE,
        )
        message.remote = connection
        try:
            async with asyncio.timeout(deadline):
                response = await self._context.request(message).response
        except TimeoutError as error:
            raise RequestTimeoutError(f"no answer within {deadline:g} s") from error
        except (StreamClosedError, coap_error.LibraryShutdown) as error:
            raise StreamClosedError(str(error) or "the endpoint shut down") from error
        except coap_error.NetworkError as error:
            # How aiocoap passes on what `forget` told it.
            raise StreamClosedError(str(error.__cause__ or error)) from error
        except coap_error.Error as error:
            raise RequestRejectedError(
                f"the exchange failed: {error or type(error).__name__}"
            ) from error
        return Reply(int(response.code), response.payload)

    async def shutdown(self) -> None:
        """Close every connection and end aiocoap's tasks."""
        await self._context.shutdown()


class _FramedInterface(interfaces.MessageInterface):
    """aiocoap's seam to the wire: encoded messages out, decoded messages in."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._open: set[Connection] = set()

    async def read(
        self, connection: Connection, idle_timeout: float | None, max_length: int
    ) -> str:
        """Feed aiocoap from the stream until it ends; return why it did."""
        self._open.add(connection)
        decoder = FrameDecoder(max_length)
        while True:
            try:
                async with asyncio.timeout(idle_timeout):
                    data = await connection.reader.read(READ_SIZE)
            except TimeoutError:
                return f"silent for {idle_timeout:g} s"
            except OSError as error:
                return connection.close_reason or f"connection lost: {error.strerror or error}"
            if not data:
                return connection.close_reason or "closed by the other side"
            try:
                for message in decoder.feed(data):
                    self._dispatch(connection, message)
            except FramingError as error:
                return str(error)
            if decoder.error:
                return str(decoder.error)

    def _dispatch(self, connection: Connection, data: bytes) -> None:
        try:
            message = aiocoap.Message.decode(data, remote=connection)
        except (coap_error.UnparsableMessage, ValueError) as error:
            # The framing is intact, so only this message is lost (RFC 7252 section 4.2).
            _log.warning("%r: message ignored, not CoAP: %s", connection, error)
            return
        message.transport_tuning = _STREAM
        if self._manager is not None:
            self._manager.dispatch_message(message)

    def forget(self, connection: Connection, reason: str) -> None:
        """Fail what still waits on a connection that ended."""
        self._open.discard(connection)
        if self._manager is not None:
            self._manager.dispatch_error(StreamClosedError(reason), connection)

    def send(self, message: Any) -> None:
        """Write a message to its connection."""
        message.remote.send(message.encode())

    async def recognize_remote(self, remote: object) -> bool:
        """Tell aiocoap whether an address is one of ours and still open."""
        if isinstance(remote, Connection) and remote not in self._open:
            raise StreamClosedError(remote.close_reason or "the connection is closed")
        return remote in self._open

    async def determine_remote(self, message: Any) -> None:
        """Nothing is reached by name here: requests name their connection."""
        del message

    async def shutdown(self) -> None:
        """Close every connection; `read` of each then returns."""
        self._manager = None
        for connection in self._open:
            connection.close("the endpoint shut down")


class _Site(Resource):
    """Hands every request, whatever its path, to the handler."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler

    async def render(self, request: Any) -> Any:
        reply = await self._handler(
            Request(
                connection=request.remote,
                method=str(request.code),
                path=tuple(request.opt.uri_path),
                query=tuple(request.opt.uri_query),
                payload=request.payload,
            )
        )
        return aiocoap.Message(
            code=CoapCode(reply.code),
            payload=reply.payload,
            no_response=request.opt.no_response,
        )
