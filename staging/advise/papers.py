"""The certificates that a device is shown: the cloud's own, and such as nobody should believe.

They are signed by the cloud's own CA where they must be wrong in one thing only, so its key is needed; with certificates of an
operator's own, those cases are left out.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from staging.advise.bench import Manner, Paper
from staging.errors import StagingError
from staging.gateway.tls import LEGACY_CIPHERS
from staging.identity.ca import Certificates

KEY_BITS = 2048
DAY = timedelta(days=1)
# How many certificates the long chain has beside the server's own: its handshake has then over 10 kB.
CROWD = 12
OTHER_HOST = "another.invalid"
_VERSIONS = {
    "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3,
}  # fmt: skip


class Papers:
    """Makes TLS contexts, each once."""

    def __init__(self, certificates: Certificates) -> None:
        """Read the cloud's certificate; raises StagingError if it cannot be used."""
        self._files = certificates
        try:
            self._server = x509.load_pem_x509_certificate(certificates.server.read_bytes())
            self._authority = x509.load_pem_x509_certificate(certificates.ca.read_bytes())
        except (OSError, ValueError) as error:
            raise StagingError(f"{certificates.server}: {error}") from error
        self._key = rsa.generate_private_key(65537, KEY_BITS)
        self._contexts: dict[tuple[Paper, str], ssl.SSLContext] = {}

    def context(self, manner: Manner) -> ssl.SSLContext:
        """Return the context for a manner; raises StagingError where its certificate cannot be made."""
        key = (manner.paper, manner.tls)
        if key not in self._contexts:
            self._contexts[key] = self._make(manner)
        return self._contexts[key]

    def _make(self, manner: Manner) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A device of 2017 must be able to show what it does; what it agrees on is told.
        context.set_ciphers(LEGACY_CIPHERS)
        context.minimum_version = _VERSIONS[manner.tls or "1.2"]
        context.maximum_version = _VERSIONS[manner.tls or "1.3"]
        if manner.paper is Paper.GOOD:
            context.load_cert_chain(self._files.server, self._files.server_key)
            return context
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "shown.pem")
            file.touch(mode=0o600)
            file.write_bytes(self._chain(manner.paper))
            context.load_cert_chain(file)
        return context

    def _chain(self, paper: Paper) -> bytes:
        """Return the key and the certificates that are sent, PEM."""
        if paper is Paper.LONG:
            key = self._files.server_key.read_bytes()
            crowd = [self._stranger(f"beside {number}") for number in range(CROWD)]
            shown = [self._server, self._authority, *crowd]
        else:
            key = _pem(self._key)
            shown = self._shown(paper)
        return key + b"".join(each.public_bytes(Encoding.PEM) for each in shown)

    def _shown(self, paper: Paper) -> list[x509.Certificate]:
        now = datetime.now(UTC)
        wrong: dict[Paper, Callable[[], list[x509.Certificate]]] = {
            Paper.EXPIRED: lambda: [self._by_ours((now - 60 * DAY, now - DAY))],
            Paper.FUTURE: lambda: [self._by_ours((now + 30 * DAY, now + 60 * DAY))],
            Paper.HOST: lambda: [self._by_ours(host=OTHER_HOST)],
            Paper.CLIENT: lambda: [self._by_ours(usage=ExtendedKeyUsageOID.CLIENT_AUTH)],
            Paper.SELF_SIGNED: lambda: [self._leaf(self._server.subject, self._key)],
            # By its name it is the right CA's, whose certificate lies beside it; by its signature it is not.
            Paper.BESIDE: lambda: [self._leaf(self._authority.subject, rsa_key()), self._authority],
            Paper.AUTHORITY: lambda: [self._stranger()],
        }
        return wrong[paper]()

    def _by_ours(
        self,
        dates: tuple[datetime, datetime] | None = None,
        host: str = "",
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> x509.Certificate:
        """Return a certificate of the cloud's own CA."""
        path = self._files.ca.with_name("ca.key")
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise StagingError(f"{path}: {error}") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise StagingError(f"{path}: no RSA key")
        return self._leaf(self._authority.subject, key, dates, host, usage)

    def _stranger(self, name: str = "another CA") -> x509.Certificate:
        """Return a certificate that a CA has signed which nobody knows."""
        return self._leaf(_name(name), rsa_key())

    def _leaf(
        self,
        issuer: x509.Name,
        signer: rsa.RSAPrivateKey,
        dates: tuple[datetime, datetime] | None = None,
        host: str = "",
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        start, end = dates or (now - DAY, now + 300 * DAY)
        names = self._server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if host:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
        return (
            x509.CertificateBuilder(
                issuer,
                self._server.subject,
                self._key.public_key(),
                x509.random_serial_number(),
                start,
                end,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(signer, hashes.SHA256())
        )


_keys: list[rsa.RSAPrivateKey] = []


def rsa_key() -> rsa.RSAPrivateKey:
    """Return the key of the CA that nobody knows, made once."""
    if not _keys:
        _keys.append(rsa.generate_private_key(65537, KEY_BITS))
    return _keys[0]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
