"""The lines between the fault bench and a machine's helper."""

from __future__ import annotations

import pytest

from wire.bench_helper import Told, Wanted, encode_told, encode_wanted, parse_told, parse_wanted
from wire.errors import WireError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LINE_LIMIT = 4_096

TOKEN = "0123456789abcdef"  # no real one


def test_what_is_asked_and_told_comes_through() -> None:
    wanted = Wanted("card", {"file": "outbox", "flips": 3}, TOKEN)
    line = encode_wanted(wanted)
    assert line.endswith(b"\n")
    assert len(line) < LINE_LIMIT
    assert parse_wanted(line) == wanted
    assert parse_told(encode_told(Told(done=True, text="it is done"))) == Told(True, "it is done")
    assert wanted.number("flips") == 3
    with pytest.raises(WireError):
        wanted.number("file")


def test_only_the_right_token_is_taken_and_it_is_in_no_text() -> None:
    assert Wanted("kill", {}, TOKEN).is_from(TOKEN)
    for given, own in ((TOKEN[:-1], TOKEN), ("", ""), ("short", "short"), (TOKEN, "")):
        assert not Wanted("kill", {}, given).is_from(own)
    assert TOKEN not in repr(Wanted("kill", {}, TOKEN))


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"[]", b'{"name":"kill"}', b'{"token":"t","name":"kill","values":[]}',
        b'{"token":"t","name":"kill","values":{"a":1.5}}', b'{"token":"t","name":3,"values":{}}',
        b'{"token":"t","name":"kill","values":{"a":true}}', b"\xff",
    ],
)  # fmt: skip
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        parse_wanted(line)


@pytest.mark.parametrize("line", [b"", b"{}", b'{"done":1,"text":"x"}', b'{"done":true}'])
def test_an_answer_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        parse_told(line)
