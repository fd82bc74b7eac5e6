"""Sends messages to webhooks: HTTPS POST, signed, to no address of this network, following no redirect.

The signature is the header ``X-Story-Signature: t=SECONDS,v1=HEX``, HEX the HMAC-SHA256 of ``SECONDS.BODY`` with the webhook's
secret; ``X-Story-Delivery`` is the message's number, the same at each try. The name is looked up once, every address
that it has is checked, and the connection goes to one that was checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import logging
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from base.interim import FinalResponse
from staging.errors import StagingError, StoreBusyError
from staging.store import Database, alarms, webhooks
from staging.store.webhooks import Due
from staging.times import Clock

# Of one try, in seconds: of each step; of connecting, sending and the answer together; and with the look-up of the name.
DEADLINE = 10.0
EXCHANGE_DEADLINE = 20.0
TRY_DEADLINE = 30.0
LOOK_SECONDS = 5.0
AT_ONCE = 4
ANSWER_LIMIT = 4096
PORT = 443
_GOOD = range(200, 300)

_log = logging.getLogger(__name__)


class RefusedAddressError(StagingError):
    """A webhook's name leads to an address that it may not have."""


def sign(secret: str, body: bytes, seconds: int) -> str:
    """Return the header that proves who sent a body, and when."""
    signed = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={signed.hexdigest()}"


def is_public(address: str) -> bool:
    """Return whether an address is one of the whole network, and none of this machine's or of a network of one's own."""
    read = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(read, "ipv4_mapped", None) or getattr(read, "sixtofour", None)
    if mapped is not None:
        return is_public(str(mapped))
    return read.is_global and not read.is_multicast and not _is_translated(read)


def _is_translated(read: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    # NAT64 (RFC 6052): a gateway makes an IPv4 address of it, any.
    return read.version == 6 and read in ipaddress.ip_network("64:ff9b::/96")


def addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return a host's and addresses; raises OSError, RefusedAddressError if one of them may not be."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    every = [str(where[0]) for *_, where in found]
    for address in every:
        if not allow_private and not is_public(address):
            raise RefusedAddressError(
                f"{host} is {address}, an address of a private network, expected a public one "
                "(story-cloud alarm settings --set allow_private=1 allows it)"
            )
    return every


class _Pinned(http.client.HTTPSConnection):
    """A connection to an address that was checked, for the host's name."""

    response_class = FinalResponse

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=DEADLINE, context=context)
        self._address, self._tls = address, context
        self._plain: socket.socket | None = None
        self.was_cut = False

    def connect(self) -> None:
        """Connect to the address, and have the certificate be the host's."""
        plain = self._plain = socket.create_connection((self._address, self.port), DEADLINE)
        try:
            self.sock = self._tls.wrap_socket(
                plain, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._plain = self.sock
            self.sock.do_handshake()
        except BaseException:
            plain.close()
            raise

    def cut(self) -> None:
        """End what waits for the other side, in another thread: a byte now and then would keep it for ever."""
        self.was_cut = True
        if self._plain is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._plain, socket.SHUT_RDWR)


def post(message: Due, seconds: int, *, allow_private: bool, context: ssl.SSLContext) -> str | None:
    """Send one message; return what went wrong, None if it was taken. It blocks."""
    parts = urlsplit(message.url)
    host, port = parts.hostname or "", parts.port or PORT
    body = message.body.encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "story-cloud",
        "X-Story-Delivery": str(message.id),
        "X-Story-Signature": sign(message.secret, body, seconds),
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: _Pinned | None = None
    try:
        address = addresses(host, port, allow_private=allow_private)[0]
        with (
            contextlib.closing(connection := _Pinned(host, port, address, context)),
            _cut_after(EXCHANGE_DEADLINE, connection),
        ):
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(ANSWER_LIMIT)
    except (RefusedAddressError, OSError, http.client.HTTPException, ValueError) as error:
        if connection is not None and connection.was_cut:
            return f"no whole answer within {EXCHANGE_DEADLINE:g} s"
        return _problem(f"{host}:{port}", error)
    if answer.status in _GOOD:
        return None
    return f"HTTP {answer.status}" + (
        ", which is not followed" if 300 <= answer.status < 400 else ""
    )


def _problem(place: str, error: Exception) -> str:
    """Return a fault in words that say what to look at."""
    match error:
        case socket.gaierror():
            return f"{place}: the name is not known, expected one of the network"
        case ConnectionRefusedError():
            return f"{place}: nothing listens there, expected a server with HTTPS"
        case ssl.SSLCertVerificationError():
            return f"{place}: its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError() if "WRONG_VERSION_NUMBER" in str(error):
            return f"{place}: it does not speak TLS, expected HTTPS"
        case TimeoutError():
            return f"no answer within {DEADLINE:g} s"
        case _:
            return str(error) or type(error).__name__


@contextlib.contextmanager
def _cut_after(seconds: float, connection: _Pinned) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Sender:
    """Sends what waits, until cancelled."""

    def __init__(
        self, database: Database, clock: Clock, context: ssl.SSLContext | None = None
    ) -> None:
        """Send the store's messages; ``context``: by which certificates are judged, the system's by default."""
        self._database, self._clock = database, clock
        self._context = context

    async def run(self) -> None:
        """Look for messages every `LOOK_SECONDS`, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.send()
            except (StoreBusyError, SQLAlchemyError) as error:
                _log.debug("webhooks wait for the store: %s", error)
            except Exception:  # noqa: BLE001  # a message that cannot be sent ends no cloud
                _log.exception("webhooks were not sent")

    async def send(self) -> int:
        """Send what is due now; return how many messages were tried."""
        found = await self._database.read(webhooks.due, self._clock(), AT_ONCE)
        if not found:
            return 0
        if self._context is None:
            self._context = await asyncio.to_thread(ssl.create_default_context)
        allowed = bool((await self._database.read(alarms.settings)).allow_private)
        await asyncio.gather(*(self._try(message, allow_private=allowed) for message in found))
        return len(found)

    async def _try(self, message: Due, *, allow_private: bool) -> None:
        context = self._context
        if context is None:
            return
        sending = asyncio.to_thread(
            post, message, self._clock() // 1000, allow_private=allow_private, context=context
        )
        try:
            async with asyncio.timeout(TRY_DEADLINE):
                problem = await sending
        except TimeoutError:
            problem = f"no answer within {TRY_DEADLINE:g} s"
        if problem is not None:
            _log.warning("webhook %d: message %d: %s", message.hook_id, message.id, problem)
        jitter = random.random()  # noqa: S311  # no secret
        await self._database.write(webhooks.note, message.id, problem, self._clock(), jitter)
