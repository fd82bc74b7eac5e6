"""TLS whose certificates' dates are held against trusted time instead of the machine's clock.

OpenSSL judges validity by the system clock, and a machine that woke in 1970 finds every certificate
"not yet valid". So OpenSSL checks chain, signatures and host, and is told to leave the dates
(X509_V_FLAG_NO_CHECK_TIME); `check_dates` then checks them of the whole verified chain, after the
handshake and before a byte of ours is sent. A date can only prove what the clock is good for: an end
before the time floor has passed for sure, while a beginning "in the future" counts only when the
clock is believed. Standard library only.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from base.clock import TrustedTime, show_time

# openssl/x509_vfy.h; the ssl module has no name for it.
_NO_CHECK_TIME = 0x200000


class CertificateDateError(ssl.SSLCertVerificationError):
    """A certificate of the verified chain is not valid now."""

    def __init__(self, message: str) -> None:
        """Say which way, in OpenSSL's words."""
        super().__init__(message)
        self.verify_message = message


def leave_dates(context: ssl.SSLContext) -> ssl.SSLContext:
    """Make ``context`` verify everything but dates; whoever uses it must call `check_dates`."""
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    return context


def check_dates(connection: ssl.SSLObject | ssl.SSLSocket, clock: TrustedTime) -> float:
    """Refuse a peer whose verified chain holds a certificate that is not valid now.

    Returns:
        When the first of them ends (Unix time, seconds).

    Raises:
        CertificateDateError: expired; not yet valid, with a clock that is believed; or no chain.
    """
    dates = list(_chain_dates(connection))
    if not dates:
        raise CertificateDateError("no verified certificate chain to check the dates of")
    now, believed = clock.certificate_time(), clock.believes_clock
    for begin, end in dates:
        if now > end:
            raise CertificateDateError(f"certificate has expired (on {show_time(end)})")
        if now < begin and believed:
            raise CertificateDateError(f"certificate is not yet valid (until {show_time(begin)})")
    return min(end for _begin, end in dates)


def _chain_dates(connection: ssl.SSLObject | ssl.SSLSocket) -> Iterable[tuple[float, float]]:
    """Give (notBefore, notAfter) of each certificate from the peer's to the CA's, Unix time.

    Python has the verified chain since 3.10, under a private name; what is public since 3.13 gives
    DER only, which the standard library cannot read. Where the name is gone nothing is given, and
    the caller refuses.
    """
    inner: Any = getattr(connection, "_sslobj", None)
    # An SSLObject of asyncio wraps the C object; so does an SSLSocket.
    chain = getattr(inner, "get_verified_chain", lambda: None)()
    for certificate in chain or ():
        info = certificate.get_info()
        yield (
            float(ssl.cert_time_to_seconds(info["notBefore"])),
            float(ssl.cert_time_to_seconds(info["notAfter"])),
        )


class DatedContext(ssl.SSLContext):
    """A client's context that checks the dates itself, after each blocking handshake.

    Attributes:
        clock: the time that they are held against.
        chain_end: when the chain of the last peer ends (Unix time, seconds); 0: there was none yet.
    """

    clock: TrustedTime
    chain_end: float = 0.0

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Shake hands, check the dates; as in `ssl.SSLContext`."""
        wrapped = super().wrap_socket(*arguments, **options)
        try:
            self.chain_end = check_dates(wrapped, self.clock)
        except CertificateDateError:
            wrapped.close()
            raise
        return wrapped


def dated_context(ca_file: Path | None, clock: TrustedTime) -> DatedContext:
    """Return a context for blocking sockets that trusts ``ca_file``, or the system's CAs."""
    context = DatedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.clock = clock
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=ca_file)
    leave_dates(context)
    return context
