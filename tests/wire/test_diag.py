"""The parts of a machine's diagnosis."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.diag import Piece, State, cut, encode_piece, parse_part, parse_piece, part_query
from wire.errors import WireError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PART_BYTES = 24_576
BODY_LIMIT = 65_536


@given(st.binary(min_size=1, max_size=3 * PART_BYTES + 5))
def test_an_archive_comes_whole_in_parts_that_fit_an_answer(archive: bytes) -> None:
    digest = hashlib.sha256(archive).hexdigest()
    whole, part = b"", 0
    while (piece := cut(archive, part, digest)) is not None:
        payload = encode_piece(piece)
        assert len(payload) < BODY_LIMIT
        assert parse_piece(payload) == piece
        assert parse_part(part_query(part)) == part
        whole, part = whole + piece.data, part + 1
        assert piece.parts >= part
    assert whole == archive


def test_the_other_states_come_through() -> None:
    for piece in (Piece(State.GATHERING), Piece(State.FAILED, "the card is full")):
        assert parse_piece(encode_piece(piece)) == piece
    assert parse_part(()) == 0


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{}", b'{"state":"lost"}', b'{"state":"failed"}',
        b'{"state":"ready","size":1,"parts":1,"sha256":"x","data":""}',
        b'{"state":"ready","size":3000000,"parts":1,"sha256":"' + b"0" * 64 + b'","data":"AA=="}',
        b'{"state":"ready","size":1,"parts":1,"sha256":"' + b"0" * 64 + b'","data":"?"}',
    ],
)  # fmt: skip
def test_what_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        parse_piece(payload)


@pytest.mark.parametrize("query", [("part=-1",), ("part=x",), ("part=9999999",), ("part=",)])
def test_a_part_is_a_number(query: tuple[str, ...]) -> None:
    with pytest.raises(WireError):
        parse_part(query)
