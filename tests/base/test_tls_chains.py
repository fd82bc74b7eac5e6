"""Servers of which one chain is out of date and another is not: real handshakes, every order of the certificates."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Sequence
from ipaddress import ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from base.clock import TrustedTime
from base.tls_chains import find_chain_end
from base.tls_dates import CertificateDateError, check_dates, leave_dates
from tests.base.test_tls_dates import handshake
from tests.pki import (
    COMING,
    NOW,
    OVER,
    VALID,
    Made,
    authority,
    make_key,
    pem_of,
    server,
    server_context,
)

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
DEPTH_MAX = 8

KEYS = {name: make_key() for name in ("root", "middle", "other", "thief")}
RSA = make_key("rsa")
ROOT, MIDDLE, OTHER = (("root", KEYS["root"]), ("middle", KEYS["middle"]), ("other", KEYS["other"]))
OLD, NEW = authority(*ROOT, OVER), authority(*ROOT, VALID)
MIDDLE_OLD, MIDDLE_NEW = authority(*MIDDLE, OVER, ROOT), authority(*MIDDLE, VALID, ROOT)
CROSS_OLD, CROSS_NEW = authority(*ROOT, OVER, OTHER), authority(*ROOT, VALID, OTHER)
OTHER_OLD, OTHER_NEW = authority(*OTHER, OVER), authority(*OTHER, VALID)
RSA_OLD, RSA_NEW = authority("rsa", RSA, OVER), authority("rsa", RSA, VALID)
BY_ROOT, BY_MIDDLE, BY_RSA = server(ROOT), server(MIDDLE), server(("rsa", RSA))
Certificates = Sequence[Made]


def shake(peer: Made, sent: Certificates, trusted: Certificates) -> ssl.SSLObject:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem_of(*trusted))
    return handshake(server_context(peer, *sent), leave_dates(context))


# The server's certificate, what it sends after it, what is trusted; each in every order.
TAKEN: dict[str, tuple[Made, Certificates, Certificates]] = {
    "a root renewed with its key, both trusted": (BY_ROOT, [], [OLD, NEW]),
    "the same, by RSA": (BY_RSA, [], [RSA_OLD, RSA_NEW]),
    "the old root is sent": (BY_ROOT, [OLD], [NEW]),
    "both roots are sent": (BY_ROOT, [OLD, NEW], [NEW]),
    "both are sent and trusted": (BY_ROOT, [OLD, NEW], [OLD, NEW]),
    "a renewed intermediate beside the old one": (BY_MIDDLE, [MIDDLE_OLD, MIDDLE_NEW], [NEW]),
    "below both roots": (BY_MIDDLE, [MIDDLE_OLD, MIDDLE_NEW], [OLD, NEW]),
    "an intermediate as the only trust": (BY_MIDDLE, [], [MIDDLE_NEW]),
    "it is sent as well": (BY_MIDDLE, [MIDDLE_NEW], [MIDDLE_NEW]),
    "its old form is sent": (BY_MIDDLE, [MIDDLE_OLD], [MIDDLE_NEW]),
    "both of its forms are trusted": (BY_MIDDLE, [], [MIDDLE_OLD, MIDDLE_NEW]),
    "its root is sent and has expired": (BY_MIDDLE, [MIDDLE_NEW, OLD], [MIDDLE_NEW]),
    "an expired root above a trusted intermediate": (BY_MIDDLE, [MIDDLE_NEW], [MIDDLE_NEW, OLD]),
    "a root, cross-signed by one that has expired": (BY_ROOT, [CROSS_NEW, OTHER_OLD], [NEW]),
    "that one is trusted too": (BY_ROOT, [CROSS_NEW], [NEW, OTHER_OLD]),
    "an expired cross-signature": (BY_ROOT, [CROSS_OLD], [NEW, OTHER_NEW]),
    "the root has expired, its cross-signature has not": (BY_ROOT, [CROSS_NEW], [OLD, OTHER_NEW]),
    "a renewed cross-signature": (BY_ROOT, [CROSS_OLD, CROSS_NEW], [OTHER_NEW]),
    "all there is": (
        BY_MIDDLE, [MIDDLE_OLD, CROSS_OLD, MIDDLE_NEW], [OLD, OTHER_OLD, NEW],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_a_chain_in_date_is_found_in_every_order(case: str) -> None:
    peer, sent, trusted = TAKEN[case]
    for left, right in itertools.product(
        itertools.permutations(sent), itertools.permutations(trusted)
    ):
        end = check_dates(shake(peer, left, right), TrustedTime())
        assert end == peer.certificate.not_valid_after_utc.timestamp()


FORGED = authority("root", KEYS["thief"], VALID)
CONSTRAINT = x509.NameConstraints([x509.IPAddress(ip_network("10.0.0.0/8"))], None)
NO_SIGNING = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, key_cert_sign=False, crl_sign=False,
    encipher_only=False, decipher_only=False,
)  # fmt: skip
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x")
USES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
REFUSED: dict[str, tuple[Made, Certificates, Certificates]] = {
    "all roots have expired": (BY_ROOT, [], [OLD]),
    "a valid one is sent, and not trusted": (BY_ROOT, [NEW], [OLD]),
    "another key under its name": (BY_ROOT, [FORGED], [OLD]),
    "another key under its name, trusted": (BY_ROOT, [], [OLD, FORGED]),
    "the intermediate has expired": (BY_MIDDLE, [MIDDLE_OLD], [OLD, NEW]),
    "the server's own certificate has expired": (server(ROOT, OVER), [], [OLD, NEW]),
    "the renewed one is not valid yet": (BY_ROOT, [], [OLD, authority(*ROOT, COMING)]),
    "it is no CA": (BY_MIDDLE, [MIDDLE_OLD, authority(*MIDDLE, VALID, ROOT, ca=False)], [NEW]),
    "it may sign no certificates": (
        BY_MIDDLE, [MIDDLE_OLD, authority(*MIDDLE, VALID, ROOT, more=[(NO_SIGNING, True)])], [NEW],
    ),
    "it is for other names": (
        BY_MIDDLE, [MIDDLE_OLD, authority(*MIDDLE, VALID, ROOT, more=[(CONSTRAINT, True)])], [NEW],
    ),
    "it is for clients": (
        BY_MIDDLE, [MIDDLE_OLD, authority(*MIDDLE, VALID, ROOT, more=[(USES, False)])], [NEW],
    ),
    "it says what nobody knows": (
        BY_MIDDLE, [MIDDLE_OLD, authority(*MIDDLE, VALID, ROOT, more=[(UNKNOWN, True)])], [NEW],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_without_one_the_server_is_refused(case: str) -> None:
    peer, sent, trusted = REFUSED[case]
    reasons = set()
    for left, right in itertools.product(
        itertools.permutations(sent), itertools.permutations(trusted)
    ):
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            check_dates(shake(peer, left, right), TrustedTime())
        reasons.add(type(caught.value))
    # In some orders OpenSSL itself refuses what is wrong; in the others the dates do.
    assert CertificateDateError in reasons


@pytest.mark.parametrize("kind", ["ecdsa", "p384", "ed25519", "rsa"])
def test_keys_of_every_kind(kind: str) -> None:
    root, middle = (("root", make_key(kind)), ("middle", make_key(kind)))
    old, new = (authority(*middle, dates, root) for dates in (OVER, VALID))
    roots = authority(*root, OVER), authority(*root, VALID)
    peer = server(middle, kind=kind)
    for sent in itertools.permutations([old, new]):
        for trusted in itertools.permutations(roots):
            assert check_dates(shake(peer, sent, trusted), TrustedTime())


def named(*allowed: str, but: Sequence[str] = ()) -> x509.NameConstraints:
    def one(text: str) -> x509.GeneralName:
        return x509.IPAddress(ip_network(text)) if "/" in text else x509.DNSName(text)

    return x509.NameConstraints(
        [one(each) for each in allowed] or None, [one(each) for each in but] or None
    )


CONSTRAINTS: list[tuple[x509.NameConstraints, bool]] = [
    (named("127.0.0.0/8"), True),
    (named("127.0.0.0/8", "10.0.0.0/8", "example.com"), True),
    (named("example.com"), True),
    (named(".example.com"), True),
    (named("story.EXAMPLE.com"), True),
    (named(but=["10.0.0.0/8", "evil.example"]), True),
    (named("10.0.0.0/8"), False),
    (named("::/0"), False),
    (named("ample.com"), False),
    (named("example.org"), False),
    (named("a.story.example.com"), False),
    (named("127.0.0.0/8", but=["127.0.0.1/32"]), False),
    (named(but=["example.com"]), False),
    (x509.NameConstraints([x509.RFC822Name("example.com")], None), True),
    (x509.NameConstraints([x509.DirectoryName(OTHER_NEW.certificate.subject)], None), False),
]


@pytest.mark.parametrize(("constraints", "taken"), CONSTRAINTS)
def test_a_renewed_authority_for_some_names_alone(
    constraints: x509.NameConstraints, *, taken: bool
) -> None:
    """As OpenSSL judges them where the renewed one is the first that it finds."""
    more = [(constraints, True)]
    old, new = (authority(*MIDDLE, dates, ROOT, more=more) for dates in (OVER, VALID))
    peer = server(MIDDLE, VALID, "story.example.com")
    found = find_chain_end(
        [peer.der, old.der, new.der], [NEW.der], lambda _begin, end: end > NOW.timestamp()
    )
    assert (found is not None) is taken
    for sent in itertools.permutations([old, new]):
        if taken:
            assert check_dates(shake(peer, sent, [NEW]), TrustedTime()) == found
            continue
        with pytest.raises(ssl.SSLCertVerificationError):
            check_dates(shake(peer, sent, [NEW]), TrustedTime())


@pytest.mark.parametrize(
    ("common", "hosts", "taken"),
    [
        ("story.example.com", [], True),
        ("story machine", [], True),
        ("victim.example.org", ["story.example.com"], True),  # of no account beside those
        ("victim.example.org", [], False),
        ("ample.com", [], False),
    ],
)
def test_a_common_name_is_a_name_where_there_is_no_other(
    common: str, hosts: list[str], *, taken: bool
) -> None:
    """As OpenSSL has it, which compares the host with that."""
    more = [(named("example.com"), True)]
    old, new = (
        authority(*MIDDLE, OVER, ROOT),
        authority(*MIDDLE, VALID, ROOT, more=more),
    )
    peer = server(MIDDLE, VALID, *hosts, common=common)
    if taken:
        assert check_dates(shake(peer, [new, old], [NEW]), TrustedTime())
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(peer, [new], [NEW])  # by OpenSSL alone
    found = find_chain_end(
        [peer.der, old.der, new.der], [NEW.der], lambda _begin, end: end > NOW.timestamp()
    )
    assert (found is not None) is taken


def in_date(_begin: float, _end: float) -> bool:
    return True


def test_a_root_for_one_level_leads_to_no_deeper_one() -> None:
    flat = authority(*ROOT, VALID, path_length=0)
    assert find_chain_end([BY_ROOT.der], [flat.der], in_date) is not None
    assert find_chain_end([BY_MIDDLE.der, MIDDLE_NEW.der], [flat.der], in_date) is None


def test_a_key_that_openssl_takes_for_weak_leads_nowhere() -> None:
    for bits, taken in ((1024, False), (2048, True)):
        key = rsa.generate_private_key(65537, bits)
        peer, root = server(("weak", key)), authority("weak", key)
        assert (find_chain_end([peer.der], [root.der], in_date) is not None) is taken


def test_a_digest_that_openssl_takes_for_weak_leads_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert find_chain_end([BY_ROOT.der], [NEW.der], in_date) is not None
    monkeypatch.setattr("base.tls_chains._DIGESTS", frozenset({"sha512"}))
    assert find_chain_end([BY_ROOT.der], [NEW.der], in_date) is None


def test_a_ring_of_cross_signatures_and_a_chain_without_end_are_left() -> None:
    ring = [authority(*ROOT, VALID, OTHER), authority(*OTHER, VALID, ROOT)]
    assert find_chain_end([BY_ROOT.der, *(made.der for made in ring)], [], in_date) is None
    names = [f"level {n}" for n in range(DEPTH_MAX + 2)]
    key = KEYS["other"]
    tower = [authority(a, key, VALID, (b, key)) for a, b in itertools.pairwise(names)]
    peer = server((names[0], key))
    top = authority(names[-1], key)
    assert find_chain_end([peer.der, *(made.der for made in tower)], [top.der], in_date) is None
    near = authority(names[2], key)
    found = find_chain_end([peer.der, *(made.der for made in tower[:2])], [near.der], in_date)
    assert found is not None


def test_of_what_a_server_sends_the_first_sixteen_are_looked_at() -> None:
    def found(others: int) -> float | None:
        sent = [BY_MIDDLE.der, *[OTHER_NEW.der] * others, MIDDLE_NEW.der]
        return find_chain_end(sent, [NEW.der], in_date)

    assert found(14) is not None
    assert found(15) is None


def test_many_certificates_of_one_name_cost_a_bounded_number_of_checks() -> None:
    others = [authority("root", make_key(), VALID).der for _ in range(20)]
    assert (
        find_chain_end([BY_ROOT.der, *others], [OLD.der], lambda *dates: dates[1] > 0) is not None
    )
    assert find_chain_end([BY_ROOT.der, *others], [], in_date) is None


def test_what_is_no_certificate_is_passed_over() -> None:
    assert find_chain_end([b"x", NEW.der], [NEW.der], in_date) is None
    assert find_chain_end([BY_ROOT.der, b"x"], [b"y", NEW.der], in_date) is not None
    assert find_chain_end([], [], in_date) is None


def test_before_the_clock_is_known_a_coming_certificate_is_taken() -> None:
    trusted = [OLD, authority(*ROOT, COMING)]
    clock = TrustedTime(wall=lambda: 0.0)
    check_dates(shake(server(ROOT, COMING), [], trusted[1:]), clock)
