"""A UDP socket as aiocoap's message layer wants one, for a server on one address or on all of them.

aiocoap's own remembers every message for minutes without a bound, decodes whatever comes, shares its
port with whoever asks for it, and on all addresses it answers from the one that the system prefers.
This one answers from the address that was asked, decodes strictly (`transport.coap`), forgets the
oldest message first, and looks at a packet only if it is let in.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from aiocoap import interfaces
from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.codes import EMPTY
from aiocoap.numbers.types import ACK, CON, NON, RST
from aiocoap.transports.generic_udp import GenericMessageInterface

from transport.coap import DATAGRAM_OPTIONS, MessageFormatError, decode_message
from transport.dial import local_address, show_server
from transport.errors import TransportError
from transport.messages import EXCHANGE_LIFETIME

# Bytes; ours and what asks us fit an Ethernet frame, and longer bodies come in blocks (RFC 7959).
PACKET_LIMIT = 2048
# Packets that are read before others have their turn.
TURN_LIMIT = 32
# Messages that are remembered, all peers together, each with its answer of at most a packet.
RECENT_LIMIT = 512
# Requests that are answered, or observed, at once; before that, a site says that it is busy.
REQUESTS_LIMIT = 128
# ip(7), ipv6(7) and in6.h of Linux; Python has no names for them.
IP_PKTINFO, IP_FREEBIND, IPV6_FREEBIND = 8, 15, 78
_PKTINFO4, _PKTINFO6 = struct.Struct("=i4s4s"), struct.Struct("=16sI")
_ANCILLARY_SIZE = socket.CMSG_SPACE(_PKTINFO6.size) + socket.CMSG_SPACE(_PKTINFO4.size)

Admit = Callable[[str], bool]
"""Decides whether a packet of an IP address is looked at."""


def bind_udp(host: str, port: int) -> socket.socket:
    """Bind a UDP port of ``host``, also of an address that the machine has not got yet.

    Raises:
        TransportError: another program has it, or ``host`` is no IP address.
    """
    v6 = ":" in host
    bound = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        if v6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            bound.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        else:
            bound.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            bound.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        bound.bind(local_address(host, port))
    except OSError as error:
        bound.close()
        raise TransportError(
            f"CoAP on {show_server(host, port)}: {error.strerror or error}"
        ) from error
    return bound


class _Address(NamedTuple):
    sockaddr: tuple[Any, ...]
    own: tuple[int, int, bytes]
    socket: socket.socket


class Peer(_Address, interfaces.EndpointAddress):
    """Who sent a packet, and to which of our addresses."""

    __slots__ = ()
    scheme = "coap"
    is_multicast = False
    is_multicast_locally = False
    # Leaves room for OSCORE and the headers in 1,280 bytes, which every network carries whole.
    maximum_payload_size = 1024

    def send(self, data: bytes) -> None:
        """Send a packet back; one that cannot go now is lost, as on the way."""
        with contextlib.suppress(OSError):
            self.socket.sendmsg([data], [self.own], 0, self.sockaddr)

    @property
    def hostinfo(self) -> str:
        """The peer's address and port."""
        return show_server(*self.sockaddr[:2])

    @property
    def hostinfo_local(self) -> str:
        """Our address and port."""
        return show_server(*self.socket.getsockname()[:2])

    @property
    def uri_base(self) -> str:
        """As ``hostinfo``, for aiocoap."""
        return f"coap://{self.hostinfo}"

    @property
    def uri_base_local(self) -> str:
        """As ``hostinfo_local``, for aiocoap."""
        return f"coap://{self.hostinfo_local}"

    @property
    def blockwise_key(self) -> tuple[Any, ...]:
        """Whose transfers are kept apart."""
        return (self.sockaddr, self.own)

    @property
    def owner(self) -> tuple[Any, ...]:
        """Whose observations are counted together."""
        return self.sockaddr


class _Latest(list[tuple[Any, Any]]):
    """What waits until a peer has confirmed something else: of each observation the newest (RFC 7641 section 4.5.2)."""

    def append(self, item: tuple[Any, Any]) -> None:
        """Add a message in place of an older one about the same."""
        self[:] = [each for each in self if each[0].token != item[0].token]
        super().append(item)


