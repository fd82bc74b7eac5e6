"""The server of the local HTTP API: HTTP/1.1 by h11 in the agent's event loop (RFC 9112).

Each wait of a connection has an end: for its first request, for the next one, for a client that does not read its answer, and
for a body that nobody wants. An application is asked as `agent.local.web` says; it has the whole answer in memory.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

import h11

from agent.local.web import App, Message, Receive, Response, Scope, Send
from wire.codes import Code

SHUTDOWN_SECONDS = 2.0
# Each may use `wire.exchange.WAV_LIMIT` bytes of memory, and only a few local programs ask at once.
REQUEST_LIMIT = 16
# Connections; beyond that the oldest idle one is dropped, so that whoever opens many and asks nothing
# keeps nobody from asking.
CONNECTION_LIMIT = 64
# Seconds until a connection's request has come up to its body, from its first byte on; for a client that reads nothing of
# its answer; and for the rest of a body that was answered before its end.
IDLE_SECONDS = 10.0
# Seconds that an answered connection is kept for the next request: longer than the five of many clients,
# whose next request would meet the close.
KEEP_SECONDS = 9.0
# Seconds that the rest of what is no HTTP is read and dropped: a close before it has come resets the connection, and the
# client loses the answer that says why.
LINGER_SECONDS = 1.0
# Bytes of a body that wait for the application; beyond that nothing is read.
BODY_AHEAD = 64 * 1024
_PHRASES = {
    200: b"OK", 201: b"Created", 204: b"No Content", 304: b"Not Modified", 307: b"Temporary Redirect",
    400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed", 409: b"Conflict", 413: b"Content Too Large",
    429: b"Too Many Requests", 431: b"Request Header Fields Too Large",
    500: b"Internal Server Error", 503: b"Service Unavailable",
}  # fmt: skip

_log = logging.getLogger(__name__)


class LocalServer:
    """Serves one application on sockets, until `stop`; the agent handles signals and logging."""

    def __init__(self, app: App, tls: tuple[Path, Path] | None = None) -> None:
        """Serve ``app``; by TLS if ``tls`` names the files of a certificate and its key. Raises OSError."""
        self.app = _Bounded(app)
        self.tls = None if tls is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.tls is not None and tls is not None:
            self.tls.load_cert_chain(*tls)
        self.connections: set[Connection] = set()
        self.answering: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._left = asyncio.Event()

    def stop(self) -> None:
        """End `serve`, also one that has not begun: what is being answered has a short time left."""
        self._ended.set()

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on ``sockets``, which are bound and are closed at the end."""
        loop = asyncio.get_running_loop()
        # The backlog is also how many are accepted before others are closed.
        servers = [
            await loop.create_server(
                lambda: Connection(self), sock=each, ssl=self.tls, backlog=2 * CONNECTION_LIMIT
            )
            for each in sockets
        ]
        try:
            await self._ended.wait()
        finally:
            for server in servers:
                server.close()
            await self._end_connections()

    def forget(self, connection: Connection) -> None:
        """Take note that a connection is closed."""
        self.connections.discard(connection)
        if not self.connections:
            self._left.set()

    async def _end_connections(self) -> None:
        for connection in list(self.connections):
            connection.end()
        if self.connections:
            self._left.clear()
            try:
                async with asyncio.timeout(SHUTDOWN_SECONDS):
                    await self._left.wait()
            except TimeoutError:
                pass
        for task in self.answering:
            task.cancel()  # it says that the agent ends
        if self.answering:
            await asyncio.wait(self.answering, timeout=SHUTDOWN_SECONDS)
        for connection in list(self.connections):
            connection.transport.abort()


