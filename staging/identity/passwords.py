"""Passwords: hashed with scrypt (RFC 7914), checked in constant time. No I/O, but slow by design.

A stored password is ``scrypt$N$r$p$salt$hash`` with salt and hash in base64, so that the parameters
can be raised later and old hashes still verified.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from wire.errors import FieldError

# One of OWASP's equivalent settings: 16 MiB, some 100 ms. The server may be a Raspberry Pi.
COST, BLOCK, PARALLEL = 2**14, 8, 5
SALT_BYTES, HASH_BYTES = 16, 32
LENGTH_MIN, LENGTH_MAX = 8, 256
# OpenSSL needs a little more than 128 * N * r bytes.
_MEMORY = 2 * 128 * COST * BLOCK


def hash_password(password: str) -> str:
    """Return the hash to store for a password; raises FieldError if it is too short or too long."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        expected = f"{LENGTH_MIN} to {LENGTH_MAX} characters"
        raise FieldError("password", password, expected, secret=True)
    salt = secrets.token_bytes(SALT_BYTES)
    parts = [_base64(salt), _base64(_derive(password, salt, COST, BLOCK, PARALLEL))]
    return "$".join(["scrypt", str(COST), str(BLOCK), str(PARALLEL), *parts])


def matches(password: str, stored: str | None) -> bool:
    """Return whether a password is the stored one; takes equally long if none is stored."""
    if len(password) > LENGTH_MAX:
        return False
    _, cost, block, parallel, salt, digest = (stored or _NOBODY).split("$")
    derived = _derive(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    right = hmac.compare_digest(derived, base64.b64decode(digest))
    return right and stored is not None


def _derive(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=cost,
        r=block,
        p=parallel,
        maxmem=_MEMORY,
        dklen=HASH_BYTES,
    )


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


# Compared with when no password is stored, so that the timing does not reveal that.
_NOBODY = (
    f"scrypt${COST}${BLOCK}${PARALLEL}${_base64(bytes(SALT_BYTES))}${_base64(bytes(HASH_BYTES))}"
)
