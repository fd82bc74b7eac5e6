"""The cloud's own certificate authority and the server certificate of its device gateway.

The CA is created once and kept, because it is flashed onto devices (profile, ``rsaCaCrt``). The
server certificate is replaced before it expires and when its names change; an operator's own is
kept. All keys are RSA:
2017 firmware supports nothing else.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from base.files import make_folder, write_atomically
from staging.data_dir import PUBLIC_MODE, SECRET_MODE, locked
from staging.errors import StagingError

CA_KEY_BITS, SERVER_KEY_BITS = 3072, 2048
# The CA must still be valid for a device that was stored for years.
CA_LIFETIME = timedelta(days=365 * 20)
# The longest lifetime that current TLS stacks accept from a public CA.
SERVER_LIFETIME = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
# A device's clock may be behind when it starts, and so may this machine's.
CLOCK_SLACK = timedelta(days=1)
# By this our own server certificates are known; every other is the operator's.
SERVER_NAME = "story-cloud device gateway"
ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Certificates:
    """The paths of the PEM files."""

    ca: Path
    server: Path
    server_key: Path


def locate(folder: Path) -> Certificates:
    """Return where the files are, also before they are made."""
    return Certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key")


def ensure(folder: Path, hosts: tuple[str, ...], now: datetime | None = None) -> Certificates:
    """Return certificates valid for ``hosts`` (names or addresses); creates them if needed.

    A server certificate that is not ours is the operator's, and is kept whatever it says.

    Raises:
        StagingError: the folder cannot be written, or its files are not usable certificates.
    """
    moment = now or datetime.now(UTC)
    names = tuple(dict.fromkeys((*ALWAYS_NAMED, *hosts)))
    paths = locate(folder)
    try:
        make_folder(folder, mode=0o700)
        with locked(folder / ".lock", "another process is making certificates"):
            if _is_operators(paths):
                _check_operators(paths, names, moment)
                return paths
            ca, ca_key = _ensure_ca(paths.ca, folder / "ca.key", moment)
            if not _is_good(paths, ca, names, moment):
                _make_server(paths, ca, ca_key, names, moment)
    except (OSError, ValueError, TypeError) as error:
        raise StagingError(f"{folder}: certificates cannot be used: {error}") from error
    return paths


def ensure_authority(folder: Path) -> str:
    """Return the CA certificate in PEM; creates it if needed. Raises StagingError."""
    path = folder / "ca.crt"
    if not path.exists():
        ensure(folder, ())
    return path.read_text("ascii")


def _is_operators(paths: Certificates) -> bool:
    """Return whether somebody has put a server certificate of their own in ours' place."""
    if not paths.server.exists():
        return False
    certificate = x509.load_pem_x509_certificate(paths.server.read_bytes())
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [name.value for name in names] != [SERVER_NAME]


def _check_operators(paths: Certificates, names: tuple[str, ...], now: datetime) -> None:
    """Say what devices will not accept; raises ValueError, OSError if the files cannot be used together."""
    chain = x509.load_pem_x509_certificates(paths.server.read_bytes())
    key = serialization.load_pem_private_key(paths.server_key.read_bytes(), password=None)
    if key.public_key() != chain[0].public_key():
        raise ValueError(f"{paths.server_key}: not the key of {paths.server}")
    if not paths.ca.exists():
        raise ValueError(f"{paths.ca}: missing: put the CA there that has signed {paths.server}")
    authority = x509.load_pem_x509_certificate(paths.ca.read_bytes())
    try:
        chain[-1].verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        if chain[-1] != authority:
            _log.warning("%s: not signed by %s, which profiles name", paths.server, paths.ca)
    for fault in _faults(chain[0], names, now):
        _log.warning("%s is kept, and %s", paths.server, fault)


