"""CoAP whose requests and answers are encrypted from end to end (OSCORE, RFC 8613), for a server.

The cryptography is aiocoap's; imported only where a machine has it on (the extra [oscore]). Ours are
where the numbers come from, what is told to whom, and the bounds.

- The numbers of a sender may never be used twice with one key (section 7.2.1), also after a power
  cut: they are reserved on disk ahead of their use (appendix B.1.1).
- Which numbers of the other side were seen is not kept over a restart. The first request after one is
  answered with an Echo value that the client has to repeat (appendix B.1.2), so that a recorded one is
  not carried out again.
- What is not protected by a known key is answered 4.01, whatever it asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiocoap
from aiocoap import error as coap_error
from aiocoap import interfaces, oscore
from aiocoap.numbers.codes import FETCH, POST
from aiocoap.numbers.codes import Code as CoapCode
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import CON
from aiocoap.resource import Resource

from transport.coap import OPTION_REQUEST_ID, OPTION_UNTIL
from wire.lan_keys import ALGORITHM, HASH, Keys

# Longer numbers are reserved (RFC 8613 section 6.1).
NUMBER_BYTES = 5
# Numbers of the other side that may overtake each other.
WINDOW = 64
# Numbers that one write to the disk reserves: one a notification, none for most answers.
RESERVE, RESERVE_AGAIN = 1024, 256
# Bytes of a value that is repeated to us.
ECHO_BYTES = 8

# The critical options that the product reads; another one is refused (RFC 7252 section 5.4.1).
_CRITICAL = frozenset({
    OptionNumber.URI_HOST, OptionNumber.URI_PORT, OptionNumber.URI_PATH, OptionNumber.URI_QUERY,
    OptionNumber.ACCEPT, OptionNumber.BLOCK1, OptionNumber.BLOCK2, OPTION_UNTIL, OPTION_REQUEST_ID,
})  # fmt: skip

_log = logging.getLogger(__name__)

Reserve = Callable[[int], Awaitable[None]]
"""Stores that numbers below this one may have been used; raises OSError."""


class ClientContext(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """The security context that this machine shares with one client."""

    alg_aead = oscore.algorithms[ALGORITHM]
    hashfun = oscore.hashfunctions[HASH]
    id_context = None

    def __init__(self, keys: Keys, first_number: int, reserve: Reserve) -> None:
        """Use ``keys``; numbers from ``first_number`` on were never used with them."""
        self.sender_id, self.recipient_id = keys.server_id, keys.client_id
        self.derive_keys(keys.salt, keys.secret)
        self.recipient_replay_window = oscore.ReplayWindow(WINDOW, lambda: None)
        self.echo_recovery = secrets.token_bytes(ECHO_BYTES)
        self.sender_sequence_number = self._reserved = first_number
        self._reserve = reserve
        self._reserving = asyncio.Lock()
        self._refill: asyncio.Task[None] | None = None
        self.is_revoked = False

    def __repr__(self) -> str:
        return f"<ClientContext {self.recipient_id.hex()}>"

    @property
    def is_low(self) -> bool:
        """Whether few numbers are left that may be used."""
        return bool(self._reserved - self.sender_sequence_number < RESERVE_AGAIN)

    async def reserve(self) -> None:
        """Have numbers for what comes next; raises OSError if the disk takes none and none is left."""
        async with self._reserving:
            if not self.is_low:
                return
            ahead = self.sender_sequence_number + RESERVE
            try:
                await self._reserve(ahead)
            except OSError:
                if self._reserved <= self.sender_sequence_number:
                    raise
            else:
                self._reserved = ahead

    def new_sequence_number(self) -> int:
        """Return a number that was reserved; raises ContextUnavailable if there is none."""
        if self.is_revoked:
            raise oscore.ContextUnavailable("its key is no longer valid")
        if self.sender_sequence_number >= min(self._reserved, oscore.MAX_SEQNO):
            raise oscore.ContextUnavailable("no number is left")
        number = int(super().new_sequence_number())
        if self.is_low and (self._refill is None or self._refill.done()):
            # A long observation: nobody waits for the disk on its behalf.
            self._refill = asyncio.create_task(self._reserve_quietly())
        return number

    async def _reserve_quietly(self) -> None:
        with contextlib.suppress(OSError):  # whoever has no number left says so
            await self.reserve()

    def post_seqnoincrease(self) -> None:
        """Do nothing: the number was reserved before."""


Find = Callable[[bytes], ClientContext | None]
"""Returns the context of a client's id, None if nobody has it."""


