"""CoAP in both directions over framed streams, on top of aiocoap.

aiocoap handles message ids, deduplication, separate responses and block-wise transfer. This module
is its MessageInterface (for UDP that would be a socket) and hides it: callers use only
`FramedEndpoint` and `wire.exchange`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Generator
from typing import Any, cast

import aiocoap
from aiocoap import error as coap_error
from aiocoap import interfaces
from aiocoap.numbers.codes import Code as CoapCode
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.types import ACK, RST
from aiocoap.pipe import Pipe, run_driving_pipe
from aiocoap.protocol import BlockwiseRequest
from aiocoap.protocol import Request as ClientRequest
from aiocoap.resource import Resource

from transport.blocks import is_valid_block
from transport.coap import (
    CriticalOptionError,
    MessageFormatError,
    add_terms,
    decode_message,
    refuse_option,
    to_answer,
    to_request,
)
from transport.connection import BLOCK_SIZE_EXPONENT, PAYLOAD_LIMIT, Connection
from transport.errors import (
    NotSentError,
    RequestRejectedError,
    RequestTimeoutError,
    StreamClosedError,
)
from transport.liveness import (
    ANSWER_SECONDS,
    PATIENCE_SECONDS,
    QUIET_SECONDS,
    Watch,
    ask,
    is_ping,
    is_reset,
    pong_to,
    probe_by_system,
)
from transport.messages import StreamMessages
from transport.tokens import Asked, Tokens
from wire.errors import WireError
from wire.exchange import Answer, Handler, Terms
from wire.framing import MAX_LENGTH, FrameDecoder, FramingError

READ_SIZE = 16 * 1024
# Messages of one peer that are taken up before the others have their turn: one read may have hundreds.
MESSAGES_A_TURN = 4
# Seconds for an orderly close before the socket is aborted; TLS close_notify needs one way only.
CLOSE_TIMEOUT = 2.0
# Concurrent requests per peer; the next one is answered 5.03. Our devices have a handful, and
# answers to our own requests do not count.
MAX_SERVING = 64

_log = logging.getLogger(__name__)


class _Confirmable(TransportTuning):
    """Sends CON; the timers are those of `StreamMessages`."""

    reliability = True


class _NonConfirmable(TransportTuning):
    """Sends NON."""

    reliability = False


_CONFIRMABLE = _Confirmable()
_NON_CONFIRMABLE = _NonConfirmable()


class FramedEndpoint:
    """Sends and serves requests on any number of framed connections."""

    def __init__(self, context: aiocoap.Context, interface: _FramedInterface) -> None:
        """Use `create`."""
        self._context = context
        self._interface = interface
        self._is_shut_down = False
        self._watches: dict[Connection, Watch] = {}

    @classmethod
    async def create(cls) -> FramedEndpoint:
        """Create an endpoint without connections."""
        context = _Context(loop=asyncio.get_running_loop(), serversite=_Site(), loggername="coap")

        # The same set-up as in aiocoap's Context for its own transports, with our layers.
        tokens = Tokens(context)
        messages = StreamMessages(tokens)
        interface = _FramedInterface(messages)
        messages.message_interface, tokens.token_interface = interface, messages
        context.request_interfaces.append(tokens)
        return cls(context, interface)

    async def serve(
        self,
        connection: Connection,
        handler: Handler,
        *,
        idle_timeout: float | None = None,
        max_length: int = MAX_LENGTH,
    ) -> str:
        """Serve a connection until it ends; return the reason, in words.

        Requests received on it go to ``handler``; if it raises, the answer is 5.00. When the
        connection ends, our own requests pending on it fail with StreamClosedError. It is closed
        after ``idle_timeout`` seconds without data from the other side. ``max_length`` limits a
        received message, in bytes.
        """
        connection.handler = handler
        probe_by_system(connection.handle)
        reason = "the endpoint shut down"
        try:
            reason = await self._interface.read(connection, idle_timeout, max_length)
        except asyncio.CancelledError:
            # The caller no longer waits for an orderly close, and the peer may never read the rest.
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, connection.abort)
            raise
        finally:
            connection.close(reason)
            self._interface.forget(connection, reason)
            if (watch := self._watches.pop(connection, None)) is not None:
                watch.stop()
        await connection.wait_closed(CLOSE_TIMEOUT)
        return reason

    def watch(
        self,
        connection: Connection,
        quiet: float = QUIET_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Ask a served peer that reads pings whether it is there, after ``quiet`` seconds of silence.

        The connection is dropped if it says nothing within ``patience`` seconds of that.
        """
        if connection not in self._watches and not connection.is_closing:
            next_id = self._interface.next_id
            self._watches[connection] = Watch(connection, next_id, quiet, patience)

    async def answers(self, connection: Connection) -> bool:
        """Return whether anything comes from a served peer within ANSWER_SECONDS of a ping."""
        return await ask(connection, self._interface.next_id, ANSWER_SECONDS)

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
        terms: Terms | None = None,
    ) -> Answer:
        """Send a request and return the answer, including error codes.

        ``terms``: its deadline in our time and its id, for a peer that reads them.

        Raises:
            RequestTimeoutError: no answer within ``deadline`` seconds.
            NotSentError: the connection had ended before.
            StreamClosedError: the connection ended first.
            RequestRejectedError: the other side reset the exchange, or its answer is not valid.
            FrameLengthError: path and query are too long for one message.
        """
        if connection.is_closing:
            raise NotSentError(connection.close_reason or "the connection is closed")
        message = aiocoap.Message(
            code=CoapCode[method],
            payload=payload,
            uri_path=path,
            uri_query=query,
            transport_tuning=_CONFIRMABLE if confirmable else _NON_CONFIRMABLE,
        )
        message.remote = connection
        if terms is not None:
            add_terms(message, terms)
        try:
            async with asyncio.timeout(deadline):
                response = await self._context.ask(message)
        except TimeoutError as error:
            raise RequestTimeoutError(f"no answer within {deadline:g} s") from error
        except NotSentError:
            raise
        except (StreamClosedError, coap_error.LibraryShutdown) as error:
            raise StreamClosedError(str(error) or "the endpoint shut down") from error
        except coap_error.MessageError as error:
            raise RequestRejectedError("the other side reset the exchange") from error
        except coap_error.NetworkError as error:
            # This is how aiocoap passes on the error from `forget`.
            raise StreamClosedError(str(error.__cause__ or error)) from error
        except WireError:
            raise
        except Exception as error:
            # Block options that do not match the request make aiocoap fail in many ways, such as
            # with AssertionError and AttributeError. The answer is always at fault.
            what = str(error) or type(error).__name__
            raise RequestRejectedError(f"the exchange failed: {what}") from error
        return to_answer(response)

    async def shutdown(self) -> None:
        """Close every connection, cancel the running handlers and wait for them.

        A second call does nothing.
        """
        if self._is_shut_down:
            return
        self._is_shut_down = True
        site: _Site = self._context.serversite
        await self._context.shutdown()
        await site.wait_idle(CLOSE_TIMEOUT)


