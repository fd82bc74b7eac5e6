from __future__ import annotations

import pytest

from staging.identity import signature
from wire.errors import FieldError

NONCE = "abcdefghijklmnop"
# printf abcdefghijklmnopKEYSECRETTOKEN | sha1sum
DIGEST = "f54b6fc002a6eb41f16808965bf40f991d1bcaa0"


def test_known_vector() -> None:
    assert signature.sign(NONCE, "KEY", "SECRET", "TOKEN") == f"{NONCE}:{DIGEST}"


def test_token_left_out_is_the_empty_string() -> None:
    assert signature.sign(NONCE, "KEY", "SECRETTOKEN") == f"{NONCE}:{DIGEST}"


def test_parse_takes_either_case_of_the_digest() -> None:
    parsed = signature.parse(f"{NONCE}:{DIGEST.upper()}")
    assert parsed == signature.Signature(NONCE, DIGEST)
    assert signature.matches(parsed, "KEY", "SECRET", "TOKEN")


@pytest.mark.parametrize("field", range(3))
def test_any_other_part_does_not_match(field: int) -> None:
    parts = ["KEY", "SECRET", "TOKEN"]
    parts[field] += "x"
    assert not signature.matches(signature.parse(f"{NONCE}:{DIGEST}"), *parts)


@pytest.mark.parametrize(
    "header",
    [
        "",
        DIGEST,
        f"{NONCE[1:]}:{DIGEST}",
        f"{NONCE}x:{DIGEST}",
        f"abcdefgh-jklmnop:{DIGEST}",
        f"{NONCE}:{DIGEST[1:]}",
        f"{NONCE}:{DIGEST}\n",
        f"{NONCE}:{'g' * 40}",
    ],
)
def test_ill_formed_header_is_named_and_not_shown(header: str) -> None:
    with pytest.raises(FieldError, match=r"^X-IOT-Signature: got a str that is not shown"):
        signature.parse(header)


def test_nonces_are_well_formed_and_differ() -> None:
    nonces = {signature.new_nonce() for _ in range(200)}
    assert len(nonces) == 200
    assert all(len(n) == 16 and n.isalnum() and n.isascii() for n in nonces)