class ProtectedSite(Resource):
    """Passes what a known client has protected to another site, and protects the answers."""

    def __init__(
        self,
        inner: Resource,
        find: Find,
        proved: Callable[[str, ClientContext], None] = lambda _address, _context: None,
    ) -> None:
        """Serve ``inner``; ``find`` returns the context of a client's id.

        ``proved`` is called with the address and the context of each packet that a client's key has made.
        """
        super().__init__()
        self._inner = inner
        self._find = find
        self._proved = proved

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request; see the module."""
        request = pipe.request
        try:
            context = find_context(request, self._find)
            await context.reserve()
            asked, identifiers = open_request(context, request)
        except RefusedError as refusal:
            refusal.answer(pipe)
            return
        except OSError as error:
            _log.error("CoAP: a client is not answered, the card takes nothing: %s", error)
            pipe.add_response(_plain(CoapCode.SERVICE_UNAVAILABLE, b"the card takes nothing"), is_last=True)  # fmt: skip
            return
        self._proved(request.remote.sockaddr[0], context)
        await self._serve(ProtectingPipe(pipe, asked, context, identifiers))

    async def _serve(self, pipe: ProtectingPipe) -> None:
        try:
            check_inside(pipe.request)
            await self._inner.render_to_pipe(pipe)
        except coap_error.RenderableError as error:
            pipe.add_response(error.to_message(), is_last=True)
        except oscore.ContextUnavailable as error:
            # Its client will ask again, and then the card may take something.
            _log.warning("CoAP: an observation ends: %s", error)
        except Exception:  # noqa: BLE001  # told to the log, and to a client as 5.00
            _log.exception("CoAP: a request is not answered")
            pipe.add_response(_plain(CoapCode.INTERNAL_SERVER_ERROR), is_last=True)


def find_context(request: Any, find: Find) -> ClientContext:
    """Return the context of whoever has protected a request; raises RefusedError."""
    if request.opt.oscore is None:
        raise RefusedError(CoapCode.UNAUTHORIZED, b"OSCORE is needed")
    if request.code not in {POST, FETCH}:
        raise RefusedError(CoapCode.METHOD_NOT_ALLOWED)
    try:
        named: Mapping[int, Any] = oscore.verify_start(request)
    except (oscore.DecodeError, IndexError) as error:  # it reads beyond a cut option
        raise RefusedError(CoapCode.BAD_OPTION, b"Failed to decode COSE") from error
    # Both would raise AssertionError and AttributeError in it.
    if (
        len(named.get(oscore.COSE_PIV, b"")) > NUMBER_BYTES
        or oscore.COSE_COUNTERSIGNATURE0 in named
    ):
        raise RefusedError(CoapCode.BAD_OPTION, b"Failed to decode COSE")
    context = None
    if oscore.COSE_KID_CONTEXT not in named:
        context = find(bytes(named.get(oscore.COSE_KID, b"")))
    if context is None:
        raise RefusedError(CoapCode.UNAUTHORIZED, b"Security context not found")
    return context


class RefusedError(Exception):
    """A request is answered outside of any context, or not at all if it was no confirmable one."""

    def __init__(self, code: CoapCode, text: bytes = b"", whole: Any = None) -> None:
        super().__init__(text)
        self._whole = whole if whole is not None else _plain(code, text)
        self._silent = whole is None

    def answer(self, pipe: Any) -> None:
        """Answer by ``pipe``."""
        if self._silent and pipe.request.mtype is not CON:
            self._whole.opt.no_response = 0b11010  # RFC 7967: aiocoap sends nothing then
        pipe.add_response(self._whole, is_last=True)


def _plain(code: CoapCode, text: bytes = b"") -> Any:
    # An error outside of a context may not be kept by a proxy (RFC 8613 section 8.2).
    return aiocoap.Message(code=code, payload=text, max_age=0)


def open_request(context: ClientContext, request: Any) -> tuple[Any, Any]:
    """Return the request inside, and what its answer is bound to; raises RefusedError."""
    try:
        asked, identifiers = context.unprotect(request)
    except oscore.ReplayErrorWithEcho as error:
        raise RefusedError(CoapCode.UNAUTHORIZED, whole=error.to_message()) from error
    except oscore.ReplayError as error:
        raise RefusedError(CoapCode.UNAUTHORIZED, b"Replay detected") from error
    except oscore.ProtectionInvalid as error:
        raise RefusedError(CoapCode.BAD_REQUEST, b"Decryption failed") from error
    except (
        coap_error.Error,
        ValueError,
        IndexError,
    ) as error:  # no CoAP inside, of somebody with a key
        raise RefusedError(CoapCode.BAD_OPTION, b"Failed to decode what is inside") from error
    asked.remote = Inside(request.remote, context)
    asked.mtype = request.mtype
    return asked, identifiers


def check_inside(request: Any) -> None:
    """Refuse what a server may not ignore; raises aiocoap's form of the answer."""
    if not request.code.is_request():
        raise coap_error.BadRequest("no request inside")
    for option in request.opt.option_list():
        if option.number.is_critical() and option.number not in _CRITICAL:
            raise coap_error.BadOption(f"option {int(option.number)}")


