"""Names and values of faults: defaults, bounds, and what a wrong one is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.bench.faults import KINDS, SECONDS, Fault, Kind, Where, catalogue, kind_of, parse_words
from wire.errors import FieldError

PAGE = Path(__file__).parents[3] / "staging/console/static/js/words"


def test_every_fault_has_defaults_within_its_own_bounds() -> None:
    for kind in KINDS.values():
        values = kind.parse({})
        assert values == {value.name: value.default for value in kind.all_values}
        assert kind.parse({name: str(value) for name, value in values.items()}) == values
        assert (SECONDS in kind.all_values) is kind.is_lasting


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if any(not v.choices for v in kind.all_values)],
    ids=lambda kind: kind.name,
)  # fmt: skip
def test_each_bound_that_the_catalogue_tells_is_taken_and_the_next_is_refused(kind: Kind) -> None:
    (told,) = [each for each in catalogue() if each["name"] == kind.name]
    values: Any = told["values"]
    for value in values:
        if value["choices"]:
            continue
        for number in (value["low"], value["high"]):
            assert kind.parse({value["name"]: number})[value["name"]] == number
        for number in (value["low"] - 1, value["high"] + 1):
            with pytest.raises(FieldError, match=value["name"]):
                kind.parse({value["name"]: number})


def test_the_catalogue_is_json_and_names_where_each_acts() -> None:
    told = json.loads(json.dumps(catalogue()))
    assert [each["name"] for each in told] == list(KINDS)
    assert {each["where"] for each in told} == {where.value for where in Where}


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        (
            "cut",
            {"seconds": 0},
            "seconds: got 0, expected a whole number of seconds from 1 to 3600",
        ),
        ("cut", {"seconds": "3601"}, "seconds: got 3601, expected"),
        ("cut", {"seconds": True}, "seconds: got true, expected"),
        ("cut", {"seconds": None}, "seconds: got null, expected"),
        ("slow", {"bytes_per_second": "fast"}, "bytes_per_second: got 'fast', expected"),
        ("slow", {"bytes_per_second": "1e3"}, "bytes_per_second: got '1e3', expected"),
        ("half_open", {"way": "sideways"}, "expected one of both, to_device, to_cloud"),
        ("cut", {"colour": 1}, "colour: got 1, expected a value of cut: seconds"),
        ("kill", {"seconds": 1}, "expected a value of kill: it has none"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    name: str, values: dict[str, object], told: str
) -> None:
    with pytest.raises(FieldError) as caught:
        kind_of(name).parse(values)
    assert told.replace("'", '"') in str(caught.value).replace("'", '"')


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.lists(st.integers())))
def test_whatever_is_given_is_a_value_within_bounds_or_refused(given: object) -> None:
    for value in (SECONDS, *KINDS["delay"].values):
        try:
            parsed = value.parse(given)
        except FieldError:
            continue
        assert parsed in value.choices or value.low <= int(parsed) <= value.high


def test_an_unknown_fault_is_told_which_there_are() -> None:
    for name in ("", "flood", None, 3):
        with pytest.raises(FieldError, match=r"expected one of cut, cut_after"):
            kind_of(name)


def test_words_of_a_command_are_values() -> None:
    assert parse_words(["ms=20", "way=both"]) == {"ms": "20", "way": "both"}
    for words in (["ms"], ["=3"], ["ms=1", "ms=2"]):
        with pytest.raises(FieldError, match="NAME=VALUE"):
            parse_words(words)


def test_a_fault_tells_itself_and_what_is_left() -> None:
    kind = KINDS["half_open"]
    fault = Fault(kind, kind.parse({"seconds": 30}), until=130.0)
    assert fault.to_json(100.4)["left"] == 30
    assert fault.to_json(999.0)["left"] == 0
    assert re.fullmatch(r"half_open way=both seconds=30", fault.shown)
