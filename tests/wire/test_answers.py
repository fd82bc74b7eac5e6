"""The answer to an utterance: strict, bounded, and nothing in it that a program could take for more than a name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.answers import Result, Title, UtteranceAnswer, parse_answer
from wire.errors import WireError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PAYLOAD_LIMIT = 8_192
PINYIN_LIMIT = 2_040
TEXT_LIMIT = 500
TITLE_LIMIT = 255

RABBIT = {"title": "小兔子乖乖", "pinyin": "xiao3 tu4 zi5 guai1 guai1"}


def payload(**members: Any) -> bytes:
    return json.dumps({"id": 10001, "result": "not_found"} | members).encode()


def test_the_nearest_titles_are_read_and_written() -> None:
    answer = parse_answer(payload(titles=[RABBIT, {"title": "Hänsel"}], text="播放小兔子怪怪"))
    assert answer == UtteranceAnswer(
        10001, Result.NOT_FOUND,
        (Title("小兔子乖乖", "xiao3 tu4 zi5 guai1 guai1"), Title("Hänsel")), "播放小兔子怪怪",
    )  # fmt: skip
    assert parse_answer(answer.to_payload()) == answer


@pytest.mark.parametrize("result", list(Result))
def test_an_answer_without_titles_is_short(result: Result) -> None:
    answer = UtteranceAnswer(7, result)
    assert answer.to_payload() == f'{{"id":7,"result":"{result}"}}'.encode()
    assert parse_answer(answer.to_payload()) == answer


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (b"", "answer"), (b"[]", "answer"), (b"done", "answer"), (b"\xff", "answer"),
        (b'{"result":"done"}', "id"), (payload(id="1"), "id"), (payload(id=-1), "id"),
        (payload(id=True), "id"), (payload(id=2**63), "id"), (payload(id=1.5), "id"),
        (payload(result="maybe"), "result"), (payload(result=3), "result"), (payload(result=""), "result"),
        (payload(titles={}), "titles"), (payload(titles=None), "titles"), (payload(titles=[RABBIT] * 3), "titles"),
        (payload(titles=["小兔子乖乖"]), "titles[0]"), (payload(titles=[RABBIT, {}]), "titles[1].title"),
        (payload(titles=[RABBIT | {"title": "a\nb"}]), "titles[0].title"),
        (payload(titles=[RABBIT | {"title": "兔" * (TITLE_LIMIT + 1)}]), "titles[0].title"),
        (payload(titles=[RABBIT | {"pinyin": "-w /etc/passwd"}]), "titles[0].pinyin"),
        (payload(titles=[RABBIT | {"pinyin": "--help"}]), "titles[0].pinyin"),
        (payload(titles=[RABBIT | {"pinyin": "<speak>"}]), "titles[0].pinyin"),
        (payload(titles=[RABBIT | {"pinyin": "tu4 " * PINYIN_LIMIT}]), "answer"),
        (payload(titles=[RABBIT | {"pinyin": "tu4 " * (PINYIN_LIMIT // 4) + "tu4"}]), "titles[0].pinyin"),
        (payload(titles=[RABBIT | {"pinyin": 4}]), "titles[0].pinyin"),
        (payload(result="done", titles=[RABBIT]), "titles"),
        (payload(text=4), "text"), (payload(text="\x1b[2J"), "text"), (payload(text="好" * (TEXT_LIMIT + 1)), "text"),
        (payload(other="x" * PAYLOAD_LIMIT), "answer"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(body: bytes, member: str) -> None:
    with pytest.raises(WireError) as error:
        parse_answer(body)
    assert str(error.value).startswith(f"{member}:")


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_parse_or_be_refused(body: bytes) -> None:
    try:
        answer = parse_answer(body)
    except WireError:
        return
    assert parse_answer(answer.to_payload()) == answer


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20), max_size=2),
)
def test_what_is_written_is_read(number: int, titles: list[str]) -> None:
    answer = UtteranceAnswer(number, Result.NOT_FOUND, tuple(map(Title, titles)))
    again = parse_answer(answer.to_payload())
    assert (again.id, len(again.titles)) == (number, len(titles))