def _faults(certificate: x509.Certificate, names: tuple[str, ...], now: datetime) -> list[str]:
    """Return why devices may refuse a certificate."""
    found = []
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        named = set(san)
    except x509.ExtensionNotFound:
        named = set()
    wanted = [name for name in names if name not in ALWAYS_NAMED]
    missing = [name for name in wanted if not _covers(named, name)]
    if missing:
        found.append(f"does not name {', '.join(missing)}")
    if certificate.not_valid_before_utc > now:
        found.append(f"is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC only")
    left = certificate.not_valid_after_utc - now
    if left < RENEW_BEFORE:
        found.append(f"is valid until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    return found


def _covers(named: set[x509.GeneralName], host: str) -> bool:
    """Return whether a certificate's names have ``host``; a wildcard stands for one label."""
    wanted = _general_name(host)
    wildcard = x509.DNSName(f"*.{host.partition('.')[2]}") if "." in host else wanted
    return wanted in named or (isinstance(wanted, x509.DNSName) and wildcard in named)


def _ensure_ca(
    path: Path, key_path: Path, now: datetime
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    found = None
    if path.exists():
        found, found_key = x509.load_pem_x509_certificate(path.read_bytes()), _load_key(key_path)
        if found.not_valid_before_utc <= now:
            return found, found_key
        # Made while this machine's clock was ahead. The same key, so that what it signed stays signed.
        _log.error(
            "%s: is valid from %s only, which has not come; it is made again with the same key. Profiles that "
            "were made meanwhile have it: make them again", path, f"{found.not_valid_before_utc:%Y-%m-%d}",
        )  # fmt: skip
        key = found_key
    else:
        key = rsa.generate_private_key(65537, CA_KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "story-cloud staging CA")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key, _span(found, now, CA_LIFETIME))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    # The key is written first: a certificate without its key would block every later start.
    write_atomically(key_path, _key_pem(key), mode=SECRET_MODE)
    _write_certificate(path, certificate)
    return certificate, key


def _make_server(
    paths: Certificates,
    ca: x509.Certificate,
    ca_key: rsa.RSAPrivateKey,
    names: tuple[str, ...],
    now: datetime,
) -> None:
    key = rsa.generate_private_key(65537, SERVER_KEY_BITS)
    before = None
    if paths.server.exists():
        before = x509.load_pem_x509_certificate(paths.server.read_bytes())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVER_NAME)])
    certificate = (
        _builder(subject, ca.subject, key, _span(before, now, SERVER_LIFETIME))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    write_atomically(paths.server_key, _key_pem(key), mode=SECRET_MODE)
    _write_certificate(paths.server, certificate)


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    content = certificate.public_bytes(serialization.Encoding.PEM)
    write_atomically(path, content, mode=PUBLIC_MODE)


def _span(
    before: x509.Certificate | None, now: datetime, lifetime: timedelta
) -> tuple[datetime, datetime]:
    """Return from when to when a certificate in the place of ``before`` is valid.

    Where that is not valid now, this machine's clock may be what is wrong: then its time is within too, and devices that
    know the time stay connected.
    """
    begin, end = now - CLOCK_SLACK, now + lifetime
    if before is not None and not before.not_valid_before_utc <= now <= before.not_valid_after_utc:
        begin = min(begin, before.not_valid_before_utc)
        end = max(end, before.not_valid_after_utc)
    return begin, end


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    span: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _is_good(
    paths: Certificates, ca: x509.Certificate, names: tuple[str, ...], now: datetime
) -> bool:
    """Return whether the server certificate is from our CA, lasts, and names exactly ``names``."""
    if not (paths.server.exists() and paths.server_key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(paths.server.read_bytes())
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    # Made while this machine's clock was ahead, which it is no more: see `_span`. One that is behind has just made it.
    too_long = end - now > SERVER_LIFETIME + CLOCK_SLACK and now - begin > RENEW_BEFORE
    # A crash between the two writes leaves a mismatched pair, which is then replaced.
    pair = _load_key(paths.server_key).public_key() == certificate.public_key()
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        pair
        and certificate.issuer == ca.subject
        and begin <= now
        and end - now > RENEW_BEFORE
        and not too_long
        and set(san) == {_general_name(name) for name in names}
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _load_key(path: Path) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{os.fspath(path)}: not an RSA key")
    return key


def _key_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
