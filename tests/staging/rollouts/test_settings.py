"""Settings of a rollout, as they are given and stored."""

from __future__ import annotations

import pytest

from staging.rollouts.settings import FIELDS, check, parse_duration, settings_of, value_of
from wire.errors import FieldError


def test_what_is_not_given_has_its_default() -> None:
    found = settings_of({"soak": 60, "success": 99.5})
    assert (found.soak, found.success, found.sample) == (60, 0.995, 100)
    assert (found.odds.chance, found.odds.failing, found.odds.error) == (0.01, 0.1, 0.01)
    assert check({name: field.default for name, field in FIELDS.items()})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"soak": -1}, "soak: got -1, expected a whole number from 0 to"),
        ({"soak": 1.5}, "soak: got 1.5"),
        ({"success": 101}, "success: got 101, expected a number from 0 to 100"),
        ({"success": True}, "success: got true"),
        ({"success": "98"}, 'success: got "98"'),
        ({"success": float("nan")}, "success"),
        ({"success": float("inf")}, "success"),
        ({"success": 10**400}, "success: got "),
        ({"soak": 10**400}, "soak: got "),
        ({"sample": 0}, "sample: got 0"),
        ({"open": None}, "open: got null"),
        ({"soaks": 1}, "soaks: got 1, expected one of soak, sample"),
        ({"chance": 20, "failing": 10}, "chance: got 20"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, object], named: str) -> None:
    with pytest.raises(FieldError) as caught:
        check(given)
    assert named in str(caught.value)


def test_what_another_version_stored_is_the_default() -> None:
    assert value_of({"soak": "a day"}, "soak") == FIELDS["soak"].default
    assert settings_of({"gone": 1, "open": -4}).open == FIELDS["open"].default


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), (" 2 H", 7200), ("1d", 86_400)]
)
def test_a_time_has_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text, "--soak") == seconds


@pytest.mark.parametrize("text", ["", "m", "1.5h", "-1s", "1w", "1h30m", "9" * 12])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(FieldError, match="--soak"):
        parse_duration(text, "--soak")
