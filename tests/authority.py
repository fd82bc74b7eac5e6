"""The tests' certificate authority: trustme's, and the two things that trustme cannot make.

An `Authority` issues certificates for hosts and addresses, each with the dates that the test wants, and
hands out server and client contexts and PEM texts. trustme's own CAs are valid from 2000 to 3000, and no
two of them share a name; `_reissue` makes the root again with other dates, or in another CA's name.
"""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

HOUR = dt.timedelta(hours=1)
LOOPBACK = "127.0.0.1"


class Authority:
    """A CA that issues server certificates.

    Args:
        dates: the root's notBefore and notAfter; by default trustme's, 2000 to 3000.
        like: another CA, whose subject and key identifier this one claims; the key is its own.
    """

    def __init__(
        self,
        dates: tuple[dt.datetime, dt.datetime] | None = None,
        like: Authority | None = None,
    ) -> None:
        self._ca = trustme.CA()
        if dates is not None or like is not None:
            self._ca = _reissue(self._ca, like._ca if like else self._ca, dates)

    @property
    def pem(self) -> str:
        """The CA's certificate."""
        return self._ca.cert_pem.bytes().decode()

    def leaf(
        self, *hosts: str, start: dt.timedelta = -HOUR, end: dt.timedelta = HOUR
    ) -> trustme.LeafCert:
        """Issue a certificate for ``hosts`` (127.0.0.1 by default); both dates count from now."""
        now = dt.datetime.now(dt.UTC)
        return self._ca.issue_cert(
            *(hosts or (LOOPBACK,)), not_before=now + start, not_after=now + end
        )

    def server_context(
        self, *hosts: str, start: dt.timedelta = -HOUR, end: dt.timedelta = HOUR
    ) -> ssl.SSLContext:
        """Make a server's TLS context with a certificate from `leaf`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.leaf(*hosts, start=start, end=end).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Make a client's TLS context that trusts this CA alone."""
        return ssl.create_default_context(cadata=self.pem)


def write_signer(certificate: Path, key: Path) -> None:
    """Write a self-signed certificate and key that sign bundles for RAUC; the certificate is also the keyring.

    RSA, as the key of `make test-cuts` is.
    """
    signer = trustme.CA(key_type=trustme.KeyType.RSA)
    signer.cert_pem.write_to_path(certificate)
    signer.private_key_pem.write_to_path(key)


def _reissue(
    own: trustme.CA, named: trustme.CA, dates: tuple[dt.datetime, dt.datetime] | None
) -> trustme.CA:
    """Return a CA with the key of ``own``, and the subject and extensions of ``named``."""
    key = load_pem_private_key(own.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    model = x509.load_pem_x509_certificate(named.cert_pem.bytes())
    start, end = dates or (model.not_valid_before_utc, model.not_valid_after_utc)
    builder = x509.CertificateBuilder(
        model.subject, model.subject, key.public_key(), x509.random_serial_number(), start, end
    )
    for extension in model.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    root = builder.sign(key, hashes.SHA256())
    return trustme.CA.from_pem(root.public_bytes(Encoding.PEM), own.private_key_pem.bytes())
