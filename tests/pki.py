"""Certificates of every make for the tests of chains: renewed with their key, cross-signed, expired."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
OVER = (NOW - 700 * DAY, NOW - DAY)
VALID = (NOW - 2 * DAY, NOW + 300 * DAY)
COMING = (NOW + 100 * DAY, NOW + 300 * DAY)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def make_key(kind: str = "ecdsa") -> Key:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "p384":
        return ec.generate_private_key(ec.SECP384R1())
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Made:
    """A certificate and the key that it certifies."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


def authority(
    name: str,
    key: Key,
    dates: tuple[dt.datetime, dt.datetime] = VALID,
    by: tuple[str, Key] | None = None,
    *,
    path_length: int | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ca: bool = True,
) -> Made:
    """Make a CA's certificate; ``by``: the name and key of another one that signs it."""
    issuer, signer = by or (name, key)
    builder = _builder(name, issuer, key, dates)
    builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical)
    return Made(_signed(builder, signer), key)


def server(
    by: tuple[str, Key],
    dates: tuple[dt.datetime, dt.datetime] = VALID,
    *hosts: str,
    kind: str = "ecdsa",
    common: str = "server",
) -> Made:
    """Make the certificate of a server at 127.0.0.1, and of ``hosts``; ``common``: its common name."""
    key = make_key(kind)
    names = x509.SubjectAlternativeName([
        x509.IPAddress(ipaddress.ip_address(LOOPBACK)), *map(x509.DNSName, hosts)
    ])  # fmt: skip
    builder = _builder(common, by[0], key, dates).add_extension(names, critical=False)
    return Made(_signed(builder, by[1]), key)


def _signed(builder: x509.CertificateBuilder, signer: Key) -> x509.Certificate:
    is_edwards = isinstance(signer, ed25519.Ed25519PrivateKey)
    return builder.sign(signer, None if is_edwards else hashes.SHA256())


def _builder(
    name: str, issuer: str, key: Key, dates: tuple[dt.datetime, dt.datetime]
) -> x509.CertificateBuilder:
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in (name, issuer))
    return x509.CertificateBuilder(
        by, subject, key.public_key(), x509.random_serial_number(), *dates
    )


def server_context(peer: Made, *others: Made) -> ssl.SSLContext:
    """Make a server's context that sends ``others`` after its own certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key = peer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "server.pem")
        file.write_text(key + "".join(made.pem for made in (peer, *others)))
        context.load_cert_chain(file)
    return context


def pem_of(*trusted: Made) -> str:
    """Return the PEM of several certificates, in this order."""
    return "".join(made.pem for made in trusted)
