"""A profile for tests of a machine's first day."""

from __future__ import annotations

from functools import cache

import trustme

from wire.profile import Profile, render_profile

UUID, OTHER = "0123456789abcd", "fedcba98765432"
TOKEN, BIND_TOKEN = "device-token-that-nobody-reads", "0123456789abcdef0123456789abcdef"


@cache
def _authority() -> str:
    return trustme.CA().cert_pem.bytes().decode()


def profile(
    uuid: str = UUID, host: str = "127.0.0.1", port: int = 9, token: str = TOKEN
) -> Profile:
    return Profile(uuid, token, BIND_TOKEN, host, port, 0, _authority(), {}, "", 1)


def profile_bytes(uuid: str = UUID, token: str = TOKEN) -> bytes:
    return render_profile(profile(uuid, token=token))