class _Request(ClientRequest):
    """aiocoap's request, which ignores an answer in the turn of the loop in which its caller gave up.

    aiocoap learns of that one turn later; until then it would raise InvalidStateError into what reads the
    connection, which would end.
    """

    def _run(self) -> Generator[None, Any, None]:
        event = yield
        if not self.response.cancelled():
            whole = super()._run()
            next(whole)
            with contextlib.suppress(StopIteration):
                whole.send(event)


class _Context(aiocoap.Context):
    """aiocoap's Context, with `_Request`, and with one task for a request that is served and none for one of ours.

    aiocoap makes three, each named by a rendering of the whole message: they were half of what a message costs.
    """

    async def ask(self, message: Any) -> Any:
        """Send a request and return the whole answer; raises aiocoap's errors."""
        remote = message.remote
        is_small = len(message.payload) <= PAYLOAD_LIMIT
        if not is_small or remote.maximum_block_size_exp != BLOCK_SIZE_EXPONENT:
            return await self.request(message).response
        interface = await self.find_remote_and_interface(message)
        asked = Asked(message, self.loop)
        try:
            interface.request(asked)
            answer = await asked.response
        finally:
            asked.end()
        if answer.opt.block1 is not None:
            raise coap_error.UnexpectedBlock1Option("a block of a request that had none")
        # aiocoap's own way to the rest of a long answer has no other name.
        complete = BlockwiseRequest._complete_by_requesting_block2  # noqa: SLF001
        return await complete(self, message, answer, self.log)

    def request(self, request_message: Any, handle_blockwise: bool = True) -> Any:  # noqa: FBT001, FBT002  # aiocoap's
        if handle_blockwise:
            return super().request(request_message)
        pipe = Pipe(request_message, self.log)
        asked = _Request(pipe, self.loop, self.log)
        run_driving_pipe(pipe, self._hand_over(pipe))
        return asked

    async def _hand_over(self, pipe: Any) -> None:
        (await self.find_remote_and_interface(pipe.request)).request(pipe)

    def render_to_pipe(self, pipe: Any) -> None:
        task = self.loop.create_task(self._serve(pipe))
        pipe.on_interest_end(task.cancel)

    async def _serve(self, pipe: Any) -> None:
        """Answer a request: 5.00 if that fails in a way that has no answer of its own."""
        try:
            await self.serversite.render_to_pipe(pipe)
        except coap_error.RenderableError as error:
            pipe.add_response(error.to_message(), is_last=True)
        except Exception:  # a handler's fault: the peer is told, and the connection goes on
            self.log.exception("a request could not be answered")
            pipe.add_response(aiocoap.Message(code=CoapCode.INTERNAL_SERVER_ERROR), is_last=True)