class Inside(interfaces.EndpointAddress):
    """The other end of what is protected: a client's key, wherever its packets come from."""

    scheme = "coap"
    is_multicast = False
    is_multicast_locally = False
    maximum_payload_size = 1024

    def __init__(self, outside: Any, context: ClientContext) -> None:
        """Be ``context``'s client at the address ``outside``."""
        self._outside = outside
        self.context = context

    hostinfo = property(lambda self: self._outside.hostinfo)
    hostinfo_local = property(lambda self: self._outside.hostinfo_local)
    uri_base = property(lambda self: self._outside.uri_base)
    uri_base_local = property(lambda self: self._outside.uri_base_local)

    @property
    def blockwise_key(self) -> tuple[Any, ...]:
        """Whose transfers are kept apart: another key's are others."""
        return (self._outside.blockwise_key, self.context.recipient_key)

    @property
    def owner(self) -> bytes:
        """Whose observations are counted together."""
        return bytes(self.context.recipient_id)


class ProtectingPipe:
    """Where the inner site puts its answers: each goes out protected."""

    def __init__(self, pipe: Any, request: Any, context: ClientContext, identifiers: Any) -> None:
        """Answer ``request``, which came protected by ``pipe``."""
        self._pipe = pipe
        self.request = request
        self._context = context
        self._identifiers = identifiers

    def add_response(self, reply: Any, *, is_last: bool = False) -> None:
        """Send an answer, or a notification if it is not the last."""
        notifies = reply.opt.observe is not None
        if notifies:
            reply.opt.observe = 0  # empty inside; the number outside puts them in order
        protected, _ = self._context.protect(reply, self._identifiers)
        if notifies:
            protected.opt.observe = self._context.sender_sequence_number & 0xFFFFFF
            # Without confirmations nobody would notice that the observer has gone.
            protected.transport_tuning = aiocoap.Reliable
        self._pipe.add_response(protected, is_last=is_last)
