"""The gateway's TLS settings for current devices and, on request, for 2017 firmware."""

from __future__ import annotations

import ssl

from staging.identity.ca import Certificates

# Forward secrecy and authenticated encryption only; all suites of TLS 1.3 have both.
MODERN_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# RSA key exchange with CCM and CBC, which 2017 modules support. SECLEVEL 0 admits their
# SHA-1 MACs and 64-bit CCM tags.
LEGACY_CIPHERS = (
    f"{MODERN_CIPHERS}:AES128-CCM8:AES256-CCM8:AES128-CCM:AES256-CCM:AES128-GCM-SHA256:"
    "AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA:@SECLEVEL=0"
)


def server_context(certificates: Certificates, *, legacy: bool) -> ssl.SSLContext:
    """Return the gateway's context: TLS 1.2 or newer; ``legacy`` adds suites, not versions."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(LEGACY_CIPHERS if legacy else MODERN_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    load_certificates(context, certificates)
    return context


def load_certificates(context: ssl.SSLContext, certificates: Certificates) -> None:
    """Use these certificates for new connections."""
    context.load_cert_chain(certificates.server, certificates.server_key)
