"""JSON from a peer: any input gives an object that can be rendered again, or a WireError."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wire.datapoints import parse_description, parse_self_description
from wire.errors import FieldError, WireError
from wire.fields import INT64_MAX, dump_object, get_int, parse_object
from wire.ota import parse_event, parse_order, parse_state
from wire.profile import parse_profile
from wire.reports import parse_package_version, parse_registration, parse_report
from wire.voice import parse_history_text, parse_segment

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MAX_DEPTH = 32

BYTE_PARSERS: list[Callable[[bytes], object]] = [
    lambda data: parse_object(data, "it"),
    parse_profile,
    parse_registration,
    parse_report,
    parse_order,
    parse_self_description,
]
VALUE_PARSERS: list[Callable[[object], object]] = [
    parse_segment,
    parse_event,
    parse_state,
    parse_package_version,
    parse_description,
]
# The members' own names, so that the fuzzed input passes the first check.
NAMES = st.sampled_from(
    [
        "data",
        "uuid",
        "token",
        "bindToken",
        "deviceUUID",
        "ota",
        "transaction",
        "version",
        "old_version",
        "url",
        "size",
        "signature",
        "event",
        "percent",
        "description",
        "state",
        "id",
        "segment",
        "rate",
        "channel",
        "eof",
        "voice_data",
        "os",
        "resources",
        "name",
        "resourceType",
        "type",
        "label",
        "pattern",
        "min",
        "max",
        "step",
        "uri",
        "protocol",
        "method",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["int", "string", "bool", "GET", "PUT", "1.0", "http://h/", "/x", "AAAA"])
    | st.sampled_from([0, 1, 4, 7, 8000, 16000, 10**400, -(10**400)])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=20,
)
BOMBS = [
    b"[" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":' + b"9" * 5000 + b".5}",
    b'{"a":1e999}',
    b'{"a":NaN}',
    b'{"a":[{"b":-Infinity}]}',
    b'{"a":"\\ud800"}',
    b'{"\\udfff":1}',
    b'{"a":"\xff"}',
    b"\xef\xbb\xbf{}",
    b'{"a":"\x00"}',
    b'{"a":1}{"a":2}',
    b"",
]


def complaint(parse: Callable[[Any], object], given_value: object) -> str:
    """Return the parser's error for a value, an empty text if it accepts it."""
    try:
        parse(given_value)
    except WireError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
@pytest.mark.parametrize("parse", BYTE_PARSERS)
def test_a_bomb_is_a_wire_error(parse: Callable[[bytes], object], bomb: bytes) -> None:
    with pytest.raises(WireError) as caught:
        parse(bomb)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ['{"a":"\ud800"}', "\ud800"])
def test_half_a_surrogate_pair_in_text_is_a_wire_error(text: str) -> None:
    with pytest.raises(WireError):
        parse_object(text, "it")


def test_of_members_with_one_name_the_last_counts() -> None:
    assert parse_object(b'{"a":1,"a":2}', "it") == {"a": 2}


def test_nesting_up_to_the_limit_is_taken() -> None:
    deep = b'{"a":' * (MAX_DEPTH - 1) + b"1" + b"}" * (MAX_DEPTH - 1)
    assert dump_object(parse_object(deep, "it")) == deep


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_an_object_or_a_wire_error(data: bytes) -> None:
    for parse in BYTE_PARSERS:
        assert complaint(parse, data).isprintable()


@given(JSON)
@example({"event": 4, "transaction": "1", "percent": 10**400})
@example({"event": 4, "transaction": "1", "percent": float("nan")})
def test_arbitrary_values_give_an_object_or_a_wire_error(value: object) -> None:
    for parse in VALUE_PARSERS:
        assert complaint(parse, value).isprintable()


@given(st.dictionaries(NAMES, JSON, max_size=8))
def test_arbitrary_json_gives_an_object_or_a_wire_error(value: dict[str, Any]) -> None:
    data = json.dumps(value).encode()
    for parse in BYTE_PARSERS:
        assert complaint(parse, data).isprintable()


@given(st.dictionaries(NAMES, JSON, max_size=8))
def test_what_is_read_can_be_rendered_and_read_again(value: dict[str, Any]) -> None:
    try:
        read = parse_object(json.dumps(value), "it")
    except WireError:
        return
    assert parse_object(dump_object(read), "it") == read


@given(st.text(max_size=80))
def test_arbitrary_history_text_gives_a_segment_or_a_wire_error(text: str) -> None:
    for candidate in (text, "{" + text + "}", "{id=" + text + ",+rate=8000,+segment=1,+eof=true}"):
        with pytest.raises(WireError):
            parse_history_text(candidate)


def test_nothing_is_rendered_that_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_object({"a": float("nan")})


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, INT64_MAX + 1])
def test_an_integer_is_no_other_type_and_in_64_bits(value: object) -> None:
    with pytest.raises(FieldError, match=r"^x\.n: got .* expected an integer of at least 0$"):
        get_int({"n": value}, "n", path="x.")
