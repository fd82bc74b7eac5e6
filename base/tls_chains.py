"""Another chain for a TLS server whose first one is out of date.

OpenSSL verifies one chain without its dates (`base.tls_dates`) and takes the first that fits: of a CA that was
renewed with its key, or signed by two roots, that may be the certificate that has expired. Here the other
chains are tried, from the server's certificate over what it sent and what is trusted to any trusted
certificate, each of them in date. What OpenSSL has verified, the server's name and the use of its
certificate, holds for every chain; of each issuer this module checks what OpenSSL checks: that it signed,
that it is a CA for this depth, that its key and digest are not weak. A constraint that it does not
know refuses an issuer.

cryptography is imported here alone, and only when the first chain is out of date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from wire.records import dataclass

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Extension, ExtensionType

# Certificates of one chain, and of those that a server sent; real chains have two to five.
DEPTH_MAX, SENT_MAX = 8, 16
# Signatures that are checked for one server: a malicious one must not keep the agent busy.
CHECKS_MAX = 64
# Bits of an RSA key, as OpenSSL's security level 2 asks for.
RSA_MIN = 2048
_DIGESTS = frozenset({"sha256", "sha384", "sha512"})

InDate = Callable[[float, float], bool]


def find_chain_end(
    sent: Sequence[bytes], trusted: Sequence[bytes], in_date: InDate
) -> float | None:
    """Return when the first certificate of a chain that is in date ends; None: there is no such chain.

    Args:
        sent: what the server sent (DER), its own certificate first, whose chain OpenSSL has verified.
        trusted: the trusted certificates (DER).
        in_date: whether a certificate with this notBefore and notAfter (Unix time, seconds) is valid now.
    """
    try:
        from cryptography import x509  # noqa: PLC0415  # see the module's head
    except ImportError:  # of a damaged installation; the first chain's fault stands
        return None

    def load(encoded: Sequence[bytes]) -> Iterator[Certificate]:
        for der in encoded:
            try:
                certificate = x509.load_der_x509_certificate(der)
                begin, end = _dates(certificate)
            except ValueError:  # one that OpenSSL reads and this library does not
                continue
            if in_date(begin, end):
                yield certificate

    peer = next(load(sent[:1]), None)
    if peer is None:
        return None
    chain = _Search(list(load(trusted)), list(load(sent[1:SENT_MAX]))).extend([peer])
    return None if chain is None else min(_dates(each)[1] for each in chain)


def _dates(certificate: Certificate) -> tuple[float, float]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin.timestamp(), end.timestamp()


@dataclass(slots=True)
class _Search:
    """Tries issuers depth first, the trusted ones first."""

    trusted: list[Certificate]
    others: list[Certificate]
    checks: int = field(default=0)

    def extend(self, chain: list[Certificate]) -> list[Certificate] | None:
        """Return ``chain``, led on to a trusted certificate; None if there is no way."""
        last = chain[-1]
        if last in self.trusted:
            return chain
        if len(chain) == DEPTH_MAX:
            return None
        for issuer in (*self.trusted, *self.others):
            if issuer not in chain and self._issued(issuer, last, below=len(chain) - 1):
                found = self.extend([*chain, issuer])
                if found is not None:
                    return found
        return None

    def _issued(self, issuer: Certificate, certificate: Certificate, below: int) -> bool:
        if issuer.subject != certificate.issuer or not _is_authority(issuer, below):
            return False
        if self.checks == CHECKS_MAX or not _is_strong(certificate):
            return False
        self.checks += 1
        return _is_signed(certificate, issuer)


def _is_signed(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415  # see above

    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _is_authority(certificate: Certificate, below: int) -> bool:
    """Return whether it may have issued one above ``below`` further authorities."""
    from cryptography import x509  # noqa: PLC0415  # see above

    try:
        extensions = list(certificate.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
    constraints = [each.value for each in extensions if each.oid == x509.BasicConstraints.oid]
    if not constraints or any(_forbids(each, below) for each in extensions):
        return False
    return _has_strong_key(certificate)


def _forbids(extension: Extension[ExtensionType], below: int) -> bool:
    """Return whether an extension forbids to issue, or may and is not known here."""
    from cryptography import x509  # noqa: PLC0415  # see above
    from cryptography.x509.oid import ExtendedKeyUsageOID as Oid  # noqa: PLC0415  # see above

    match extension.value:
        case x509.BasicConstraints(ca=ca, path_length=length):
            return not ca or (length is not None and length < below)
        case x509.KeyUsage(key_cert_sign=may_sign):
            return not may_sign
        case x509.ExtendedKeyUsage() as uses:
            return not {Oid.SERVER_AUTH, Oid.ANY_EXTENDED_KEY_USAGE} & set(uses)
        case x509.NameConstraints() | x509.PolicyConstraints() | x509.InhibitAnyPolicy():
            return True
        case x509.SubjectAlternativeName():
            return False
    return extension.critical


def _is_strong(certificate: Certificate) -> bool:
    """Return whether its signature is by a digest that may be trusted; Ed25519 has its own."""
    digest = certificate.signature_hash_algorithm
    return digest is None or digest.name in _DIGESTS


def _has_strong_key(certificate: Certificate) -> bool:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415  # see above

    try:
        key = certificate.public_key()
    except (ValueError, TypeError):
        return False
    return not isinstance(key, RSAPublicKey) or key.key_size >= RSA_MIN
