"""One answer for every protocol: bytes on the wire, text for people."""

from __future__ import annotations

import pytest

from wire.codes import Code
from wire.exchange import Answer


@pytest.mark.parametrize(
    ("text", "payload"), [("音量 9", "音量 9".encode()), ("", b""), ("odd \ud800", b"odd ?")]
)
def test_any_text_can_be_sent(text: str, payload: bytes) -> None:
    assert Answer.from_text(Code.CONTENT, text) == Answer(Code.CONTENT, payload)


def test_bytes_that_are_no_text_are_shown_all_the_same() -> None:
    assert Answer(Code.CONTENT, b"9 \xff").text == "9 \N{REPLACEMENT CHARACTER}"