class _Idle:
    """Ends a reading by its `asyncio.timeout` when nothing has come for some seconds.

    One timer for a connection, which looks when something came last: one for each reading is a third of its cost.
    """

    def __init__(
        self, connection: Connection, timer: asyncio.Timeout, seconds: float | None
    ) -> None:
        """Begin to wait; ``seconds`` None: for ever."""
        self._connection, self._timer, self._seconds = connection, timer, seconds or 0.0
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self._next = None if seconds is None else self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        end = max(self._begun, self._connection.heard_at) + self._seconds
        if self._loop.time() >= end:
            self._timer.reschedule(end)
        else:
            self._next = self._loop.call_at(end, self._look)

    def stop(self) -> None:
        """Wait no longer."""
        if self._next is not None:
            self._next.cancel()


class _FramedInterface(interfaces.MessageInterface):
    """aiocoap's message interface on framed connections."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._open: set[Connection] = set()

    async def read(
        self, connection: Connection, idle_timeout: float | None, max_length: int
    ) -> str:
        """Pass received messages to aiocoap until the stream ends; return the reason."""
        self._open.add(connection)
        try:
            async with asyncio.timeout(None) as timer:
                idle = _Idle(connection, timer, idle_timeout)
                try:
                    return await self._read(connection, FrameDecoder(max_length))
                finally:
                    idle.stop()
        except TimeoutError:
            return f"silent for {idle_timeout:g} s"

    async def _read(self, connection: Connection, decoder: FrameDecoder) -> str:
        while True:
            try:
                data = await connection.reader.read(READ_SIZE)
            except OSError as error:
                return connection.close_reason or f"connection lost: {error.strerror or error}"
            if not data:
                return connection.close_reason or "closed by the other side"
            connection.heard_at = asyncio.get_running_loop().time()
            if connection.tap is not None:
                connection.tap.heard(data)
            is_quick = True
            try:
                for number, message in enumerate(decoder.feed(data), 1):
                    is_quick &= self._dispatch(connection, message)
                    if number % MESSAGES_A_TURN == 0:
                        await asyncio.sleep(0)
                        if connection.close_reason:  # meanwhile: nobody waits for the others
                            return connection.close_reason
            except FramingError as error:
                return str(error)
            if not is_quick:
                # Reading buffered data does not yield; let handlers start before more requests arrive.
                await asyncio.sleep(0)

    def next_id(self) -> int:
        """Return a message id that no request of ours uses."""
        return int(self._manager._next_message_id())  # noqa: SLF001  # the ids are the manager's

    def _dispatch(self, connection: Connection, data: bytes) -> bool:
        """Take up a message; return whether that was all, as for a ping and its answer: nothing was begun."""
        if is_ping(data):
            connection.send(pong_to(data))
            return True
        if is_reset(data) and not self._resets_request(connection, data):
            return True  # the answer to a ping: that it came was noted
        self._take_up(connection, data)
        return False

    def _resets_request(self, connection: Connection, reset: bytes) -> bool:
        return self._manager is not None and self._manager.waits_for(connection, reset)

    def _take_up(self, connection: Connection, data: bytes) -> None:
        try:
            message = decode_message(data, connection)
            if message.code.is_response() and not is_valid_block(
                message.opt.block2, message.payload
            ):
                raise MessageFormatError("an answer's block that fits no body")
        except MessageFormatError as error:
            # The framing is intact, so only this message is dropped (RFC 7252 section 4.2).
            # One warning per connection, so that a peer cannot flood the log.
            level = logging.DEBUG if connection.unreadable else logging.WARNING
            connection.unreadable += 1
            _log.log(level, "%r: message ignored, not CoAP: %s", connection, error)
            if isinstance(error, CriticalOptionError) and (told := refuse_option(data, error)):
                connection.send(told)
            return
        if self._manager is not None:
            self._manager.dispatch_message(message)

    def forget(self, connection: Connection, reason: str) -> None:
        """Fail the pending requests of a connection that ended."""
        self._open.discard(connection)
        if self._manager is not None:
            self._manager.dispatch_error(StreamClosedError(reason), connection)

    def send(self, message: Any) -> None:
        """Write a message to its connection."""
        # An answer was encoded to be kept.
        kept = message.remote.recent.answer(message.mid) if message.mtype in {ACK, RST} else b""
        message.remote.send(kept or message.encode())

    async def recognize_remote(self, remote: object) -> bool:
        """Return whether ``remote`` is a connection; raises NotSentError if it is closed."""
        if remote not in self._open:
            await asyncio.sleep(0)  # `serve` may have been begun in this very turn
        if isinstance(remote, Connection) and remote not in self._open:
            raise NotSentError(remote.close_reason or "the connection is closed")
        return remote in self._open

    async def determine_remote(self, message: Any) -> None:  # aiocoap's
        """Do nothing: requests always specify their connection, so no address is resolved."""

    async def shutdown(self) -> None:
        """Close every connection, which ends its `read`."""
        self._manager = None
        for connection in self._open:
            connection.close("the endpoint shut down")


class _Site(Resource):
    """A resource that passes every request, on any path, to its connection's handler."""

    def __init__(self) -> None:
        super().__init__()
        self._running: set[asyncio.Task[Any]] = set()

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request within its connection's limits."""
        request, connection = pipe.request, pipe.request.remote
        if connection.serving >= MAX_SERVING:
            pipe.add_response(_busy(request), is_last=True)
            return
        task = cast("asyncio.Task[Any]", asyncio.current_task())  # of `_Context.render_to_pipe`
        self._running.add(task)
        connection.serving += 1
        try:
            whole = connection.transfers.assemble(request)
            reply = await connection.transfers.reply(whole, lambda: self.render(whole))
            pipe.add_response(reply, is_last=True)
        finally:
            connection.serving -= 1
            self._running.discard(task)

    async def wait_idle(self, deadline: float) -> None:
        """Wait at most ``deadline`` seconds for the cancelled handlers to end."""
        if self._running:
            await asyncio.wait(self._running, timeout=deadline)

    async def render(self, request: Any) -> Any:
        answer = await request.remote.handler(to_request(request))
        message = aiocoap.Message(
            code=CoapCode(answer.code),
            payload=answer.payload,
            no_response=request.opt.no_response,
        )
        if answer.again is not None:
            message.opt.max_age = answer.again
        return message


def _busy(request: Any) -> Any:
    return aiocoap.Message(
        code=CoapCode.SERVICE_UNAVAILABLE,
        payload=b"too many requests at once",
        no_response=request.opt.no_response,
    )
