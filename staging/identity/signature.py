"""The open API's request signature (section 2.5.2): the only place where SHA-1 is used.

``X-IOT-Signature: {nonce}:SHA1({nonce}+{apikey}+{secret}+{token})``. SHA-1 is the document's choice;
nothing else in the cloud relies on it. No I/O: used nonces are checked elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass, field

from wire.errors import FieldError

NONCE_LENGTH = 16
_ALPHABET = string.ascii_letters + string.digits
_SIGNATURE = re.compile(r"([A-Za-z0-9]{16}):([0-9a-fA-F]{40})")


@dataclass(frozen=True, slots=True)
class Signature:
    """The header's two parts; ``digest`` is 40 hexadecimal digits in lower case."""

    nonce: str
    digest: str = field(repr=False)


def new_nonce() -> str:
    """Return 16 random characters a-z, A-Z, 0-9."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(NONCE_LENGTH))


def sign(nonce: str, apikey: str, secret: str, token: str = "") -> str:
    """Return the value of ``X-IOT-Signature``; ``token`` is empty where an endpoint needs none."""
    return f"{nonce}:{_digest(nonce, apikey, secret, token)}"


def parse(header: str) -> Signature:
    """Parse the header; raises FieldError if it is not ``nonce:digest``."""
    match = _SIGNATURE.fullmatch(header)
    if match is None:
        expected = "16 characters a-z, A-Z, 0-9, a colon and a SHA-1 in 40 hexadecimal digits"
        raise FieldError("X-IOT-Signature", header, expected, secret=True)
    return Signature(match[1], match[2].lower())


def matches(signature: Signature, apikey: str, secret: str, token: str) -> bool:
    """Return, in constant time, whether the signature was made with these secrets."""
    return hmac.compare_digest(signature.digest, _digest(signature.nonce, apikey, secret, token))


def _digest(nonce: str, apikey: str, secret: str, token: str) -> str:
    text = nonce + apikey + secret + token
    return hashlib.sha1(text.encode(), usedforsecurity=True).hexdigest()  # noqa: S324  # the document's algorithm
