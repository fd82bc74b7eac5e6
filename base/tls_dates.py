"""TLS that checks certificate dates against trusted time instead of the machine's clock.

OpenSSL checks dates against the system clock; on a machine that starts in 1970 every certificate is
"not yet valid". So OpenSSL verifies the chain, signatures and host without the dates
(X509_V_FLAG_NO_CHECK_TIME), and `check_dates` then checks the dates of the whole verified chain,
after the handshake and before any application data is sent. A certificate that ends before the time
floor has surely expired; a beginning in the future counts only while the clock is trusted. If that
chain is out of date, `base.tls_chains` looks for another one: a CA may be renewed with its key.
Standard library only, but for that.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from base.clock import TrustedTime, show_time
from base.tls_chains import find_chain_end

# From openssl/x509_vfy.h; the ssl module has no name for it.
_NO_CHECK_TIME = 0x200000
# From Modules/_ssl.c; the ssl module has no public name for it.
_ENCODING_DER = 2


class CertificateDateError(ssl.SSLCertVerificationError):
    """A certificate of the verified chain is not valid now."""

    def __init__(self, message: str) -> None:
        """Set the ``message``, worded as OpenSSL words it."""
        super().__init__(message)
        self.verify_message = message


def leave_dates(context: ssl.SSLContext) -> ssl.SSLContext:
    """Make ``context`` verify everything but dates; its user must call `check_dates`.

    A trusted certificate ends a chain though another has signed it (an intermediate as the only trust),
    as with curl, and with Python itself since 3.13.
    """
    flags = context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.verify_flags = ssl.VerifyFlags(flags)
    return context


def check_dates(connection: ssl.SSLObject | ssl.SSLSocket, clock: TrustedTime) -> float:
    """Refuse a peer of whose chains none is valid now.

    Returns:
        When the first certificate of the chain expires (Unix time, seconds).

    Raises:
        CertificateDateError: expired; not yet valid, while the clock is trusted; or no chain.
    """
    dates = [_dates(each) for each in _certificates(connection, "get_verified_chain")]
    if not dates:
        raise CertificateDateError("no verified certificate chain to check the dates of")
    now, believed = clock.certificate_time(), clock.believes_clock

    def find_fault(begin: float, end: float) -> str | None:
        return _find_fault(begin, end, now, believed=believed)

    faults = [fault for each in dates if (fault := find_fault(*each)) is not None]
    if not faults:
        return min(end for _begin, end in dates)
    sent = [
        each.public_bytes(_ENCODING_DER)
        for each in _certificates(connection, "get_unverified_chain")
    ]
    trusted = connection.context.get_ca_certs(binary_form=True)
    other = find_chain_end(sent, trusted, lambda *dates: find_fault(*dates) is None)
    if other is None:
        raise CertificateDateError(faults[0])
    return other


def _find_fault(begin: float, end: float, now: float, *, believed: bool) -> str | None:
    """Return why a certificate with these dates is not valid ``now``; ``believed``: the clock is trusted."""
    if now > end:
        return f"certificate has expired (on {show_time(end)})"
    if now < begin and believed:
        return f"certificate is not yet valid (until {show_time(begin)})"
    return None


def _certificates(connection: ssl.SSLObject | ssl.SSLSocket, name: str) -> list[Any]:
    """Return the certificates of a chain, the peer's first.

    Python offers both chains since 3.10 under private names; the public methods since 3.13
    return DER only, which the standard library cannot parse. Without the private name nothing is
    returned, and the caller refuses the peer.
    """
    # Both asyncio's SSLObject and SSLSocket wrap the C object.
    inner: Any = getattr(connection, "_sslobj", None)
    return list(getattr(inner, name, lambda: None)() or ())


def _dates(certificate: Any) -> tuple[float, float]:
    """Return notBefore and notAfter, Unix time."""
    info = certificate.get_info()
    return (
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
