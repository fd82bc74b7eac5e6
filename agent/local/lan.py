"""What the local API needs on a network: a token, and a certificate that the machine signs itself.

Both are made once and stay in the state folder, readable by the agent's user alone. Nobody certifies a
machine in a home; a program pins the certificate's fingerprint, which the log shows.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import logging
import secrets
import socket
from pathlib import Path
from typing import Any

from agent.local.sockets import LocalAccessError
from base.files import write_atomically
from transport.dial import local_address
from wire.records import dataclass

TOKEN_NAME, CERTIFICATE_NAME, KEY_NAME = "local-token", "local-cert.pem", "local-key.pem"
TOKEN_BYTES = 24
# Nobody renews it: as long as a machine may last.
VALID_DAYS = 20 * 365
# A machine whose clock is at 1970 makes one that is valid later too.
VALID_FROM = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

# Connections to HTTPS, with those whose TLS is not done.
CROWD_LIMIT = 48
# Connections after which garbage is collected: each that ends before its TLS is done leaves 46 KiB in a circle, which the
# interpreter looks for when a quarter of its objects is new.
COLLECT_AFTER = 256
# ip(7), and in6.h of Linux; Python has no names for them.
FREEBIND, V6_FREEBIND = 15, 78

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """The files of the certificate and its key, and the certificate's SHA-256 fingerprint."""

    certificate: Path
    key: Path
    fingerprint: str


def load_token(state: Path) -> str:
    """Return the token in the state folder; it is made if there is none. Raises LocalAccessError."""
    path = state / TOKEN_NAME
    try:
        if path.exists() and (token := path.read_text("ascii").strip()):
            return token
        token = secrets.token_urlsafe(TOKEN_BYTES)
        write_atomically(path, f"{token}\n".encode(), mode=0o600)
    except (OSError, UnicodeDecodeError) as error:
        raise LocalAccessError(f"{path}: {_words(error)}") from error
    return token


def load_identity(state: Path) -> Identity:
    """Return the certificate in the state folder; it is made if there is none that can be used.

    Raises:
        LocalAccessError: the files cannot be read or written.
    """
    certificate, key = state / CERTIFICATE_NAME, state / KEY_NAME
    try:
        if (fault := _find_fault(certificate, key)) is not None:
            if fault:
                _log.error("%s: %s: it is made anew, with another fingerprint", certificate, fault)
            made, secret = _make(socket.gethostname() or "story-machine")
            write_atomically(key, secret, mode=0o600)
            write_atomically(certificate, made)
        fingerprint = _fingerprint(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise LocalAccessError(f"{certificate}: {_words(error)}") from error
    return Identity(certificate, key, fingerprint)


class CrowdSocket(socket.socket):
    """A listening socket of which few connections are open at once: beyond that the oldest ends.

    Strangers who only connect are no connections to the server before their TLS is done, and would
    take every file descriptor that the agent may have.
    """

    def __init__(self, family: socket.AddressFamily) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._open: list[socket.socket] = []
        self._accepted = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection, as any socket."""
        accepted, address = super().accept()
        self._accepted += 1
        if self._accepted % COLLECT_AFTER == 0:
            gc.collect()
        self._open = [each for each in self._open if each.fileno() >= 0]
        if len(self._open) >= CROWD_LIMIT:
            with contextlib.suppress(OSError):
                self._open.pop(0).shutdown(socket.SHUT_RDWR)  # whoever has it reads its end
        self._open.append(accepted)
        return accepted, address


def lan_socket(address: str, port: int) -> socket.socket:
    """Bind an address of this machine, also one that it has not got yet; raises LocalAccessError."""
    v6 = ":" in address
    bound = CrowdSocket(socket.AF_INET6 if v6 else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The agent may start before the Wi-Fi does.
        bound.setsockopt(
            socket.IPPROTO_IPV6 if v6 else socket.SOL_IP, V6_FREEBIND if v6 else FREEBIND, 1
        )
        bound.bind(local_address(address, port))
    except OSError as error:
        bound.close()
        raise LocalAccessError(
            f"local.https_port {port} on {address}: {error.strerror or error}"
        ) from error
    return bound


def _find_fault(certificate: Path, key: Path) -> str | None:
    """Return why the two cannot be served, "" if there are none, None if they can.

    A power cut between the two writes leaves a pair that does not belong together.
    """
    import ssl  # noqa: PLC0415  # only a machine with HTTPS needs it

    if not certificate.exists() and not key.exists():
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except PermissionError:
        raise
    except OSError as error:  # also ssl.SSLError
        return _words(error)
    return None


def _make(name: str) -> tuple[bytes, bytes]:
    """Return a certificate that signs itself, and its key, both in PEM."""
    # Only a machine with HTTPS needs it, once in its life.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    names = [x509.DNSName(each) for each in dict.fromkeys((name, f"{name}.local", "localhost"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_FROM + dt.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return made.public_bytes(pem), key.private_bytes(pem, pkcs8, serialization.NoEncryption())


def _fingerprint(pem: bytes) -> str:
    import hashlib  # noqa: PLC0415  # only a machine with HTTPS needs it
    import ssl  # noqa: PLC0415

    der = ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))
    return hashlib.sha256(der).hexdigest()


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
