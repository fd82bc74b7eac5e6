"""TLS for the open API and the console: with an operator's certificate, or with one of the cloud's own CA.

Plain HTTP is for loopback, or where somebody says so. A port with TLS answers plain HTTP too, on which it has nothing but
the update repository, whose files are signed and no secret, and otherwise sends browsers to https: machines of
earlier versions fetch packages without a CA of ours.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from base.files import PEM_LIMIT, read_record
from staging.errors import StagingError
from staging.gateway.tls import MODERN_CIPHERS
from staging.identity.ca import Certificates

# A year. Browsers heed it only where they trust the certificate, and never for an address.
HSTS = "max-age=31536000"
PLAIN_PATHS = ("/tuf/",)
# What a plain request is told; no link, because what it carried may have been seen already.
REFUSED = (
    "expected https: this server answers plain HTTP for /tuf/ alone (--plain-http changes that)"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WebTls:
    """How the API's port is secured.

    Attributes:
        certificate: the operator's certificate and chain (PEM); None: one of the cloud's own CA.
        key: its key (PEM); with a certificate only.
    """

    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_own(self) -> bool:
        """Whether the certificate is of the cloud's own CA."""
        return self.certificate is None


def choose(
    host: str, certificate: Path | None, key: Path | None, *, own: bool, plain: bool
) -> WebTls | None:
    """Return what the options ask for, None for plain HTTP.

    Args:
        host: the address that listens.
        certificate: ``--tls-cert``.
        key: ``--tls-key``; without it the certificate's file has both.
        own: ``--tls``, one of the cloud's own CA.
        plain: ``--plain-http``.

    Raises:
        StagingError: the options contradict each other.
    """
    if key is not None and certificate is None:
        raise StagingError("--tls-key: expected with --tls-cert")
    if plain and (own or certificate is not None):
        raise StagingError("--plain-http: expected without --tls and --tls-cert")
    if own and certificate is not None:
        raise StagingError("--tls: expected without --tls-cert: it takes the cloud's own CA")
    if certificate is not None:
        return WebTls(certificate, key or certificate)
    if plain or (is_loopback(host) and not own):
        return None
    return WebTls()


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def packages_url(api: str, web: WebTls | None) -> str:
    """Return the URL below which devices fetch packages, for the API's URL ``api``.

    Devices know the system's CAs alone for that, so with one of ours they take the signed files by plain HTTP.
    """
    if web is not None and web.is_own:
        return api.replace("https://", "http://", 1)
    return api


def make_context(web: WebTls, own: Certificates) -> ssl.SSLContext:
    """Return a server's context; raises StagingError that names the file at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(MODERN_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    load(context, web, own)
    return context


def load(context: ssl.SSLContext, web: WebTls, own: Certificates) -> None:
    """Use the files as they are now for new connections; raises StagingError, and then nothing has changed."""
    certificate, key = web.certificate or own.server, web.key or own.server_key
    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        try:
            read_record(path, PEM_LIMIT)
        except OSError as error:
            raise StagingError(f"{option} {path}: {error.strerror}") from error
    try:
        # First into one of its own: a certificate whose key is another's would half be used.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _no_password)
        context.load_cert_chain(certificate, key, _no_password)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        expected = "a certificate in PEM and its key, without a password"
        raise StagingError(f"--tls-cert {certificate}: {reason}; expected {expected}") from error
    if web.key is not None and key.stat().st_mode & 0o077:
        _log.warning("--tls-key %s: others can read it; chmod 600", key)


def _no_password() -> str:
    """Keep OpenSSL from asking at the terminal."""
    return ""


class Secured:
    """The application behind it is asked by https alone, but for `PLAIN_PATHS`; answers by https say so (HSTS)."""

    def __init__(self, app: ASGIApp, *, only: bool) -> None:
        """``only``: whether plain requests are refused."""
        self._app, self._only = app, only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["scheme"] == "https":
            await self._app(scope, receive, _with_hsts(send))
        elif self._only and not scope["path"].startswith(PLAIN_PATHS):
            await _refuse(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a browser that reads to https; tell everything else that it is expected."""
    if scope["method"] in {"GET", "HEAD"} and not scope["path"].startswith("/v1/"):
        answer = RedirectResponse(str(Request(scope).url.replace(scheme="https")), 308)
        await answer(scope, receive, send)
        return
    value = {"data": None, "code": "403", "message": REFUSED}
    await JSONResponse(value, 403)(scope, receive, send)


def _with_hsts(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Strict-Transport-Security"] = HSTS
        await send(message)

    return sending
