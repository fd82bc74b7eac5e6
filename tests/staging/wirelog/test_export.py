"""A file of the wire log is read again as it was written."""

from __future__ import annotations

import pytest

from staging.wirelog.export import FORMAT, Replayed, head, lines, read
from staging.wirelog.frames import Piece
from staging.wirelog.log import COAP, DOWN, UP, WireLog
from wire.errors import WireError
from wire.framing import encode_frame

UUID = "0083000000000a"
PING, PONG = encode_frame(b"\x40\0\x12\x34"), encode_frame(b"\x70\0\x12\x34")


def test_what_is_written_is_read_with_its_times() -> None:
    times = iter([1000, 1000, 1250, 4000])
    log = WireLog(lambda: next(times))
    log.watch(UUID, ["secret-of-it"])
    log.note(UUID, COAP, 1, "connected")
    log.add(UUID, UP, COAP, 1, Piece(PING, len(PING)))
    log.add(UUID, DOWN, COAP, 1, Piece(PONG, len(PONG)))
    log.add(UUID, UP, COAP, 1, Piece(b"secret-of-it", 12, "no magic"))
    text = [head(UUID, 9), *lines(entry.to_json() for entry in log.entries(UUID))]
    assert FORMAT in text[0]
    assert list(read(text)) == [
        Replayed(0.0, UP, COAP, 1, PING, False, ""),
        Replayed(0.25, DOWN, COAP, 1, PONG, False, ""),
        Replayed(3.0, UP, COAP, 1, b"*" * 12, True, "no magic"),
    ]


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (1, '{"format":"other"}'), (1, "text"), (2, "{}"), (2, '{"way":"up"}'),
        (2, '{"way":"sideways"}'), (2, '{"way":"up","at":-1,"hex":"00","link":"coap","connection":1}'),
        (2, '{"way":"up","at":0,"hex":"0","link":"coap","connection":1}'),
        (2, '{"way":"up","at":true,"hex":"00","link":"coap","connection":1}'),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_named(number: int, line: str) -> None:
    text = [line] if number == 1 else [head(UUID, 1), line]
    with pytest.raises(WireError, match=f"line {number}: "):
        list(read(text))