class _Bounded:
    """Answers 503 beyond REQUEST_LIMIT requests at once, and if the agent stops during one."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._running >= REQUEST_LIMIT:
            await _refusal("too many requests at once")(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:  # only `LocalServer` does that, at its end
            await _refusal("the agent ends")(scope, receive, send)
        finally:
            self._running -= 1


def _refusal(reason: str) -> Response:
    code = Code.SERVICE_UNAVAILABLE
    return Response(
        f"{reason}\n", code.http_status, {"X-CoAP-Code": code.dotted}, media_type="text/plain"
    )


class Connection(asyncio.Protocol):
    """One client's connection: its requests one after the other."""

    transport: asyncio.Transport

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.SERVER)
        self._asked: _Asked | None = None
        self._ending = False
        self._is_refused = False
        self._head_began = True
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.has_asked = False
        """Whether a request has come on it."""

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for its first request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for mypy
        self.transport = transport
        self.made_at = self._loop.time()
        connections = self._server.connections
        idle = [each for each in connections if each.is_idle]
        connections.add(self)
        self._wait(IDLE_SECONDS, self._abort)
        if len(connections) > CONNECTION_LIMIT and idle:
            min(idle, key=lambda each: (each.has_asked, each.made_at)).transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell whoever answers that nobody is there."""
        self._stop_waiting()
        self._writable.set()
        if self._asked is not None:
            self._asked.is_gone = True
            self._asked.woken.set()
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._is_refused:
            return
        if not self._head_began:
            self._head_began = True
            self._wait(IDLE_SECONDS, self._abort)
        self._http.receive_data(data)
        self._take_events()

    def pause_writing(self) -> None:
        """Hold answers up: the client does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Send them."""
        self._writable.set()

    # Requests.

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered on it."""
        return self._asked is None

    def end(self) -> None:
        """Close it now, or after the answer that is under way."""
        self._ending = True
        if self._asked is None:
            self.transport.close()

    def _take_events(self) -> None:
        while not self.transport.is_closing():
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error)
                return
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._take_body(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                if self._asked is not None:
                    self._asked.is_whole = True
                    self._asked.woken.set()
                else:  # the rest of what was answered before
                    self._await_next()
            elif event is h11.PAUSED:  # the next request came before this one's answer
                self.transport.pause_reading()
                return
            else:
                return

    def _begin(self, event: h11.Request) -> None:
        self._stop_waiting()
        self.has_asked = True
        self._asked = asked = _Asked(self._scope(event), self)
        asked.waits_for_continue = self._http.they_are_waiting_for_100_continue
        task = self._loop.create_task(self._answer(asked))
        self._server.answering.add(task)
        task.add_done_callback(self._server.answering.discard)

    def _scope(self, event: h11.Request) -> Scope:
        path, _, query = event.target.partition(b"?")
        peer = self.transport.get_extra_info("peername")
        return {
            "type": "http",
            "http_version": event.http_version.decode("ascii"),
            "method": event.method.decode("ascii"),
            "scheme": "http" if self._server.tls is None else "https",
            "path": unquote(path.decode("latin-1")),
            "query_string": query,
            "headers": list(event.headers),
            # A Unix socket's peer has no name.
            "client": (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None,
        }

    def _take_body(self, data: bytes) -> None:
        if self._asked is None:  # answered before its end: `_finish` has set it a time
            return
        self._asked.body += data
        if len(self._asked.body) > BODY_AHEAD:
            self.transport.pause_reading()
        self._asked.woken.set()

    async def _answer(self, asked: _Asked) -> None:
        try:
            await self._server.app(asked.scope, asked.receive, asked.send)
            if asked.answer is not None:
                await self._finish(asked.answer, asked.answer_body)
                return
        except Exception:  # noqa: BLE001  # a fault of ours costs this connection, and is in the log
            _log.exception("local API: a request failed")
        self.transport.abort()

    async def _finish(self, start: Message, body: bytes) -> None:
        """Send the answer, and make ready for the next request."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._writable.wait()
        except TimeoutError:  # it reads nothing of the answers before
            self.transport.abort()
        if self.transport.is_closing():
            return
        self._send(start["status"], start["headers"], body)
        self._asked = None
        if self._ending or self._http.our_state is h11.MUST_CLOSE:
            self._close()
            return
        self.transport.resume_reading()
        if self._http.their_state is h11.SEND_BODY:
            self._wait(IDLE_SECONDS, self._abort)
            return
        self._await_next()
        self._take_events()

    def _send(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        if self._ending:
            headers = [*headers, (b"connection", b"close")]
        head = h11.Response(status_code=status, headers=headers, reason=_PHRASES.get(status, b""))
        # Of HEAD's answer h11 checks no length, and sends no body.
        parts = [self._http.send(head)]
        if body:
            parts.append(self._http.send(h11.Data(data=body)))
        parts.append(self._http.send(h11.EndOfMessage()))
        self.transport.write(b"".join(part for part in parts if part))

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Answer what is no HTTP, unless another answer is under way, and close."""
        if self._asked is None and self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            text = f"not HTTP as expected: {error}\n".encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close"),
                       (b"content-length", str(len(text)).encode())]  # fmt: skip
            self._send(error.error_status_hint, headers, text)
            if self.transport.can_write_eof():  # TLS has no end of one direction
                self._is_refused = True
                self.transport.write_eof()
                self._wait(LINGER_SECONDS, self._abort)
                return
        self._close()

    def send_continue(self) -> None:
        """Tell the client that its body is wanted."""
        go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
        self.transport.write(self._http.send(go_on) or b"")

    # Its ends.

    def _await_next(self) -> None:
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        self._head_began = False
        self._wait(KEEP_SECONDS, self._close)

    def _close(self) -> None:
        """Close once all is written; whoever reads nothing is cut off."""
        left = self.transport.get_write_buffer_size()
        self.transport.close()
        if left:
            self._wait(IDLE_SECONDS, self._abort)

    def _abort(self) -> None:
        self.transport.abort()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self._loop.call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Asked:
    """One request that is being answered: what has come of it, and the answer."""

    def __init__(self, scope: Scope, connection: Connection) -> None:
        self.scope = scope
        self._connection = connection
        self.body = bytearray()
        self.is_whole = False
        self.is_gone = False
        self.waits_for_continue = False
        self.woken = asyncio.Event()
        self.answer: Message | None = None
        self.answer_body = b""

    async def receive(self) -> Message:
        """Return the next piece of the body, or that the client has gone."""
        if self.waits_for_continue:
            self.waits_for_continue = False
            self._connection.send_continue()
        while not (self.body or self.is_whole or self.is_gone):
            self.woken.clear()
            self._connection.transport.resume_reading()
            await self.woken.wait()
        if self.is_gone:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": not self.is_whole}

    async def send(self, message: Message) -> None:
        """Keep the answer until it is whole."""
        if message["type"] == "http.response.start":
            self.answer = message
        else:
            self.answer_body += message["body"]
