"""Looks at devices' connections for the wire log; what came before a device was known is kept for it, within bounds."""

from __future__ import annotations

from collections.abc import Iterable

from staging.times import Clock, now_ms
from staging.wirelog.coap_view import split_message
from staging.wirelog.frames import FramedSplitter, Piece
from staging.wirelog.log import COAP, DOWN, UP, WireLog
from transport.connection import Connection
from wire.errors import WireError
from wire.framing import HEADER
from wire.reports import REGISTER_PATH, parse_registration

# What is kept of a connection until it is known whose it is.
EARLY_FRAMES, EARLY_BYTES = 16, 64 * 1024
_URI_PATH = 11
# Where a frame has its code (RFC 7252 section 3).
_CODE = HEADER.size + 1


class ConnectionTap:
    """The wire log of one connection with framed CoAP."""

    def __init__(self, log: WireLog, peer: str, clock: Clock = now_ms) -> None:
        """Look at a connection of ``peer``, an address as text, for ``log``."""
        self._log = log
        self._clock = clock
        self._number = log.next_connection()
        self._splitter: FramedSplitter | None = FramedSplitter()
        self._early: list[tuple[int, str, Piece]] = []
        self._opened = (clock(), f"connected from {peer}")
        self._said = ""
        self.uuid = ""
        self.proven = False

    def heard(self, data: bytes) -> None:
        """See bytes of the device."""
        if self.uuid and not self._log.is_on(self.uuid):
            self._splitter = None  # nobody looks; if somebody does, it begins at a frame again
            return
        if self._splitter is None:
            self._splitter = FramedSplitter(is_joined=True)
        self._take(UP, self._splitter.feed(data))

    def sent(self, frame: bytes) -> None:
        """See a frame to the device."""
        if not self.uuid or self._log.is_on(self.uuid):
            self._take(DOWN, [Piece(frame, len(frame))])

    def claim(self, uuid: str) -> None:
        """Take note whose the connection is, as its token has proven."""
        self.proven = True
        self._name(uuid)

    def end(self, reason: str) -> None:
        """Take note of the connection's end."""
        if self._splitter is not None:
            self._take(UP, self._splitter.end())
        if not self.uuid and self._said:
            self._name(self._said)
        if self.uuid:
            self._log.note(self.uuid, COAP, self._number, f"ended: {reason}")

    def _take(self, way: str, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if not self.uuid:
                self._keep(way, piece)
            else:
                self._add(self._clock(), way, piece)

    def _keep(self, way: str, piece: Piece) -> None:
        """Keep a frame until it is known whose it is: a registration says so, and its answer whether that is true."""
        self._early.append((self._clock(), way, piece))
        while self._is_too_much():
            del self._early[0]
        if way == UP:
            self._said = registered_uuid(piece.data) or self._said
        elif self._said and not _is_empty(piece.data):
            self._name(self._said)  # it is answered, and nothing was proven

    def _is_too_much(self) -> bool:
        size = sum(len(piece.data) for _, _, piece in self._early)
        return len(self._early) > EARLY_FRAMES or (len(self._early) > 1 and size > EARLY_BYTES)

    def _name(self, uuid: str) -> None:
        if uuid == self.uuid:
            return
        self.uuid = uuid
        self._log.note(uuid, COAP, self._number, self._opened[1], self._opened[0])
        early, self._early = self._early, []
        for ts, way, piece in early:
            self._add(ts, way, piece)

    def _add(self, ts: int, way: str, piece: Piece) -> None:
        self._log.add(self.uuid, way, COAP, self._number, piece, ts=ts, proven=self.proven)


def _is_empty(frame: bytes) -> bool:
    """Return whether a frame is an acknowledgement or a ping, which answers nothing yet."""
    return frame[_CODE : _CODE + 1] == b"\0"


def registered_uuid(frame: bytes) -> str:
    """Return which device a frame registers, in lower case; "": it registers none."""
    parts = split_message(frame)
    path = tuple(
        frame[start:end].decode(errors="replace")
        for n, start, end in parts.options
        if n == _URI_PATH
    )
    if path != REGISTER_PATH or parts.payload is None:
        return ""
    try:
        return parse_registration(frame[parts.payload :]).uuid.lower()
    except WireError:
        return ""


class WireTaps:
    """The wire log of all connections of a gateway (`staging.gateway.taps`)."""

    def __init__(self, log: WireLog) -> None:
        """Look for ``log``."""
        self._log = log

    def opened(self, connection: Connection) -> None:
        """Begin to look at a connection."""
        connection.tap = ConnectionTap(self._log, connection.hostinfo)

    def claimed(self, uuid: str, connection: Connection) -> None:
        """Take note whose a connection is."""
        if isinstance(connection.tap, ConnectionTap):
            connection.tap.claim(uuid)

    def ended(self, connection: Connection, reason: str) -> None:
        """Take note of a connection's end."""
        if isinstance(connection.tap, ConnectionTap):
            connection.tap.end(reason)
