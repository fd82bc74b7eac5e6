"""Passwords: hashed with a salt, and checked."""

from __future__ import annotations

import base64

import pytest

from staging.identity import passwords
from wire.errors import FieldError

PASSWORD = "correct horse"


def test_passwords() -> None:
    hashed = passwords.hash_password(PASSWORD)
    assert hashed.startswith("scrypt$16384$8$5$")
    salt, digest = (base64.b64decode(part) for part in hashed.split("$")[-2:])
    assert (len(salt), len(digest)) == (16, 32)
    assert PASSWORD not in hashed
    assert hashed != passwords.hash_password(PASSWORD)
    assert passwords.matches(PASSWORD, hashed)
    assert not passwords.matches(PASSWORD + "x", hashed)
    assert not passwords.matches(PASSWORD, None)
    for short in ("", "1234567", "x" * 257):
        with pytest.raises(FieldError, match="password: got"):
            passwords.hash_password(short)
