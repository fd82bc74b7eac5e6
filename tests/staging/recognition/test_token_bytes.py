"""Whisper's tokens by their bytes."""

from __future__ import annotations

import pytest

from staging.recognition.token_bytes import chinese, is_chinese

# As GPT-2's table writes the bytes of a text.
_NAMES = {byte: chr(byte) for byte in (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))}
_OTHERS = [byte for byte in range(256) if byte not in _NAMES]


def written(raw: bytes) -> str:
    return "".join(_NAMES.get(byte) or chr(256 + _OTHERS.index(byte)) for byte in raw)


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("故".encode(), True), ("故事".encode(), True), ("故".encode()[:2], True), ("故".encode()[1:], True),
        (b"story", False), (" 故".encode(), False), ("故a".encode(), False), ("あ".encode(), False), ("가".encode(), False),
        ("é".encode(), False), ("。".encode(), False), (b"", False),
    ],
)  # fmt: skip
def test_characters_and_their_parts_are_chinese(raw: bytes, *, wanted: bool) -> None:
    assert is_chinese(written(raw)) is wanted


def test_what_is_no_token_of_bytes_is_not_chinese() -> None:
    assert chinese(["<|zh|>", written("好".encode()), "", "\u4e2d"]) == [1]
