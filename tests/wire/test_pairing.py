"""The text of a machine's QR code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.extras import require
from wire.errors import WireError
from wire.pairing import QR_ERROR, QR_VERSION, pairing_text, parse_pairing

TOKEN = "0123456789abcdef0123456789abcdef"


@given(st.integers(0, 16**14 - 1), st.integers(0, 16**32 - 1))
def test_what_is_written_is_read(uuid: int, token: int) -> None:
    values = f"{uuid:014x}", f"{token:032x}"
    assert parse_pairing(pairing_text(*values)) == values


def test_an_app_sends_its_members_as_they_are() -> None:
    assert (
        pairing_text("0123456789abcd", TOKEN)
        == f'{{"deviceUuid":"0123456789abcd","token":"{TOKEN}"}}'
    )


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"deviceUuid":"x","token":"y"}', pairing_text("0123456789abcd", "z")]
)
def test_another_code_is_refused_without_showing_a_token(text: str) -> None:
    with pytest.raises(WireError) as caught:
        parse_pairing(text)
    assert TOKEN not in str(caught.value)


def test_a_code_has_37_modules_a_side_and_holds_every_machine() -> None:
    require("segno")
    import segno

    text = pairing_text("0123456789abcd", TOKEN)
    code = segno.make(text, error=QR_ERROR, version=QR_VERSION, micro=False, boost_error=False)
    assert (code.symbol_size(border=0), code.error) == ((37, 37), "M")
