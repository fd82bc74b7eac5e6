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
    from cryptography.x509 import (
        Certificate,
        Extension,
        ExtensionType,
        GeneralName,
        NameConstraints,
    )

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
            if issuer not in chain and self._issued(issuer, chain):
                found = self.extend([*chain, issuer])
                if found is not None:
                    return found
        return None

    def _issued(self, issuer: Certificate, chain: list[Certificate]) -> bool:
        certificate = chain[-1]
        if issuer.subject != certificate.issuer or not _is_authority(issuer, chain):
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


def _is_authority(certificate: Certificate, chain: list[Certificate]) -> bool:
    """Return whether it may have issued the last one of ``chain``, whose others are below that."""
    from cryptography import x509  # noqa: PLC0415  # see above

    try:
        extensions = list(certificate.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
    constraints = [each.value for each in extensions if each.oid == x509.BasicConstraints.oid]
    if not constraints or any(_forbids(each, chain) for each in extensions):
        return False
    return _has_strong_key(certificate)


def _forbids(extension: Extension[ExtensionType], chain: list[Certificate]) -> bool:
    """Return whether an extension forbids to issue, or may and is not known here."""
    from cryptography import x509  # noqa: PLC0415  # see above
    from cryptography.x509.oid import ExtendedKeyUsageOID as Oid  # noqa: PLC0415  # see above

    match extension.value:
        case x509.BasicConstraints(ca=ca, path_length=length):
            return not ca or (length is not None and length < len(chain) - 1)
        case x509.KeyUsage(key_cert_sign=may_sign):
            return not may_sign
        case x509.ExtendedKeyUsage() as uses:
            return not {Oid.SERVER_AUTH, Oid.ANY_EXTENDED_KEY_USAGE} & set(uses)
        case x509.NameConstraints() as names:
            # The server's own certificate may be taken by its common name.
            named = [_names(each, by_common_name=each is chain[0]) for each in chain]
            return not all(_may_have(each, names) for each in named)
        case x509.PolicyConstraints() | x509.InhibitAnyPolicy():
            return True
    return extension.critical and not isinstance(extension.value, x509.SubjectAlternativeName)


def _may_have(names: list[GeneralName] | None, constraints: NameConstraints) -> bool:
    """Return whether an authority with these constraints may have issued a certificate of ``names`` below it.

    Names of hosts and addresses are compared (RFC 5280 section 4.2.1.10); one of another kind that is constrained is refused.
    """
    permitted = list(constraints.permitted_subtrees or ())
    excluded = list(constraints.excluded_subtrees or ())
    kinds = {type(each) for each in (*permitted, *excluded)}
    return names is not None and all(
        type(name) not in kinds
        or (_fits(name, permitted, default=True) and not _fits(name, excluded, default=False))
        for name in names
    )


def _names(certificate: Certificate, *, by_common_name: bool) -> list[GeneralName] | None:
    """Return the names that constraints are about, the subject's too; None: they cannot be read.

    ``by_common_name``: also that, where no host is named otherwise: OpenSSL compares a server's name with it then.
    """
    from cryptography import x509  # noqa: PLC0415  # see above

    subject = certificate.subject
    mails = subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS)
    try:
        own = [x509.DirectoryName(subject), *(x509.RFC822Name(str(each.value)) for each in mails)]
        own += _alternatives(certificate)
        if by_common_name and not any(isinstance(each, x509.DNSName) for each in own):
            common = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
            hosts = (
                text for each in common if "." in (text := str(each.value)) and " " not in text
            )
            own += map(x509.DNSName, hosts)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None
    return own


def _alternatives(certificate: Certificate) -> list[GeneralName]:
    from cryptography import x509  # noqa: PLC0415  # see above

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)


def _fits(name: GeneralName, constraints: list[GeneralName], *, default: bool) -> bool:
    """Return whether a name is within one of the constraints of its kind; ``default``: if there are none."""
    same = [each for each in constraints if type(each) is type(name)]
    return any(_is_within(name, each, default=not default) for each in same) if same else default


def _is_within(name: GeneralName, constraint: GeneralName, *, default: bool) -> bool:
    """Return whether a name is within a constraint; ``default`` for a kind that is not compared here."""
    from ipaddress import IPv4Network, IPv6Network  # noqa: PLC0415  # see above

    from cryptography import x509  # noqa: PLC0415  # see above

    match name, constraint:
        case x509.DNSName(value=host), x509.DNSName(value=domain):
            host, domain = host.lower(), domain.lower()
            return not domain or host == domain or host.endswith(f".{domain.removeprefix('.')}")
        case x509.IPAddress(value=address), x509.IPAddress(value=network):
            return isinstance(network, IPv4Network | IPv6Network) and address in network
    return default


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
