"""Data points: the document's description byte for byte, and the rules for values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.datapoints import (
    DataPointDescription,
    DataType,
    Method,
    Range,
    format_value,
    parse_description,
    parse_self_description,
    parse_value,
    self_description,
)
from wire.errors import FieldError, WireError
from wire.fields import INT64_MAX

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
STRING_LIMIT = 1_024

BOTH = (Method.GET, Method.PUT)
STEPPED = DataPointDescription("volume", DataType.INT, "", "", BOTH, Range(-6, 16, 2))
FREE = DataPointDescription("count", DataType.INT, "", "", BOTH)
SWITCH = DataPointDescription("switch", DataType.BOOL, "", "", BOTH)
PLAY = DataPointDescription("play", DataType.STRING, "", "", BOTH, {})
ENTRY: dict[str, Any] = {
    "name": "volume",
    "resourceType": "voice",
    "type": "int",
    "label": "音量",
    "description": "",
    "pattern": {"min": 0, "max": 16, "step": 1},
    "uri": "/volume",
    "protocol": ["COAP"],
    "method": ["GET", "PUT"],
}


def test_the_documents_description_round_trips_exactly(
    document_description: dict[str, Any],
) -> None:
    points = [parse_description(entry) for entry in document_description["resources"]]
    rendered = self_description(points)
    # As text, so that the order of the keys counts too.
    assert json.dumps(rendered, ensure_ascii=False) == json.dumps(
        document_description, ensure_ascii=False
    )
    assert [point.name for point in points] == ["play", "volume", "switch", "power"]
    assert points[1].pattern == Range(0, 16, 1)
    assert points[3].methods == (Method.GET,)


def test_a_self_description_is_returned_as_it_came(document_description: dict[str, Any]) -> None:
    extended = document_description | {"vendor": {"x": 1}}
    payload = json.dumps(extended, ensure_ascii=False).encode()
    assert parse_self_description(payload) == extended


def test_a_resource_under_another_path_keeps_it() -> None:
    point = parse_description(ENTRY | {"uri": "/3311/0/5851"})
    assert point.uri == "/3311/0/5851"
    assert point.to_json()["uri"] == "/3311/0/5851"


@pytest.mark.parametrize(
    ("member", "value", "named"),
    [
        ("name", "", "name"),
        ("name", 5, "name"),
        ("resourceType", None, "resourceType"),
        ("type", "float", "type"),
        ("type", "INT", "type"),
        ("label", [], "label"),
        ("description", 1, "description"),
        ("pattern", None, "pattern"),
        ("pattern", [], "pattern"),
        ("pattern", {"min": 0}, "pattern.max"),
        ("pattern", {"max": 9}, "pattern.min"),
        ("pattern", {"min": 5, "max": 4}, "pattern.max"),
        ("pattern", {"min": 0.0, "max": 4}, "pattern.min"),
        ("pattern", {"min": 0, "max": 4, "step": 0}, "pattern.step"),
        ("pattern", {"min": 0, "max": 2**63}, "pattern.max"),
        ("uri", "volume", "uri"),
        ("uri", None, "uri"),
        ("protocol", "COAP", "protocol"),
        ("protocol", [1], "protocol"),
        ("method", [], "method"),
        ("method", ["GET", "DELETE"], "method"),
        ("method", None, "method"),
    ],
)
def test_a_member_that_is_wrong_is_named_with_its_place(
    member: str, value: object, named: str
) -> None:
    with pytest.raises(FieldError) as caught:
        parse_description(ENTRY | {member: value})
    assert caught.value.field == named
    payload = json.dumps({"resources": [ENTRY, ENTRY | {member: value}]}).encode()
    with pytest.raises(FieldError) as caught:
        parse_self_description(payload)
    assert caught.value.field == f"resources[1].{named}"


@pytest.mark.parametrize("resources", [None, {}, "x", [None], [[]]])
def test_resources_are_a_list_of_objects(resources: object) -> None:
    with pytest.raises(FieldError, match=r"^resources"):
        parse_self_description(json.dumps({"resources": resources}).encode())


@given(st.integers(-6, 16).filter(lambda value: value % 2 == 0))
def test_a_value_on_the_step_is_taken(value: int) -> None:
    assert parse_value(STEPPED, format_value(value)) == value


@given(st.integers())
def test_any_integer_is_in_the_range_and_on_the_step_or_refused(value: int) -> None:
    if -6 <= value <= 16 and value % 2 == 0:
        assert parse_value(STEPPED, str(value)) == value
    else:
        with pytest.raises(FieldError, match="from -6 to 16 in steps of 2"):
            parse_value(STEPPED, str(value))


def test_the_step_counts_from_the_lowest_value() -> None:
    odd = DataPointDescription("n", DataType.INT, "", "", BOTH, Range(1, 9, 4))
    assert [n for n in range(12) if _is_taken(odd, str(n))] == [1, 5, 9]


@pytest.mark.parametrize(
    "text",
    ["", "-", "--2", "+2", " 2", "2 ", "2\n", "2.0", "0x2", "1e1", "1_0", "two", "२", "²", "٢"],
)
def test_text_that_is_no_integer_is_refused(text: str) -> None:
    _refuse_integer(text)


@pytest.mark.parametrize("text", ["9" * 5000, "-" + "9" * 5000, "0" * 21])
def test_more_digits_than_64_bits_can_have_are_refused(text: str) -> None:
    _refuse_integer(text)


def _refuse_integer(text: str) -> None:
    for point in (STEPPED, FREE):
        with pytest.raises(FieldError, match=f"^{point.name}: got .*expected an integer"):
            parse_value(point, text)


@pytest.mark.parametrize("text", ["-0", "02", "-2"])
def test_integers_in_other_spellings_are_taken(text: str) -> None:
    assert parse_value(STEPPED, text) == int(text)


def test_an_integer_without_a_range_has_64_bits() -> None:
    assert parse_value(FREE, str(INT64_MAX)) == INT64_MAX
    for beyond in (INT64_MAX + 1, -INT64_MAX - 1):
        with pytest.raises(FieldError, match="in 64 bits"):
            parse_value(FREE, str(beyond))


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False)]
)
def test_booleans_in_both_spellings(text: str, *, value: bool) -> None:
    assert parse_value(SWITCH, text) is value


@pytest.mark.parametrize("text", ["", "True", "FALSE", "yes", "on", "2", "01", " true", "null"])
def test_other_spellings_of_a_boolean_are_refused(text: str) -> None:
    with pytest.raises(FieldError, match=r'^switch: got .*expected "true" or "false"'):
        parse_value(SWITCH, text)


@pytest.mark.parametrize("text", ["春天在哪里", "a b", "x" * STRING_LIMIT, "春" * 341])
def test_titles_are_taken(text: str) -> None:
    assert parse_value(PLAY, text) == text


@pytest.mark.parametrize(
    "text", ["", "x" * (STRING_LIMIT + 1), "春" * 342, "a\nb", "a\x00b", "\ud800", "\u202e"]
)
def test_text_that_is_empty_too_long_or_unprintable_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match=r"^play: got .*printable"):
        parse_value(PLAY, text)


@given(st.sampled_from([STEPPED, FREE, SWITCH, PLAY]), st.text())
def test_any_text_gives_a_value_that_round_trips_or_a_wire_error(
    point: DataPointDescription, text: str
) -> None:
    try:
        value = parse_value(point, text)
    except WireError:
        return
    assert parse_value(point, format_value(value)) == value


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (1, "1"), (-5, "-5"), ("True", "True")]
)
def test_values_as_text(value: int | bool | str, text: str) -> None:  # noqa: FBT001  # it is the case
    assert format_value(value) == text


def _is_taken(point: DataPointDescription, text: str) -> bool:
    try:
        parse_value(point, text)
    except WireError:
        return False
    return True
