"""What opens the device page, in every form in which a person may type or paste it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.local.page.keys import find_key
from tests.agent.parts import BIND_TOKEN, UUID
from wire.pairing import pairing_text

TOKEN = "Aa-the-machines-own_token"
CODE = pairing_text(UUID, BIND_TOKEN)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (TOKEN, TOKEN),
        (f" {TOKEN}\n", TOKEN),
        (TOKEN.lower(), None),
        (BIND_TOKEN, BIND_TOKEN),
        (f"  {BIND_TOKEN.upper()} ", BIND_TOKEN),
        (CODE, BIND_TOKEN),
        (f"{CODE}\n", BIND_TOKEN),
        (pairing_text(UUID.upper(), BIND_TOKEN), BIND_TOKEN),
        (pairing_text("00830000000bbb", BIND_TOKEN), None),
        (pairing_text(UUID, "0" * 32), None),
        (CODE[:-1], None),
        ("{}", None),
        ("{" * 900, None),
        (BIND_TOKEN[:-1], None),
        (UUID, None),
        ("", None),
    ],
)
def test_the_two_secrets_and_nothing_else(typed: str, found: str | None) -> None:
    assert find_key(typed.encode(), TOKEN, UUID, BIND_TOKEN) == found


@pytest.mark.parametrize("typed", ["", "{}", pairing_text(UUID, BIND_TOKEN)])
def test_a_secret_that_nobody_has_opens_nothing(typed: str) -> None:
    assert find_key(typed.encode(), "", UUID, "") is None


@settings(max_examples=20)
@given(st.binary(max_size=200))
def test_other_bytes_open_nothing(typed: bytes) -> None:
    assert find_key(typed, TOKEN, UUID, BIND_TOKEN) is None
