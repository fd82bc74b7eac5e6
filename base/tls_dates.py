"""TLS that checks certificate dates against trusted time instead of the machine's clock.

OpenSSL checks dates against the system clock; on a machine that starts in 1970 every certificate is
"not yet valid". So OpenSSL verifies the chain, signatures and host without the dates
(X509_V_FLAG_NO_CHECK_TIME), and `check_dates` then checks the dates of the whole verified chain,
after the handshake and before any application data is sent. A certificate that ends before the time
floor has surely expired; a beginning in the future counts only while the clock is trusted.
Standard library only.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from base.clock import TrustedTime, show_time

# From openssl/x509_vfy.h; the ssl module has no name for it.
_NO_CHECK_TIME = 0x200000


class CertificateDateError(ssl.SSLCertVerificationError):
    """A certificate of the verified chain is not valid now."""

    def __init__(self, message: str) -> None:
        """Set the ``message``, worded as OpenSSL words it."""
        super().__init__(message)
        self.verify_message = message


def leave_dates(context: ssl.SSLContext) -> ssl.SSLContext:
    """Make ``context`` verify everything but dates; its user must call `check_dates`."""
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    return context


def check_dates(connection: ssl.SSLObject | ssl.SSLSocket, clock: TrustedTime) -> float:
    """Refuse a peer whose verified chain holds a certificate that is not valid now.

    Returns:
        When the first certificate of the chain expires (Unix time, seconds).

    Raises:
        CertificateDateError: expired; not yet valid, while the clock is trusted; or no chain.
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
    """Yield (notBefore, notAfter) of each certificate from the peer's to the CA's, Unix time.

    Python offers the verified chain since 3.10 under a private name; the public method since 3.13
    returns DER only, which the standard library cannot parse. Without the private name nothing is
    yielded, and the caller refuses the peer.
    """
    inner: Any = getattr(connection, "_sslobj", None)
    # Both asyncio's SSLObject and SSLSocket wrap the C object.
    chain = getattr(inner, "get_verified_chain", lambda: None)()
    for certificate in chain or ():
        info = certificate.get_info()
        yield (
            float(ssl.cert_time_to_seconds(info["notBefore"])),
            float(ssl.cert_time_to_seconds(info["notAfter"])),
        )


class DatedContext(ssl.SSLContext):
    """A client context that checks certificate dates itself, after each blocking handshake.

    Attributes:
        clock: the time at which the dates are checked.
        chain_end: when the last peer's chain expires (Unix time, seconds); 0: no peer yet.
    """

    clock: TrustedTime
    chain_end: float = 0.0

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Wrap a socket as `ssl.SSLContext` does, then check the dates."""
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
