"""What an address of the list of devices asks for, and that what is no such thing is refused by its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.identity.rights import Standing
from staging.store.device_query import (
    FILTERS,
    NAMES,
    SIZES,
    Presence,
    Sort,
    Updating,
    Wanted,
    parse,
    query_of,
)
from wire.errors import FieldError


def test_nothing_asked_is_everything_and_who_is_connected_first() -> None:
    assert parse({}) == Wanted() == parse({name: [" "] for name in NAMES})
    assert (Wanted().sort, Wanted().descending) == (Sort.PRESENCE, True)
    assert Wanted().is_all


def test_an_address_is_read() -> None:
    wanted = parse({
        "q": [" Bär  1.2 "], "presence": ["offline", "never"], "batch": ["0000", "0000"], "version": ["1.2"],
        "owner": ["own"], "update": ["failed"], "tag": ["Bench", "红"], "sort": ["battery"], "page": ["3"],
        "size": ["25"],
    })  # fmt: skip
    assert wanted.words == ["Bär", "1.2"]
    assert wanted.presence == (Presence.OFFLINE, Presence.NEVER)
    assert (wanted.batch, wanted.tag) == (("0000",), ("Bench", "红"))
    assert (wanted.sort, wanted.descending, wanted.page, wanted.size) == (
        Sort.BATTERY,
        False,
        3,
        25,
    )
    assert not wanted.is_all


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("presence", "on", "online, offline, never"),
        ("owner", "me", "own, development, free, family"),
        ("update", "FAILED", "running, failed, success, none"),
        ("sort", "uuid", "device, presence"),
        ("order", "asc", "up or down"),
        ("page", "0", "a number from 1"),
        ("page", "-1", "a number from 1"),
        ("page", "1e3", "a number from 1"),
        ("page", "٣", "a number from 1"),
        ("page", "9" * 40, "a number from 1"),
        ("size", "51", "one of 25, 50, 100, 200"),
        ("version", "1.x", "numbers joined by dots"),
        ("batch", "a\nb", "printable"),
        ("tag", "a,b", "no comma"),
        ("tag", "x" * 33, "1 to 32"),
        ("q", "x" * 65, "0 to 64"),
        ("q", "a b c d e f g h i", "at most 8 words"),
        ("colour", "red", "one of q, presence"),
    ],
)
def test_what_is_none_is_refused_by_its_name(name: str, value: str, told: str) -> None:
    with pytest.raises(FieldError, match=told) as caught:
        parse({name: [value]})
    assert str(caught.value).startswith("query" if name == "colour" else name)


def test_so_many_values() -> None:
    with pytest.raises(FieldError, match="51 values"):
        parse({"tag": [str(n) for n in range(51)]})
    with pytest.raises(FieldError, match="sort"):
        parse({"sort": ["device", "batch"]})


TEXT = st.text("aZ0 .é红%_", min_size=1, max_size=12).map(str.strip).filter(bool)


@given(
    st.builds(
        Wanted,
        search=st.sampled_from(["", "a", "a b"]),
        presence=st.lists(st.sampled_from(Presence), unique=True).map(tuple),
        product=st.lists(TEXT, unique=True, max_size=3).map(tuple),
        version=st.lists(st.sampled_from(["1", "1.2", "0.0.0.0"]), unique=True).map(tuple),
        owner=st.lists(st.sampled_from(Standing), unique=True).map(tuple),
        update=st.lists(st.sampled_from(Updating), unique=True).map(tuple),
        sort=st.sampled_from(Sort),
        descending=st.booleans(),
        page=st.integers(1, 1000),
        size=st.sampled_from(SIZES),
    )
)
def test_what_is_asked_can_be_written_as_an_address(wanted: Wanted) -> None:
    given_values: dict[str, list[str]] = {}
    for name, value in query_of(wanted):
        given_values.setdefault(name, []).append(value)
    assert set(given_values) <= set(NAMES)
    assert set(FILTERS) < set(NAMES)
    assert parse(given_values) == wanted