class BoundedMessages(MessageManager):
    """A MessageManager that remembers few messages, and those for a minute.

    It overrides private methods of aiocoap 0.4, so pyproject.toml requires a version below 0.5.
    """

    def __init__(self, tokens: Any) -> None:
        super().__init__(tokens)
        self._answers: OrderedDict[tuple[Any, int], tuple[float, bytes]] = OrderedDict()

    def awaits(self, remote: Any, mid: int) -> bool:
        """Return whether a message of ours waits for an ACK or RST with this id."""
        return self._active_exchanges is not None and (remote, mid) in self._active_exchanges

    def _add_exchange(self, message: Any, messageerror_monitor: Callable[[], None]) -> None:
        super()._add_exchange(message, messageerror_monitor)
        if not isinstance(self._backlogs[message.remote], _Latest):
            self._backlogs[message.remote] = _Latest()

    def _deduplicate_message(self, message: Any) -> bool:
        key, now = (message.remote, message.mid), self.loop.time()
        known = self._answers.get(key)
        if known is None or now - known[0] >= EXCHANGE_LIFETIME:
            self._answers[key] = (now, b"")
            self._answers.move_to_end(key)
            if len(self._answers) > RECENT_LIMIT:
                self._answers.popitem(last=False)
            return False
        if message.mtype is CON and known[1]:
            message.remote.send(known[1])
        return True

    def _store_response_for_duplicates(self, message: Any) -> None:
        # Only ACK and RST carry the request's id; any other message has an id of our own.
        key = (message.remote, message.mid)
        if message.mtype in {ACK, RST} and key in self._answers:
            self._answers[key] = (self._answers[key][0], message.encode())


class UdpServer(GenericMessageInterface):
    """The socket, between the event loop and the message layer."""

    def __init__(
        self, bound: socket.socket, messages: BoundedMessages, log: Any, admit: Admit
    ) -> None:
        """Read ``bound``, which `bind_udp` made, at once."""
        super().__init__(messages, log, asyncio.get_running_loop())
        self._mman: BoundedMessages | None
        self._socket = bound
        self._admit = admit
        self._loop.add_reader(bound, self._read)

    async def recognize_remote(self, remote: object) -> bool:
        """Return whether an address is one of ours, for aiocoap."""
        return isinstance(remote, Peer) and remote.socket is self._socket

    async def shutdown(self) -> None:
        """Close the socket."""
        self._mman = None
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        for _ in range(TURN_LIMIT):
            try:
                data, ancillary, flags, sockaddr = self._socket.recvmsg(
                    PACKET_LIMIT, _ANCILLARY_SIZE
                )
            except OSError:  # nothing is left, or the network has gone
                return
            own = _own_address(ancillary)
            if own is None or flags & socket.MSG_TRUNC or not self._admit(sockaddr[0]):
                continue
            self._take(data, Peer(sockaddr, own, self._socket))

    def _take(self, data: bytes, peer: Peer) -> None:
        try:
            message = decode_message(data, peer, DATAGRAM_OPTIONS)
        except MessageFormatError:
            return  # RFC 7252 section 4.2 lets us be silent
        if self._mman is not None and _is_expected(message, self._mman):
            self._mman.dispatch_message(message)


def _is_expected(message: Any, messages: BoundedMessages) -> bool:
    """Return whether a message is a question, or about something that we have sent."""
    if message.code.is_request():
        running = messages.token_manager.incoming_requests
        return message.mtype in {CON, NON} and len(running) < REQUESTS_LIMIT
    if message.code is not EMPTY:
        return False  # a server has asked nothing
    if message.mtype in {ACK, RST}:
        return messages.awaits(message.remote, message.mid)
    return bool(message.mtype is CON)  # a ping


def _own_address(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int, bytes] | None:
    """Return what makes the answer leave from the address that was asked, None if that is a group's."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            _, own, asked = _PKTINFO4.unpack_from(data)
            if own != asked:  # a broadcast or a multicast: an answer would be an amplifier's
                return None
            return level, kind, _PKTINFO4.pack(0, own, bytes(4))
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            own, interface = _PKTINFO6.unpack_from(data)
            if own[0] == 0xFF:
                return None
            return level, kind, _PKTINFO6.pack(own, interface)
    return None
