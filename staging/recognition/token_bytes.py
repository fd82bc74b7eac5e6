"""Which of Whisper's tokens are Chinese characters, or parts of one: between these is chosen when phrases are compared.

A token is some bytes of UTF-8, written with one printable character for each byte (GPT-2's table).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

# The bytes that stand for themselves: printable ones of Latin-1. The others are the characters from 256 on, in order.
_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
# First bytes of U+4000 to U+9FFF, where the characters are; below them every byte goes on with a character.
_FIRST, _LAST, _BEGINS, _GOES_ON = 0xE4, 0xE9, 0xC0, 0x80


@cache
def _table() -> dict[str, int]:
    others = [byte for byte in range(256) if byte not in _PRINTABLE]
    return {chr(byte): byte for byte in _PRINTABLE} | {
        chr(256 + place): byte for place, byte in enumerate(others)
    }


def is_chinese(token: str) -> bool:
    """Return whether a token may be a part of a Chinese character or some; an unknown one is not."""
    found = [_table().get(character, 0) for character in token]
    return bool(found) and all(
        byte >= _GOES_ON and (byte < _BEGINS or _FIRST <= byte <= _LAST) for byte in found
    )


def chinese(tokens: Iterable[str]) -> list[int]:
    """Return the places of the tokens that are Chinese."""
    return [place for place, token in enumerate(tokens) if is_chinese(token)]
